"""Stage 1: the autoencoder, on 32x32 crops, then 64x64 crops, then whole pictures (crops alone leave borders)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from embedded_world import SIZE, render, sample_scene

from embedded.networks import make_vae
from embedded.saving import load_state, save_state

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: until step `until`, batches of `batch` crops of `crop` x `crop` pixels."""

    until: int
    crop: int
    batch: int


@dataclass(frozen=True)
class VaeSettings:
    """How the autoencoder is trained; `kl` weighs the KL term per latent element against the loss per pixel."""

    phases: tuple[Phase, ...] = (Phase(3400, 32, 32), Phase(3900, 64, 8), Phase(4500, 128, 2))
    pictures: int = 5000
    rate: float = 2e-3
    kl: float = 2e-4
    save_every: int = 250

    @property
    def steps(self) -> int:
        return self.phases[-1].until


def scene_rng(seed: int, stream: int, index: int) -> np.random.Generator:
    """The generator of one training scene: the same picture for the same three numbers, on every machine."""
    return np.random.default_rng([seed, stream, index])


def draw_pictures(seed: int, stream: int, count: int) -> np.ndarray:
    """uint8, count x 128 x 128 x 3."""
    return np.stack([render(sample_scene(scene_rng(seed, stream, i))) for i in range(count)])


def to_signal(pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 B x H x W x 3 to float B x 3 x H x W in [-1, 1]."""
    return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1.0


def to_pictures(signal: torch.Tensor) -> np.ndarray:
    """Float B x 3 x H x W in [-1, 1] to uint8 B x H x W x 3; the inverse of `to_signal`."""
    scaled = ((signal.float() + 1.0) * 127.5).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()


def crop_batch(pictures: np.ndarray, phase: Phase, rng: np.random.Generator) -> np.ndarray:
    """Random crops, uint8 batch x crop x crop x 3."""
    which = rng.integers(0, len(pictures), phase.batch)
    corner = rng.integers(0, SIZE - phase.crop + 1, (phase.batch, 2))
    return np.stack(
        [pictures[i, y : y + phase.crop, x : x + phase.crop] for i, (y, x) in zip(which, corner, strict=True)]
    )


def vae_loss(vae: AutoencoderKL, signal: torch.Tensor, kl: float, noise: torch.Generator) -> tuple:
    """L1 + MSE per pixel and KL per latent element; returns (total, reconstruction part)."""
    posterior = vae.encode(signal).latent_dist
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    latents = mean + (0.5 * logvar).exp() * torch.randn(mean.shape, generator=noise).to(mean.device)
    error = vae.decode(latents).sample.float() - signal
    reconstruction = error.abs().mean() + error.square().mean()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
    return reconstruction + kl * divergence, reconstruction


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 100, floor: float = 0.02) -> float:
    """Linear warm-up, then half a cosine down to `floor` times the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return peak * (floor + (1.0 - floor) * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, done)))))


def train_vae(settings: VaeSettings, seed: int, folder: Path, device: torch.device, fast: bool) -> AutoencoderKL:
    """Train, or go on from `folder/vae.pt`; `fast` computes the convolutions in bfloat16."""
    torch.manual_seed(seed)
    vae = make_vae().to(device)
    optimizer = torch.optim.Adam(vae.parameters(), lr=settings.rate, betas=(0.9, 0.99))
    start = load_state(folder / "vae.pt", {"model": vae, "optimizer": optimizer})
    pictures = draw_pictures(seed, 0, settings.pictures) if start < settings.steps else None
    began, shown = time.time(), []
    for step in range(start, settings.steps):
        phase = next(p for p in settings.phases if step < p.until)
        rng = scene_rng(seed, 1, step)
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps, settings.rate)
        signal = to_signal(crop_batch(pictures, phase, rng), device)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            loss, reconstruction = vae_loss(vae, signal, settings.kl, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        shown.append(float(reconstruction.detach()))
        if (step + 1) % 50 == 0:
            log.info("vae step %d L1+MSE %.4f at %.0f s", step + 1, np.mean(shown[-50:]), time.time() - began)
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            save_state(folder / "vae.pt", step + 1, {"model": vae, "optimizer": optimizer})
    return vae.eval()
