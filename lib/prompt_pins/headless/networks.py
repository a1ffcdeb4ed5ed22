"""From a state dict in the original Stable Diffusion layout, or a diffusers folder, to the three networks.

The weights must fit the configuration exactly: nothing is left at random values.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from ..errors import CheckpointError
from .settings import Settings
from .towers import Tower

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."
OPEN_CLIP = "cond_stage_model.model."
XL_CLIP = "conditioner.embedders.0.transformer."
XL_OPEN_CLIP = "conditioner.embedders.1.model."
SD2_LAYERS = 23
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


@dataclasses.dataclass(frozen=True)
class Networks:
    """A loaded model's parts, on the CPU and in the precision of its file."""

    unet: nn.Module
    vae: nn.Module
    towers: tuple[Tower, ...]
    settings: Settings


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


def text_encoder_from(renamed: Mapping[str, Tensor], config: dict[str, Any], pooled: bool = False) -> nn.Module:
    """A text encoder whose weights are called as `clip_keys` and `open_clip_keys` do.  pooled: with its projection."""
    with torch.device("meta"):
        encoder: nn.Module = (CLIPTextModelWithProjection if pooled else CLIPTextModel)(CLIPTextConfig(**config))
    inner = "text_model." if any(key.startswith("text_model.") for key in encoder.state_dict()) else ""
    named = {key if key.startswith("text_projection.") else inner + key: weight for key, weight in renamed.items()}
    _filled(encoder, lambda: named, "text encoder")
    places = encoder.get_submodule("text_model.embeddings" if inner else "embeddings")
    places.register_buffer("position_ids", torch.arange(config["max_position_embeddings"])[None], persistent=False)
    return encoder


def clip_keys(weights: Mapping[str, Tensor], prefix: str = CLIP) -> dict[str, Tensor]:
    """CLIP's weights under transformers' names."""
    found = {
        key.removeprefix(prefix).removeprefix("text_model."): weight
        for key, weight in weights.items()
        if key.startswith(prefix)
    }
    found.pop("embeddings.position_ids", None)
    return {key: weight for key, weight in found.items() if not key.startswith(("text_projection", "logit_scale"))}


def open_clip_keys(weights: Mapping[str, Tensor], prefix: str = OPEN_CLIP, pooled: bool = False) -> dict[str, Tensor]:
    """OpenCLIP's weights under transformers' names.

    pooled: all of them.  Else as SD 2.x reads them: it stops before the last block, which some files leave out, and
    has no projection.
    """
    found: dict[str, Tensor] = {}
    blocks = [match for key in weights if key.startswith(prefix) and (match := _BLOCK.fullmatch(key, len(prefix)))]
    layers = max((int(block[1]) for block in blocks), default=-1) + 1
    if not pooled:
        layers = SD2_LAYERS if layers == SD2_LAYERS else layers - 1
    for key, weight in weights.items():
        name = key.removeprefix(prefix)
        block = _BLOCK.fullmatch(name)
        if not key.startswith(prefix):
            continue
        if name in _OPEN_CLIP_ENDS:
            found[_OPEN_CLIP_ENDS[name]] = weight
        elif name == "text_projection" and pooled:
            found["text_projection.weight"] = weight.T.contiguous()
        elif block and int(block[1]) < layers:
            into = f"encoder.layers.{block[1]}."
            if block[2] == "attn.in_proj":
                for part, third in zip("qkv", weight.chunk(3), strict=True):
                    found[f"{into}self_attn.{part}_proj.{block[3]}"] = third.contiguous()
            else:
                found[f"{into}{_OPEN_CLIP_PARTS[block[2]]}.{block[3]}"] = weight
    return found


def folder_part(cls: Any, folder: Path, part: str, field: str = "checkpoint") -> nn.Module:
    """One network of a diffusers folder, from its safetensors files; pickles are refused.  field: for messages."""
    names = [path.name for path in (folder / part).glob("*.safetensors")]
    if not names:
        raise CheckpointError(f"{field}: {folder / part} holds no .safetensors weights")
    whole = [name for name in names if ".fp16." not in name]
    try:
        network: nn.Module = cls.from_pretrained(
            str(folder / part), local_files_only=True, use_safetensors=True, variant=None if whole else "fp16"
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{field}: {folder / part} cannot be loaded: {_first_line(error)}") from None
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
