"""A stand-in for the host's denoiser and sampler, true to the real ones where it hurts.

Full-batch generators, conditionings that a cache shares between jobs, an exception that is no `Exception`, and a model
that looks at every per-image thing by position.  It renders nothing: its "network" is a pull towards the conditioning.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

SHAPE = (4, 6, 6)


class InterruptedException(BaseException):
    """As the host's: `except Exception` does not catch it."""


class MulticondLearnedConditioning:
    """One list of weighted parts for each image."""

    def __init__(self, shape: tuple[int, ...], batch: list[Any]) -> None:
        self.shape, self.batch = shape, batch


class ImageRNG:
    """One generator for each image; every draw is of all of them."""

    def __init__(self, seeds: list[int]) -> None:
        self.seeds, self.subseeds, self.subseed_strength = seeds, None, 0.0
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def next(self) -> Tensor:
        """B x 4 x 6 x 6, N(0, 1)."""
        return torch.stack([torch.randn(SHAPE, generator=generator) for generator in self._generators])


@dataclasses.dataclass
class Cached:
    """What the host keeps between jobs of one prompt: it must never change."""

    cond: MulticondLearnedConditioning
    uncond: list[Any]

    @classmethod
    def of(cls, size: int, value: float = 1.0) -> Cached:
        """Conditionings of a batch whose images all have the same prompt."""
        part = [torch.full(SHAPE, value)]
        return cls(MulticondLearnedConditioning((size,), [part] * size), [torch.zeros(SHAPE)] * size)


class Denoiser(nn.Module):
    """The host's `CFGDenoiser` as a sampler sees it."""

    def __init__(self, p: Any, sampler: Any) -> None:
        super().__init__()
        self.p, self.sampler = p, sampler
        self.init_latent: Tensor | None = None
        self.mask = self.nmask = None
        self.sizes: list[int] = []
        self.interrupt_at: int | None = None
        self.refine_at: int | None = None
        self.refined = Cached.of(len(p.rng.seeds), 5.0)

    def update_inner_model(self) -> None:
        """The refiner's conditionings, of the whole batch, into the sampler's arguments."""
        self.sampler.sampler_extra_args["cond"] = self.refined.cond
        self.sampler.sampler_extra_args["uncond"] = self.refined.uncond

    def forward(
        self, x: Tensor, sigma: Tensor, cond: Any, uncond: Any, image_cond: Tensor, cond_scale: float
    ) -> Tensor:
        """x0 of each image; raises IndexError where anything does not have a row for each, as the host does."""
        if self.interrupt_at == len(self.sizes):
            raise InterruptedException
        if self.refine_at == len(self.sizes):
            self.update_inner_model()
            cond, uncond = (self.sampler.sampler_extra_args[name] for name in ("cond", "uncond"))
        rows = {len(cond.batch), cond.shape[0], len(uncond), len(image_cond), len(sigma), len(x)}
        if self.init_latent is not None:
            rows.add(len(self.init_latent))
        if len(rows) != 1:
            raise IndexError(f"rows differ: {sorted(rows)}")
        self.sizes.append(len(x))
        towards = torch.stack([parts[0] for parts in cond.batch]) * cond_scale + image_cond
        if self.init_latent is not None:
            towards = towards + self.init_latent
        denoised = towards + 0.3 * (x - towards) / (1 + sigma.view(-1, 1, 1, 1) ** 2)
        self.sampler.last_latent = denoised
        return denoised


def job(size: int, inpainting: bool = False) -> tuple[Denoiser, Cached, dict[str, Any]]:
    """(denoiser, the cached conditionings, the sampler's extra arguments) of a batch."""
    sampler = SimpleNamespace(last_latent=None, sampler_extra_args=None)
    denoiser = Denoiser(SimpleNamespace(rng=ImageRNG(list(range(10, 10 + size)))), sampler)
    if inpainting:
        denoiser.init_latent = torch.arange(size, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, *SHAPE) / 10
    cached = Cached.of(size)
    image_cond = torch.linspace(0, 1, size).view(-1, 1, 1, 1).expand(-1, *SHAPE)
    extra = {"cond": cached.cond, "uncond": cached.uncond, "image_cond": image_cond, "cond_scale": 2.0}
    sampler.sampler_extra_args = extra
    return denoiser, cached, extra
