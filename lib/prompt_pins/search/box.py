"""Box bounds by reflection: the search runs free, and its points are folded into the box.

The mirrors stand a little beyond the bounds, and points in between are moved onto the bound: the best weight is
often the lowest or the highest that is allowed, and a mirror on the bound itself is never hit exactly.
May import: numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config.presets import LIKELY
from ..errors import OptionError

Vector = NDArray[np.float64]

MARGIN = 0.02
"""Between a bound and its mirror, as a share of the range; nothing where only one bound is finite."""


@dataclass(frozen=True)
class Box:
    """Original weights, and the lowest and highest weight allowed: three vectors (N,); bounds may be infinite."""

    original: Vector
    low: Vector
    high: Vector

    @classmethod
    def build(cls, original: ArrayLike, low: ArrayLike, high: ArrayLike) -> Box:
        """Check and freeze.  Scalars are spread over all variables.  Raises `OptionError`."""
        centre = np.array(original, dtype=np.float64)
        if centre.ndim != 1 or centre.size == 0 or not np.isfinite(centre).all():
            raise OptionError("original", original, "a list of at least one finite number")
        bounds = []
        for name, bound in (("low", low), ("high", high)):
            try:
                spread = np.broadcast_to(np.asarray(bound, dtype=np.float64), centre.shape).copy()
            except ValueError:
                raise OptionError(name, bound, f"one number, or {centre.size} numbers") from None
            if np.isnan(spread).any():
                raise OptionError(name, bound, "numbers")
            bounds.append(spread)
        lows, highs = bounds
        if not (lows < highs).all():
            raise OptionError("low", lows.tolist(), "below the upper bound for every weight")
        if not ((lows <= centre) & (centre <= highs)).all():
            raise OptionError("original", centre.tolist(), "within the bounds for every weight")
        for vector in (centre, lows, highs):
            vector.setflags(write=False)
        return cls(centre, lows, highs)

    @property
    def size(self) -> int:
        """N, the number of variables."""
        return int(self.original.size)

    def distance(self, points: ArrayLike) -> Vector:
        """L2 distance from the original of points (..., N), as an array (...)."""
        return np.asarray(np.linalg.norm(np.asarray(points, dtype=np.float64) - self.original, axis=-1))

    def clip(self, points: ArrayLike) -> Vector:
        """The nearest points within the box."""
        return np.asarray(np.clip(np.asarray(points, dtype=np.float64), self.low, self.high))

    def reflect(self, points: ArrayLike) -> Vector:
        """Points (..., N) of the free space as points of the box.  Inside points stay, to the bit."""
        return self.clip(self.fold(points)[0])

    def fold(self, points: ArrayLike) -> tuple[Vector, Vector]:
        """Points (..., N) folded in between the mirrors, and +1 or -1 for each coordinate: -1 where it was turned."""
        free = np.asarray(points, dtype=np.float64)
        folded, sign = free.copy(), np.ones_like(free)
        span = self.high - self.low
        margin = np.where(np.isfinite(span), MARGIN * span, 0.0)
        low, high = self.low - margin, self.high + margin
        outside = (free < low) | (free > high)
        if not outside.any():
            return folded, sign
        low = np.broadcast_to(low, free.shape)[outside]
        high = np.broadcast_to(high, free.shape)[outside]
        here = free[outside]
        both = np.isfinite(low) & np.isfinite(high)
        # one bound: one mirror; two bounds: the fold repeats every two widths
        mirror = np.where(np.isfinite(low), low, high)
        width = np.where(both, high - low, 1.0)
        offset = np.mod(here - np.where(both, low, 0.0), 2.0 * width)
        turned = ~both | (offset > width)
        inside = np.where(both, low, 0.0) + np.minimum(offset, 2.0 * width - offset)
        folded[outside] = np.where(both, inside, 2.0 * mirror - here)
        sign[outside] = np.where(turned, -1.0, 1.0)
        return folded, sign


def start_point(box: Box, start: str, radius: float, rng: np.random.Generator) -> Vector:
    """The first centroid (N,): the original, uniform within `radius` of it, or uniform within the bounds."""
    if start in ("original", LIKELY):
        return box.original.copy()
    low, high = box.original - radius, box.original + radius
    if start == "anywhere":
        low = np.where(np.isfinite(box.low), box.low, low)
        high = np.where(np.isfinite(box.high), box.high, high)
    return box.clip(rng.uniform(low, high))
