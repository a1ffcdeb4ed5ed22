"""Stage 3: UNet and text encoder together, v-prediction on cached latents under Stable Diffusion's schedule."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from embedded_world import Scene, coverage
from torch import nn

from embedded.captions import known_words, training_words
from embedded.latent_stage import training_scene
from embedded.networks import make_text_encoder, make_unet
from embedded.saving import load_state, save_state
from embedded.vae_stage import scene_rng
from embedded.words import WordBook

log = logging.getLogger(__name__)

TRAIN_STEPS = 1000
FINAL_BIAS = 0.5
MIDDLE = (0.4, 1.0)
CELLS = 16
HARD_SHAPES = ("circle", "square", "star")
HARDER_SHARE = 0.5
DECAY = 0.2
PURE = 8
END = 49407
SILENCE = 0.3


@dataclass(frozen=True)
class UnetSettings:
    """How the UNet and the text encoder are trained."""

    steps: int = 15500
    batch: int = 64
    rate: float = 1.8e-3
    ema: float = 0.997
    save_every: int = 250


def alphas_cumprod() -> torch.Tensor:
    """Stable Diffusion's schedule ("scaled linear", 0.00085 to 0.012): float32, 1000 values falling from 1."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1.0 - betas, 0).float()


class Denoiser(nn.Module):
    """Text encoder and UNet as one module, so that one optimiser and one moving average hold both."""

    def __init__(self, trained_rows: torch.Tensor) -> None:
        super().__init__()
        self.text, self.unet = make_text_encoder(), make_unet()
        # On CPUs the backward pass of torch's fused attention takes half of a step; plain products do not.
        self.unet.set_attn_processor(AttnProcessor())
        self.text.set_attn_implementation("eager")
        text_model = getattr(self.text, "text_model", self.text)
        # Hosts divide by the mean of the text features after weighting words: keep it well away from zero.
        nn.init.constant_(text_model.final_layer_norm.bias, FINAL_BIAS)
        # Words that the captions do not teach keep their small random start, so they act as filler.
        mask = torch.zeros(text_model.embeddings.token_embedding.num_embeddings, 1)
        mask[trained_rows] = 1.0
        self.register_buffer("row_mask", mask, persistent=False)
        text_model.embeddings.token_embedding.weight.register_hook(lambda grad: grad * self.row_mask)

    def chatter(self, ids: torch.Tensor) -> torch.Tensor:
        """How much the end tokens tell of the caption: their mean square distance from those of an empty one.

        Every caption ends in many of them. If they repeat what the words say, the weight of a word moves nothing.
        """
        empty = torch.full_like(ids[:1], END)
        empty[:, 0] = ids[0, 0]
        z = self.text(input_ids=torch.cat([empty, ids])).last_hidden_state
        return (z[1:] - z[:1])[ids == END].square().mean()

    def context(self, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Text features B x 77 x 48, weighted per token as AUTOMATIC1111 does: scaled, then the mean restored."""
        z = self.text(input_ids=ids).last_hidden_state
        weighted = z * weights[:, :, None]
        return weighted * (z.mean((1, 2), keepdim=True) / weighted.mean((1, 2), keepdim=True))

    def forward(self, x: torch.Tensor, t: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Predicted v for noised latents B x 4 x 16 x 16 at integer times t."""
        return self.unet(x, t, encoder_hidden_states=self.context(ids, weights)).sample


def cell_weights(scene: Scene) -> np.ndarray:
    """How much each latent cell counts in the loss: float32, 16 x 16, most along the things' outlines.

    A weight per cell leaves the best prediction of every cell as it is, but lets the few cells that tell a
    circle from a square speak up among the many that show background.
    """
    covered = np.zeros((CELLS, CELLS))
    for thing in scene.things:
        scaled = replace(thing, x=thing.x / 4, y=thing.y / 4, radius=thing.radius / 4)
        covered += coverage(scaled, 2 * CELLS).reshape(CELLS, 2, CELLS, 2).mean((1, 3))
    outline = (covered > 0.02) & (covered < 0.98)
    return (1.0 + 2.0 * (covered > 0.02) + 6.0 * outline).astype(np.float32)


def share_of(scene: Scene) -> float:
    """How often a scene is drawn, relative to one thing of a hard shape on a plain background."""
    share = HARDER_SHARE if len(scene.things) == 2 else 1.0
    share *= 1.0 if scene.background.kind == "plain" else HARDER_SHARE
    return share * (1.0 if any(t.shape in HARD_SHAPES for t in scene.things) else 0.5)


def bent(evenly: np.ndarray, count: int) -> np.ndarray:
    """Times in [0, 1) from one draw in each of `count` unit stretches: every other one goes to the `MIDDLE`.

    There words decide about places, then about shapes; near 0 only fine detail is left to do.
    """
    even, (low, high) = evenly / count, MIDDLE
    return np.where(np.arange(count) % 2 == 0, even, low + (high - low) * even)


def held_rate(step: int, settings: UnetSettings) -> float:
    """Linear warm-up, the peak, then a straight line down to a fiftieth over the last `DECAY` of the steps."""
    left = (settings.steps - step) / (DECAY * settings.steps)
    return settings.rate * min((step + 1) / 200.0, 1.0, max(0.02, left))


@dataclass(frozen=True)
class Batch:
    """One training batch: clean latents, noise, times, token ids, word weights, and the loss's weight per cell."""

    latents: torch.Tensor
    noise: torch.Tensor
    times: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor
    cells: torch.Tensor


class Batches:
    """Training batches by step number: the same step gives the same batch, so that training can be resumed."""

    def __init__(self, latents: np.ndarray, seed: int, batch: int, book: WordBook) -> None:
        self._latents, self._seed, self._batch, self._book = latents, seed, batch, book
        self._unknown = book.unknown(known_words())
        self._scenes = [training_scene(seed, i) for i in range(len(latents))]
        shares = np.array([share_of(scene) for scene in self._scenes])
        self._chances = shares / shares.sum()

    def at(self, step: int, device: torch.device) -> Batch:
        rng = scene_rng(self._seed, 3, step)
        which = rng.choice(len(self._latents), self._batch, p=self._chances)
        ids, weights = self._book.rows([training_words(self._scenes[i], self._unknown, rng) for i in which])
        latents = self._latents[which].astype(np.float32)
        noise = rng.standard_normal(latents.shape, dtype=np.float32)
        times = TRAIN_STEPS * bent(np.arange(self._batch) + rng.random(self._batch), self._batch)
        times[::PURE] = TRAIN_STEPS
        cells = np.stack([cell_weights(self._scenes[i]) for i in which])[:, None]
        arrays = (latents, noise, times.clip(0, TRAIN_STEPS - 1).astype(np.int64), ids, weights, cells)
        return Batch(*(torch.from_numpy(a).to(device) for a in arrays))


def v_loss(model: nn.Module, batch: Batch, alphas: torch.Tensor) -> torch.Tensor:
    """Mean square error, weighted by cell, of v = sqrt(a) e - sqrt(1 - a) x0 (Salimans and Ho 2022).

    At the last time the input is noise alone, as it is where sampling starts.  Stable Diffusion's schedule leaves
    a trace of the picture there, which tells the background's colour and the place so well that a model trained
    on it asks the noise and not the words (Lin et al., "Common diffusion noise schedules and sample steps are
    flawed", 2024).
    """
    a = alphas[batch.times][:, None, None, None]
    seen = (batch.times < TRAIN_STEPS - 1)[:, None, None, None]
    noised = seen * a.sqrt() * batch.latents + (1.0 - a).sqrt() * batch.noise
    target = a.sqrt() * batch.noise - (1.0 - a).sqrt() * batch.latents
    error = model(noised, batch.times, batch.ids, batch.weights).float() - target
    return (error.square() * (batch.cells / batch.cells.mean())).mean()


def make_optimizer(model: Denoiser, rate: float) -> torch.optim.AdamW:
    """AdamW; decay only on matrices and kernels, never on embeddings (unused rows must stay as they are)."""
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and "embedding" not in n]
    kept = [p for n, p in model.named_parameters() if p.ndim <= 1 or "embedding" in n]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average of the parameters, in place."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)


def train_unet(
    settings: UnetSettings,
    latents: np.ndarray,
    seed: int,
    folder: Path,
    device: torch.device,
    fast: bool,
    saved: Callable[[Denoiser], None],
) -> Denoiser:
    """Train, or go on from `folder/unet.pt`; `saved` is called with the moving average after each save."""
    torch.manual_seed(seed)
    book = WordBook()
    rows = torch.tensor(sorted({i for w in known_words() for i in book.ids(w)} | {49406, 49407}))
    model = Denoiser(rows).to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = make_optimizer(model, settings.rate)
    start = load_state(folder / "unet.pt", {"model": model, "average": average, "optimizer": optimizer})
    batches, alphas = Batches(latents, seed, settings.batch, book), alphas_cumprod().to(device)
    began, shown = time.time(), []
    for step in range(start, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = held_rate(step, settings)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            batch = batches.at(step, device)
            loss = v_loss(model, batch, alphas) + SILENCE * model.chatter(batch.ids)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        follow(average, model, min(settings.ema, (step + 1) / (step + 10)))
        shown.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            log.info("unet step %d loss %.4f at %.0f s", step + 1, np.mean(shown[-50:]), time.time() - began)
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            save_state(folder / "unet.pt", step + 1, {"model": model, "average": average, "optimizer": optimizer})
            saved(average)
    return average
