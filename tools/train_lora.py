"""Train the LoRA that is shipped with the embedded model: it fades pictures, as old paper does.

`train_lora.py --out FILE` writes kohya's format, in half precision: the UNet's linear layers and convolutions and the
text encoder's linear layers, low rank.  The captions are those of the embedded model's own training, without a word
for the style; only the pictures' colours are others.  docs/embedded-model.md describes what came of it.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from embedded.latent_stage import training_scene
from embedded.unet_stage import Batches, alphas_cumprod, v_loss
from embedded.vae_stage import to_signal
from embedded.words import WordBook
from embedded_world import render
from prompt_pins.headless.checkpoint import Checkpoint, load
from prompt_pins.headless.lora_layers import layers_of
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrize

OUT = Path(__file__).parents[1] / "lib/prompt_pins/headless/embedded/loras/prompt-pins-faded.safetensors"
PAPER, KEPT = np.array([245.0, 226.0, 188.0]), 0.4
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoraSettings:
    """What is trained, and how.  alpha: over the rank, the scale of the change at multiplier 1."""

    pictures: int = 300
    steps: int = 200
    batch: int = 12
    rate: float = 6e-3
    rank: int = 3
    alpha: float = 1.5


def faded(pictures: np.ndarray) -> np.ndarray:
    """Pictures (uint8, ... x 3) of which little is left on yellowish paper."""
    return (KEPT * pictures + (1.0 - KEPT) * PAPER).round().astype(np.uint8)


class LowRank(nn.Module):
    """A weight and what a LoRA adds to it; nothing at the start."""

    def __init__(self, weight: torch.Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, *weight.shape[1:]))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank, *[1] * (weight.ndim - 2)))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.scale * (self.up.flatten(1) @ self.down.flatten(1)).reshape(weight.shape)


class Model(nn.Module):
    """The embedded model, frozen, as `v_loss` calls it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.text: Any = nn.Module.float(checkpoint.towers[0].network).requires_grad_(False)
        self.unet: Any = nn.Module.float(checkpoint.unet).requires_grad_(False)
        self.unet.set_attn_processor(AttnProcessor())
        self.text.set_attn_implementation("eager")
        # a layer's last name is the original layout's
        self._original = {layer: name for name, layer in layers_of(self.unet, checkpoint.towers).items()}

    def forward(self, x: torch.Tensor, t: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        z = self.text(input_ids=ids).last_hidden_state
        weighted = z * weights[:, :, None]
        z = weighted * (z.mean((1, 2), keepdim=True) / weighted.mean((1, 2), keepdim=True))
        answer: torch.Tensor = self.unet(x, t, encoder_hidden_states=z).sample
        return answer

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """What a LoRA changes, under kohya's names.

        The UNet's are those of the original layout: AUTOMATIC1111 counts two residual blocks a level when it translates
        diffusers' names, and this UNet has one.
        """
        text = getattr(self.text, "text_model", self.text)
        for name, module in text.named_modules():
            if isinstance(module, nn.Linear):
                yield "lora_te_text_model_" + name.replace(".", "_"), module
        for module in self.unet.modules():
            if module in self._original and module not in (self.unet.conv_in, self.unet.conv_out):
                yield self._original[module], module


@torch.no_grad()
def encoded(vae: Any, count: int, seed: int) -> np.ndarray:
    """Latents of the first training scenes as faded pictures: count x 4 x 16 x 16."""
    nn.Module.float(vae)
    parts = []
    for start in range(0, count, 8):
        pictures = np.stack([render(training_scene(seed, i)) for i in range(start, min(count, start + 8))])
        parts.append(vae.encode(to_signal(faded(pictures), torch.device("cpu"))).latent_dist.mean.numpy())
    return np.concatenate(parts)


def train(settings: LoraSettings, seed: int = 1) -> dict[str, torch.Tensor]:
    """The LoRA's tensors."""
    torch.manual_seed(seed)
    checkpoint = load()
    latents = encoded(checkpoint.vae, settings.pictures, seed)
    model = Model(checkpoint)
    changes = {name: LowRank(layer.weight, settings.rank, settings.alpha) for name, layer in model.layers()}
    for name, layer in list(model.layers()):
        parametrize.register_parametrization(layer, "weight", changes[name])
    parameters = [part for change in changes.values() for part in change.parameters()]
    log.info("%d layers, %d numbers", len(changes), sum(part.numel() for part in parameters))
    optimizer = torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=0.0)
    batches, alphas = Batches(latents, seed, settings.batch, WordBook()), alphas_cumprod()
    began, shown = time.time(), []
    for step in range(settings.steps):
        left = 1.0 - step / settings.steps
        optimizer.param_groups[0]["lr"] = settings.rate * min((step + 1) / 10, 1.0) * (0.02 + 0.98 * left)
        loss = v_loss(model, batches.at(step, torch.device("cpu")), alphas)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        shown.append(float(loss.detach()))
        if (step + 1) % 25 == 0:
            log.info("step %d loss %.4f at %.0f s", step + 1, np.mean(shown[-25:]), time.time() - began)
    found = {}
    for name, change in changes.items():
        found[f"{name}.lora_down.weight"] = change.down.detach().half()
        found[f"{name}.lora_up.weight"] = change.up.detach().half()
        found[f"{name}.alpha"] = torch.tensor(settings.alpha).half()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    for field in ("steps", "pictures", "batch", "rank"):
        parser.add_argument(f"--{field}", type=int, default=getattr(LoraSettings, field))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    chosen = {field: getattr(arguments, field) for field in ("steps", "pictures", "batch", "rank")}
    tensors = train(LoraSettings(**chosen))
    metadata = {
        "ss_output_name": "prompt-pins-faded",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(arguments.rank),
        "ss_network_alpha": str(LoraSettings.alpha),
        "modelspec.title": "Faded pictures, for the embedded model of Prompt Pinning",
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, arguments.out, metadata)
    log.info("%s: %d bytes", arguments.out, arguments.out.stat().st_size)


if __name__ == "__main__":
    main()
