"""A model of Stable Diffusion's architecture with a few thousand weights, at random, in both layouts."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from embedded.export import ldm_weights

WIDTH = 32
UNET: dict[str, Any] = {
    "sample_size": 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (WIDTH, WIDTH),
    "layers_per_block": 1,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 4,
}
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (WIDTH,) * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "scaling_factor": 0.5,
}
TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
}


@dataclasses.dataclass(frozen=True)
class Tiny:
    """The networks, and where they lie: one file with its folder of configurations, and a diffusers folder."""

    unet: nn.Module
    vae: nn.Module
    text_encoder: nn.Module
    file: Path
    config: Path
    folder: Path

    def weights(self) -> dict[str, Tensor]:
        """In the original layout."""
        return {key: value.contiguous() for key, value in ldm_weights(self.text_encoder, self.unet, self.vae).items()}


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def make(folder: Path, seed: int = 0) -> Tiny:
    """Draw the weights and write them below `folder` in both layouts."""
    torch.manual_seed(seed)
    text = CLIPTextModel(CLIPTextConfig(**TEXT)).eval()
    unet, vae = UNet2DConditionModel(**UNET).eval(), AutoencoderKL(**VAE).eval()
    # Emphasis divides by the mean of the text's vectors: keep it away from zero, as a trained model's is.
    nn.init.constant_(text.get_submodule("final_layer_norm").bias, 0.5)
    tiny = Tiny(unet, vae, text, folder / "tiny.safetensors", folder / "config", folder / "diffusers")
    save_file(tiny.weights(), tiny.file)
    for name, network in (("unet", unet), ("vae", vae), ("text_encoder", text)):
        network.save_pretrained(tiny.folder / name)
        source = tiny.folder / name / "config.json"
        write_json(tiny.config / name / "config.json", json.loads(source.read_text(encoding="utf-8")))
    for place in (tiny.config, tiny.folder):
        write_json(place / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(tiny.folder / "model_index.json", {"_class_name": "StableDiffusionPipeline"})
    return tiny
