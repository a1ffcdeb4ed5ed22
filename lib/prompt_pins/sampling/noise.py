"""Where a hyperbatch's noise comes from.  All of it is N(0, 1) and batch-first; rows are leaves.

A source is asked for the rows that exist and no others, so that a leaf's noise depends on its seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import OptionError

NoiseSampler = Callable[[Tensor, Tensor], Tensor]

INITIAL, STEP, HALF, CHURN, FORK = range(5)
WORD = 2**64 - 1


class NoiseSource(Protocol):
    """The noise of one run.  Every method returns unit noise for the rows asked for, in x's shape and type."""

    def step(self, i: int, sigma: Tensor, sigma_next: Tensor, middle: Tensor | None, size: int) -> Tensor:
        """Noise of step i over [sigma, sigma_next], rows 0 .. size - 1.

        `middle` is the level at which `half` was drawn in this step, if it was: the two belong to one path.
        """

    def half(self, i: int, sigma: Tensor, middle: Tensor, size: int) -> Tensor:
        """Noise of the first part of step i, over [sigma, middle], rows 0 .. size - 1."""

    def churn(self, i: int, size: int) -> Tensor:
        """Noise that raises sigma before step i, rows 0 .. size - 1."""

    def fork(self, i: int, rows: range) -> Tensor:
        """Noise by which new nodes part from their parents in step i."""


def bridge(first: Tensor, second: Tensor, sigma: Tensor, middle: Tensor, sigma_next: Tensor) -> Tensor:
    """Unit noise over [sigma, sigma_next] from unit noise over its two parts: Brownian motion in sigma.

    (W(sigma) - W(sigma_next)) / sqrt(sigma - sigma_next), with each part's variance its length.
    """
    share = (sigma - middle) / (sigma - sigma_next)
    return first * share.sqrt() + second * (1 - share).sqrt()


class LeafNoise:
    """Noise from one seed per leaf, for rows of the shape, type and device of `like` (B x ...).

    A draw is a function of (seed, step, purpose) and of nothing else: neither of the batch size, nor of the
    other leaves, nor of what was drawn before.  It is numpy's counter-based Philox generator with the seed
    as key and (purpose, step) in the high words of the counter.

    Raises `OptionError` unless there is one whole-number seed for each row.
    """

    def __init__(self, seeds: Sequence[int], like: Tensor) -> None:
        if len(seeds) != like.shape[0]:
            raise OptionError("seeds", list(seeds), f"{like.shape[0]} whole numbers, one for each image")
        self._seeds = tuple(int(seed) & WORD for seed in seeds)
        self._shape = tuple(like.shape[1:])
        self._dtype, self._device = like.dtype, like.device

    def initial(self) -> Tensor:
        """Where the leaves start: B x ..., to be multiplied by the first sigma."""
        return self._draw(INITIAL, 0, range(len(self._seeds)))

    def step(self, i: int, sigma: Tensor, sigma_next: Tensor, middle: Tensor | None, size: int) -> Tensor:
        noise = self._draw(STEP, i, range(size))
        if middle is None:
            return noise
        return bridge(self._draw(HALF, i, range(size)), noise, sigma, middle, sigma_next)

    def half(self, i: int, sigma: Tensor, middle: Tensor, size: int) -> Tensor:
        return self._draw(HALF, i, range(size))

    def churn(self, i: int, size: int) -> Tensor:
        return self._draw(CHURN, i, range(size))

    def fork(self, i: int, rows: range) -> Tensor:
        return self._draw(FORK, i, rows)

    def _draw(self, purpose: int, step: int, rows: range) -> Tensor:
        drawn = np.empty((len(rows), *self._shape))
        for row, leaf in enumerate(rows):
            philox = np.random.Philox(key=self._seeds[leaf], counter=[0, 0, purpose, step])
            drawn[row] = np.random.Generator(philox).standard_normal(self._shape)
        noise = torch.from_numpy(drawn).to(self._dtype)
        if self._device.type == "cuda":
            return noise.pin_memory().to(self._device, non_blocking=True)
        return noise.to(self._device)


class SamplerNoise:
    """A k-diffusion noise sampler, which always returns all B rows, with the leaves' own noise for the forks.

    Leaf 0 sees exactly what the plain sampler would see: nothing is drawn from `sampler` beyond k-diffusion's
    own calls, in their order.  `churn` stands for k-diffusion's `randn_like`; without one, leaves churn by
    their own noise.
    """

    def __init__(self, sampler: NoiseSampler, leaves: LeafNoise, churn: Callable[[], Tensor] | None = None) -> None:
        self._sampler, self._leaves, self._churn = sampler, leaves, churn

    def step(self, i: int, sigma: Tensor, sigma_next: Tensor, middle: Tensor | None, size: int) -> Tensor:
        return _rows(self._sampler(sigma, sigma_next), size)

    def half(self, i: int, sigma: Tensor, middle: Tensor, size: int) -> Tensor:
        return _rows(self._sampler(sigma, middle), size)

    def churn(self, i: int, size: int) -> Tensor:
        return self._leaves.churn(i, size) if self._churn is None else _rows(self._churn(), size)

    def fork(self, i: int, rows: range) -> Tensor:
        return self._leaves.fork(i, rows)


def _rows(noise: Tensor, size: int) -> Tensor:
    if noise.shape[0] < size:
        raise OptionError("noise_sampler", tuple(noise.shape), f"noise of at least {size} rows")
    return noise[:size]
