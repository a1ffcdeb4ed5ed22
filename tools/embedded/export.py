"""Export: write the embedded model as one fp16 safetensors file in the original Stable Diffusion 1.x layout."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from ldm_keys import ldm_weights
from safetensors.torch import save_file
from torch import nn

LIMIT_BYTES = 14_000_000


def export(text: nn.Module, unet: UNet2DConditionModel, vae: AutoencoderKL, path: Path) -> int:
    """Write the checkpoint as fp16 beside `path`, then rename; returns its size in bytes."""
    checkpoint = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().clone().contiguous()
        for k, v in ldm_weights([text], unet, vae).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    save_file(checkpoint, beside, metadata={"format": "pt"})
    size = beside.stat().st_size
    if size > LIMIT_BYTES:
        raise ValueError(f"the checkpoint has {size} bytes: expected at most {LIMIT_BYTES}")
    beside.replace(path)
    return size
