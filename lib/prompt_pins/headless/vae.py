"""An autoencoder in the place of a checkpoint's own: a .safetensors file of its own, or a diffusers folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import CheckpointError
from .networks import VAE, folder_part, vae_from
from .shapes import vae_config

LATENTS = 4


def open_vae(path: Path) -> Any:
    """The network of a file in the original layout, with or without its prefix, or of a folder with a config.json.

    Raises `CheckpointError`.
    """
    if os.path.isdir(path):
        network: Any = folder_part(AutoencoderKL, path, "", "vae")
    elif path.suffix.lower() != ".safetensors" or not os.path.isfile(path):
        what = "is not a .safetensors file" if os.path.exists(path) else "does not exist"
        raise CheckpointError(f"vae: {path} {what}; allowed: a .safetensors file, or a diffusers folder of one")
    else:
        network = _of_file(path)
    if network.config.latent_channels != LATENTS:
        raise CheckpointError(f"vae: {path} has {network.config.latent_channels} latent channels; only 4 are known")
    return network


def _of_file(path: Path) -> Any:
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"vae: {path} is damaged or is no safetensors file ({error})") from None
    bare = {key.removeprefix(VAE): weight for key, weight in weights.items()}
    if "decoder.mid_block.resnets.0.conv1.weight" in bare:
        raise CheckpointError(f"vae: {path} has diffusers' names; name the folder that it and its config.json lie in")
    bare = {key: weight for key, weight in bare.items() if key.startswith(("encoder.", "decoder.", "quant_", "post_"))}
    try:
        config = vae_config({key: list(weight.shape) for key, weight in bare.items()})
        return vae_from({VAE + key: weight for key, weight in bare.items()}, config)
    except (KeyError, IndexError, CheckpointError) as error:
        raise CheckpointError(f"vae: {path} is no autoencoder of Stable Diffusion ({error})") from None
