"""Stage 2: fold each latent channel's mean and scale into the autoencoder, then encode the training pictures once.

After folding, the latents of the training pictures have zero mean and unit variance per channel, so the UNet
needs no scale factor (1.0 in both hosts' configs) and the hosts need to know nothing about it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from embedded_world import Scene, render, sample_scene

from embedded.vae_stage import scene_rng, to_signal

log = logging.getLogger(__name__)

SCENE_STREAM = 2


def training_scene(seed: int, index: int) -> Scene:
    """Scene number `index` of the training set."""
    return sample_scene(scene_rng(seed, SCENE_STREAM, index))


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, seed: int, start: int, stop: int, fast: bool, batch: int = 4) -> np.ndarray:
    """Posterior means of the training scenes start..stop-1: float32, count x 4 x 16 x 16."""
    device = next(vae.parameters()).device
    parts = []
    for first in range(start, stop, batch):
        pictures = np.stack([render(training_scene(seed, i)) for i in range(first, min(stop, first + batch))])
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            parts.append(vae.encode(to_signal(pictures, device)).latent_dist.mean.float().cpu().numpy())
        if (first - start) % 1000 == 0:
            log.info("encoded %d of %d", first, stop)
    return np.concatenate(parts)


@torch.no_grad()
def fold_statistics(vae: AutoencoderKL, mean: np.ndarray, scale: np.ndarray) -> None:
    """Change the autoencoder in place so that its latents become (z - mean) / scale, channel by channel.

    The encoder's last 1x1 convolution gets the change (its log-variance rows shift by -2 log scale), the
    decoder's first one the inverse: decode(encode(x)) stays the same.
    """
    channels = len(mean)
    shift = torch.as_tensor(mean, dtype=torch.float32, device=vae.quant_conv.weight.device)
    factor = torch.as_tensor(scale, dtype=torch.float32, device=shift.device)
    encoder, decoder = vae.quant_conv, vae.post_quant_conv
    encoder.weight[:channels] /= factor[:, None, None, None]
    encoder.bias[:channels] = (encoder.bias[:channels] - shift) / factor
    encoder.bias[channels:] -= 2.0 * factor.log()
    decoder.bias += decoder.weight[:, :, 0, 0] @ shift
    decoder.weight *= factor[None, :, None, None]


def make_latents(vae: AutoencoderKL, seed: int, count: int, folder: Path, fast: bool = False) -> np.ndarray:
    """Fold and encode, going on from what an earlier call wrote: float16, count x 4 x 16 x 16, N(0, 1) by channel.

    The statistics come from the first call's pictures; later calls may ask for more pictures, not for fewer.
    """
    path, vae_path = folder / "latents.npy", folder / "vae_folded.pt"
    if path.exists() and vae_path.exists():
        vae.load_state_dict(torch.load(vae_path, map_location="cpu", weights_only=True))
        latents = np.load(path)
        if len(latents) < count:
            more = encode_scenes(vae, seed, len(latents), count, fast).astype(np.float16)
            latents = np.concatenate([latents, more])
            np.save(path, latents)
        return latents
    latents = encode_scenes(vae, seed, 0, count, fast)
    mean, scale = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    log.info("latent means %s, scales %s", np.round(mean, 3), np.round(scale, 3))
    fold_statistics(vae, mean, scale)
    torch.save(vae.state_dict(), vae_path)
    latents = ((latents - mean[:, None, None]) / scale[:, None, None]).astype(np.float16)
    np.save(path, latents)
    return latents
