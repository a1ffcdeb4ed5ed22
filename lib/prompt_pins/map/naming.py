"""What sets the clusters of a map apart: words that go up or down, and the ranges of its weights.  Imports numpy."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..effects import Effect, effect
from ..space import Space
from ..space.text import Text

MOST, SHARE = 3, 0.25
"""Words of a name at most, and how large a word's effect is at least, as a share of the largest."""
RESAMPLES = 1000
TAIL = 0.025
HELD = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of a cluster's candidates that a range of one weight may hold."""
Weights = NDArray[np.float64]
"""(n, N) the value of each axis of each candidate."""


@dataclasses.dataclass(frozen=True)
class Apart:
    """An axis that sets a cluster apart: how much higher it is, in units of its scale."""

    axis: int
    effect: Effect

    def in_units(self, scale: float) -> tuple[float, float, float]:
        """(mean, low, high) in the axis's own units."""
        return scale * self.effect.mean, scale * self.effect.low, scale * self.effect.high


@dataclasses.dataclass(frozen=True)
class Ranges:
    """The box round a cluster: of each axis the range of so many of its candidates, the middle ones.

    inside: candidates within the whole box; own: those of them that are of the cluster.
    """

    share: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    inside: int
    own: int
    prompt: str
    negative_prompt: str


def apart(weights: Weights, scale: Weights, labels: NDArray[np.int64], cluster: int) -> list[Apart]:
    """What is proven to set a cluster apart, the largest effect first; at most `MOST`.

    Each candidate of it is paired with that of another cluster, or where there is no other of none, whose weights are
    nearest; effects are means over the pairs, with their 95 % intervals.  Proven are those beyond what the errors of
    all axes together allow (Bonferroni).
    """
    x = weights / scale
    own = np.flatnonzero(labels == cluster)
    others = np.flatnonzero((labels >= 0) & (labels != cluster))
    others = others if len(others) else np.flatnonzero(labels != cluster)
    if len(own) < 2 or not len(others):
        return []
    nearest = others[[int(np.argmin(((x[others] - x[one]) ** 2).sum(axis=1))) for one in own]]
    rng = np.random.Generator(np.random.PCG64(cluster))
    found = [Apart(axis, effect(values, rng, RESAMPLES)) for axis, values in enumerate((x[own] - x[nearest]).T)]
    most = max(abs(one.effect.mean) for one in found)
    wider = NormalDist().inv_cdf(1 - TAIL / len(found)) / NormalDist().inv_cdf(1 - TAIL)
    proven = [
        one for one in found if abs(one.effect.mean) > max(wider * (one.effect.high - one.effect.low) / 2, SHARE * most)
    ]
    return sorted(proven, key=lambda one: -abs(one.effect.mean))[:MOST]


def ranges(space: Space, weights: Weights, labels: NDArray[np.int64], cluster: int) -> tuple[Ranges, ...]:
    """The boxes of a cluster, one for each of `HELD`, their bounds rounded outward to what can be printed."""
    text = space.groups[0]
    assert isinstance(text, Text)
    own = weights[labels == cluster]
    digits = np.array([axis.decimals for axis in space.axes])
    found = []
    for share in HELD:
        low, high = np.quantile(own, [(1 - share) / 2, (1 + share) / 2], axis=0)
        low = np.maximum(_rounded(np.floor, low, digits), np.array(space.low))
        high = np.minimum(_rounded(np.ceil, high, digits), np.array(space.high))
        inside = ((weights >= low - 1e-9) & (weights <= high + 1e-9)).all(axis=1)
        bounds = tuple(map(float, low)), tuple(map(float, high))
        counts = int(inside.sum()), int((inside & (labels == cluster)).sum())
        found.append(Ranges(share, *bounds, *counts, *text.ranged(*bounds)))
    return tuple(found)


def _rounded(how: np.ufunc, values: Weights, digits: NDArray[np.int64]) -> Weights:
    step = 10.0**digits
    return np.asarray(how((values * step).round(6)) / step)
