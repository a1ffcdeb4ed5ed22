"""From a state dict in the original Stable Diffusion layout, or a diffusers folder, to the three networks.

The weights must fit the configuration exactly: nothing is left at random values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import safe_open
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from ..errors import CheckpointError
from ..loss.open_clip import BLOCK, PROJECTION, renamed
from ..loss.weights import below
from .settings import Settings, read_config
from .towers import Tower

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."
OPEN_CLIP = "cond_stage_model.model."
XL_CLIP = "conditioner.embedders.0.transformer."
XL_OPEN_CLIP = "conditioner.embedders.1.model."
SD2_LAYERS = 23
LAYERS = ("num_hidden_layers", "layers_per_block", "transformer_layers_per_block")
"""Where a part's configuration says how many layers it has."""


@dataclasses.dataclass(frozen=True)
class Networks:
    """A loaded model's parts, on the CPU and in the precision of its file."""

    unet: nn.Module
    vae: nn.Module
    towers: tuple[Tower, ...]
    settings: Settings


def unet_from(weights: Mapping[str, Tensor], config: dict[str, Any]) -> nn.Module:
    """The UNet of a state dict with `model.diffusion_model.` keys."""
    convert = convert_ldm_unet_checkpoint
    return _filled(lambda: UNet2DConditionModel.from_config(config), lambda _: convert(dict(weights), config), "UNet")


def vae_from(weights: Mapping[str, Tensor], config: dict[str, Any]) -> nn.Module:
    """The autoencoder of a state dict with `first_stage_model.` keys."""
    convert = convert_ldm_vae_checkpoint
    return _filled(lambda: AutoencoderKL.from_config(config), lambda _: convert(dict(weights), config), "VAE")


def text_encoder_from(renamed: Mapping[str, Tensor], config: dict[str, Any], pooled: bool = False) -> nn.Module:
    """A text encoder whose weights are called as `clip_keys` and `open_clip_keys` do.  pooled: with its projection."""
    kind: Any = CLIPTextModelWithProjection if pooled else CLIPTextModel

    def named(encoder: nn.Module) -> dict[str, Tensor]:
        inner = "text_model." if hasattr(encoder, "text_model") else ""
        return {key if key.startswith("text_projection.") else inner + key: part for key, part in renamed.items()}

    encoder = _filled(lambda: kind(CLIPTextConfig(**config)), named, "text encoder")
    inside: Any = getattr(encoder, "text_model", encoder)
    ids = torch.arange(config["max_position_embeddings"])[None]
    inside.embeddings.register_buffer("position_ids", ids, persistent=False)
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
    own = below(weights, prefix)
    blocks = {name: int(part[2]) for name in own if (part := BLOCK.fullmatch(name)) and not part[1]}
    layers = max(blocks.values(), default=-1) + 1
    if not pooled:
        layers = SD2_LAYERS if layers == SD2_LAYERS else layers - 1
    found = renamed({name: weight for name, weight in own.items() if name not in blocks or blocks[name] < layers})
    text = below(found, "text_model.")
    return {**text, PROJECTION: found[PROJECTION]} if pooled and PROJECTION in found else text


def folder_part(cls: Any, folder: Path, part: str, field: str = "checkpoint") -> nn.Module:
    """One network of a diffusers folder, from its safetensors files; pickles are refused.  field: for messages."""
    names = [path.name for path in (folder / part).glob("*.safetensors")]
    if not names:
        raise CheckpointError(f"{field}: {folder / part} holds no .safetensors weights")
    whole = [name for name in names if ".fp16." not in name]
    try:
        said = _layers([read_config(folder, part).get(name) for name in LAYERS])
        found = sum(len(_names(folder / part / name)) for name in names)
        if said > found:  # building so many would take for ever
            raise ValueError(f"its configuration says {said} layers, and it has {found} weights")
        network: nn.Module = cls.from_pretrained(
            str(folder / part), local_files_only=True, use_safetensors=True, variant=None if whole else "fp16"
        )
    except Exception as error:  # a library of others, on a stranger's files
        raise CheckpointError(f"{field}: {folder / part} cannot be loaded: {_first_line(error)}") from None
    return network


def _layers(said: Any) -> int:
    """How many layers a configuration says, each part's own number or a list of them."""
    return sum(map(_layers, said)) if isinstance(said, list) else int(said or 0)


def _names(path: Path) -> list[str]:
    with safe_open(path, "pt") as file:
        return list(file.keys())


def _filled(make: Callable[[], nn.Module], convert: Callable[[nn.Module], Any], what: str) -> nn.Module:
    """A network with weights; whatever other libraries raise on those of a stranger is a `CheckpointError`."""
    try:
        with torch.device("meta"):
            network = make()
        network.load_state_dict(convert(network), strict=True, assign=True)
    except Exception as error:
        raise CheckpointError(f"checkpoint: its {what} is not a known one: {_first_line(error)}") from None
    return network


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]
