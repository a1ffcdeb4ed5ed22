"""Stage 4: finish the decoder alone, on whole pictures and the cached latents, while the encoder stays as it is.

The UNet's latents do not change, so this can run after it. A little noise on the latents makes the decoder
forgiving of what the UNet leaves.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from embedded_world import render

from embedded.latent_stage import training_scene
from embedded.saving import load_state, save_state
from embedded.vae_stage import learning_rate, scene_rng, to_signal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecoderSettings:
    """`noise` is the standard deviation of what is added to the unit-variance latents."""

    steps: int = 1500
    batch: int = 2
    rate: float = 6e-4
    noise: float = 0.04
    save_every: int = 250


def finish_decoder(
    vae: AutoencoderKL,
    settings: DecoderSettings,
    latents: np.ndarray,
    seed: int,
    folder: Path,
    device: torch.device,
    fast: bool,
) -> None:
    """Train the decoder of `vae` in place, or go on from `folder/decoder.pt`; L1 + MSE per pixel."""
    vae.to(device).requires_grad_(False)
    parts = torch.nn.ModuleList([vae.post_quant_conv, vae.decoder]).requires_grad_(True)
    optimizer = torch.optim.Adam(parts.parameters(), lr=settings.rate, betas=(0.9, 0.99))
    start, began, shown = load_state(folder / "decoder.pt", {"model": parts, "optimizer": optimizer}), time.time(), []
    for step in range(start, settings.steps):
        rng = scene_rng(seed, 4, step)
        which = rng.integers(0, len(latents), settings.batch)
        clean = latents[which].astype(np.float32)
        noised = clean + settings.noise * rng.standard_normal(clean.shape, dtype=np.float32)
        wanted = to_signal(np.stack([render(training_scene(seed, int(i))) for i in which]), device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps, settings.rate)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            error = vae.decode(torch.from_numpy(noised).to(device)).sample.float() - wanted
        loss = error.abs().mean() + error.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        shown.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            log.info("decoder step %d L1+MSE %.4f at %.0f s", step + 1, np.mean(shown[-50:]), time.time() - began)
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            save_state(folder / "decoder.pt", step + 1, {"model": parts, "optimizer": optimizer})
    vae.eval().requires_grad_(False)
