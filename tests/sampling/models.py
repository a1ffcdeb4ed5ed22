"""Denoisers whose answers are known exactly, and small helpers for the sampling tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Mixture:
    """The exact denoiser of a mixture of isotropic Gaussians in one dimension, applied to each element.

    D(x, sigma) = E[x_0 | x_0 + sigma n = x].  Records the batch size and sigma of every call.  With `by_row`
    it answers one image at a time, so that an answer's bits do not depend on the size of the batch.
    """

    means: tuple[float, ...] = (-1.2, 0.4, 1.6)
    weights: tuple[float, ...] = (0.5, 0.2, 0.3)
    std: float = 0.25
    by_row: bool = False
    calls: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, x: Tensor, sigma: Tensor, **extra_args: Any) -> Tensor:
        assert sigma.shape == x.shape[:1]
        self.calls.append((x.shape[0], float(sigma[0])))
        if self.by_row:
            return torch.cat([self.answer(x[j : j + 1], sigma[j : j + 1]) for j in range(len(x))])
        return self.answer(x, sigma)

    def answer(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The posterior mean of each element."""
        means = torch.tensor(self.means, dtype=x.dtype, device=x.device)
        weights = torch.tensor(self.weights, dtype=x.dtype, device=x.device)
        s = sigma.reshape(-1, *[1] * x.ndim)
        total = s**2 + self.std**2
        logits = weights.log() - (x[..., None] - means) ** 2 / (2 * total)
        posterior = (self.std**2 * x[..., None] + s**2 * means) / total
        return (torch.softmax(logits, -1) * posterior).sum(-1)

    @property
    def mean(self) -> float:
        """Of the mixture."""
        return sum(w * m for w, m in zip(self.weights, self.means, strict=True))

    @property
    def variance(self) -> float:
        """Of the mixture."""
        return self.std**2 + sum(w * (m - self.mean) ** 2 for w, m in zip(self.weights, self.means, strict=True))

    def proportions(self, x: Tensor) -> Tensor:
        """Share of x's elements that lie nearest to each mean: B x ... -> B x means."""
        nearest = (x[..., None] - torch.tensor(self.means, dtype=x.dtype)).abs().argmin(-1)
        return torch.stack([(nearest == k).flatten(1).double().mean(1) for k in range(len(self.means))], 1)


class RecordedNoise:
    """A noise sampler for both sides: one fixed tensor for each interval asked for, all rows always."""

    def __init__(self, like: Tensor, seed: int = 0) -> None:
        self.like, self.seed, self.asked = like, seed, 0

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        self.asked += 1
        key = hash((self.seed, float(sigma), float(sigma_next))) % 2**31
        return torch.randn(self.like.shape, generator=torch.Generator().manual_seed(key), dtype=self.like.dtype)


def start(batch: int, shape: tuple[int, ...] = (2, 3, 4), scale: float = 14.6, seed: int = 5) -> Tensor:
    """Initial noise, float64, batch x shape."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((batch, *shape), generator=generator, dtype=torch.float64) * scale
