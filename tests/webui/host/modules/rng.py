"""Noise: one generator for each image, all of them drawn at once."""

from __future__ import annotations

import torch
from torch import Tensor


class ImageRNG:
    """B generators on the CPU."""

    def __init__(self, shape: tuple[int, ...], seeds: list[int], subseeds: list[int], strength: float) -> None:
        self.shape, self.seeds, self.subseeds, self.subseed_strength = shape, seeds, subseeds, strength
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.first = True

    def next(self) -> Tensor:
        """B x 4 x h x w; the first draw is mixed with the variation seeds'."""
        noise = [torch.randn(self.shape, generator=generator) for generator in self.generators]
        if self.first and self.subseed_strength:
            other = [torch.randn(self.shape, generator=torch.Generator().manual_seed(seed)) for seed in self.subseeds]
            noise = [torch.lerp(a, b, self.subseed_strength) for a, b in zip(noise, other, strict=True)]
        self.first = False
        return torch.stack(noise)
