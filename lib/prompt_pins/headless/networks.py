"""From a state dict in the original Stable Diffusion layout, or a diffusers folder, to the three networks.

The weights must fit the configuration exactly: nothing is left at random values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from ..errors import CheckpointError

CLIP = "cond_stage_model.transformer."
OPEN_CLIP = "cond_stage_model.model."
_OPEN_CLIP_ENDS = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_OPEN_CLIP_PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def read_config(folder: Path, part: str) -> dict[str, Any]:
    """A part's JSON configuration.  Raises `CheckpointError` if it is missing or is not JSON."""
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    path = folder / part / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"checkpoint: {path} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"checkpoint: {path} is not a configuration")
    return config


def unet_from(weights: Mapping[str, Tensor], config: dict[str, Any]) -> nn.Module:
    """The UNet of a state dict with `model.diffusion_model.` keys."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
    return _filled(unet, lambda: convert_ldm_unet_checkpoint(dict(weights), config), "UNet")


def vae_from(weights: Mapping[str, Tensor], config: dict[str, Any]) -> nn.Module:
    """The autoencoder of a state dict with `first_stage_model.` keys."""
    with torch.device("meta"):
        vae = AutoencoderKL.from_config(config)
    return _filled(vae, lambda: convert_ldm_vae_checkpoint(dict(weights), config), "VAE")


def text_encoder_from(weights: Mapping[str, Tensor], config: dict[str, Any]) -> nn.Module:
    """The text encoder of a state dict in the layout of OpenAI's CLIP (SD 1.x) or of OpenCLIP (SD 2.x)."""
    encoder = CLIPTextModel(CLIPTextConfig(**config))
    layers = int(config["num_hidden_layers"])
    has_clip = any(key.startswith(CLIP) for key in weights)
    renamed = clip_keys(weights) if has_clip else open_clip_keys(weights, layers)
    prefix = "text_model." if any(key.startswith("text_model.") for key in encoder.state_dict()) else ""
    return _filled(encoder, lambda: {prefix + key: weight for key, weight in renamed.items()}, "text encoder")


def clip_keys(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's weights under transformers' names."""
    found = {
        key.removeprefix(CLIP).removeprefix("text_model."): weight
        for key, weight in weights.items()
        if key.startswith(CLIP)
    }
    found.pop("embeddings.position_ids", None)
    return found


def open_clip_keys(weights: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """OpenCLIP's weights of the first `layers` blocks under transformers' names.

    SD 2.x reads the last but one of OpenCLIP's blocks, so its last block is left out.
    """
    found: dict[str, Tensor] = {}
    for key, weight in weights.items():
        name = key.removeprefix(OPEN_CLIP)
        block = _BLOCK.fullmatch(name)
        if not key.startswith(OPEN_CLIP):
            continue
        if name in _OPEN_CLIP_ENDS:
            found[_OPEN_CLIP_ENDS[name]] = weight
        elif block and int(block[1]) < layers:
            into = f"encoder.layers.{block[1]}."
            if block[2] == "attn.in_proj":
                for part, third in zip("qkv", weight.chunk(3), strict=True):
                    found[f"{into}self_attn.{part}_proj.{block[3]}"] = third.contiguous()
            else:
                found[f"{into}{_OPEN_CLIP_PARTS[block[2]]}.{block[3]}"] = weight
    return found


def folder_part(cls: Any, folder: Path, part: str) -> nn.Module:
    """One network of a diffusers folder, from its safetensors files; pickles are refused."""
    names = [path.name for path in (folder / part).glob("*.safetensors")]
    if not names:
        raise CheckpointError(f"checkpoint: {folder / part} holds no .safetensors weights")
    whole = [name for name in names if ".fp16." not in name]
    try:
        network: nn.Module = cls.from_pretrained(
            str(folder / part), local_files_only=True, use_safetensors=True, variant=None if whole else "fp16"
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"checkpoint: {folder / part} cannot be loaded: {_first_line(error)}") from None
    return network


def _filled(network: nn.Module, convert: Any, what: str) -> nn.Module:
    try:
        network.load_state_dict(convert(), strict=True, assign=True)
    except (KeyError, IndexError, AttributeError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"checkpoint: its {what} is not a known one: {_first_line(error)}") from None
    return network


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]
