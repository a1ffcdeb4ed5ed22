"""The filters of LDR-ꟻLIP, as plain numbers.  Standard library only.

Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild: "ꟻLIP: A Difference Evaluator for
Alternating Images", HPG 2020.  Every two-dimensional filter of the paper is a sum of separable Gaussians
(or Gaussian derivatives); here are their one-dimensional factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Taps = tuple[float, ...]

# Table 1 of the paper: (a, b) of each Gaussian of the contrast sensitivity functions.
_ACHROMATIC = (1.0, 0.0047)
_RED_GREEN = (1.0, 0.0053)
_BLUE_YELLOW = ((34.1, 0.04), (13.5, 0.025))
_FEATURE_WIDTH = 0.082  # w of section 4.2: width of the feature detectors, in degrees
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Filters:
    """One-dimensional filters for one viewing distance; each is applied along both axes.

    `achromatic`, `red_green`: low-pass, sum 1.  `blue_yellow`: two low-passes whose two-dimensional sums
    add up to 1.  `gauss`, `edge`, `point`: a Gaussian of sum 1 and its first and second derivative, whose
    positive taps add up to 1 and negative taps to -1.  All have odd length and are centred.
    """

    achromatic: Taps
    red_green: Taps
    blue_yellow: tuple[Taps, Taps]
    gauss: Taps
    edge: Taps
    point: Taps

    @property
    def radius(self) -> int:
        """Half the width of the widest filter, in pixels."""
        return max(len(taps) // 2 for taps in (self.blue_yellow[0], self.gauss))


@lru_cache(maxsize=16)
def filters(pixels_per_degree: float) -> Filters:
    """The filters for a viewing distance in pixels per degree (> 0)."""
    reach = math.ceil(3.0 * math.sqrt(_BLUE_YELLOW[0][1] / (2.0 * math.pi**2)) * pixels_per_degree)
    low, high = (_csf(*ab, pixels_per_degree, reach) for ab in _BLUE_YELLOW)
    scale = 1.0 / math.sqrt(sum(low) ** 2 + sum(high) ** 2)
    return Filters(
        achromatic=_trim(_unit_sum(_csf(*_ACHROMATIC, pixels_per_degree, reach))),
        red_green=_trim(_unit_sum(_csf(*_RED_GREEN, pixels_per_degree, reach))),
        blue_yellow=(tuple(scale * v for v in low), tuple(scale * v for v in high)),
        **_features(pixels_per_degree),
    )


def _csf(a: float, b: float, pixels_per_degree: float, reach: int) -> Taps:
    """Factor of a·sqrt(π/b)·exp(-π²r²/b) along one axis, sampled at whole pixels (eq. 5)."""
    height = math.sqrt(a * math.sqrt(math.pi / b))
    degrees = (x / pixels_per_degree for x in range(-reach, reach + 1))
    return tuple(height * math.exp(-((math.pi * d) ** 2) / b) for d in degrees)


def _features(pixels_per_degree: float) -> dict[str, Taps]:
    """The Gaussian of standard deviation w·ppd/2 and its two derivatives (section 4.2)."""
    deviation = 0.5 * _FEATURE_WIDTH * pixels_per_degree
    reach = math.ceil(3.0 * deviation)
    xs = range(-reach, reach + 1)
    gauss = [math.exp(-(x * x) / (2.0 * deviation**2)) for x in xs]
    first = [-x * g for x, g in zip(xs, gauss)]
    second = [((x / deviation) ** 2 - 1.0) * g for x, g in zip(xs, gauss)]
    return {"gauss": _unit_sum(gauss), "edge": _unit_halves(first), "point": _unit_halves(second)}


def _unit_sum(taps: Sequence[float]) -> Taps:
    total = sum(taps)
    return tuple(v / total for v in taps)


def _unit_halves(taps: Sequence[float]) -> Taps:
    up = sum(v for v in taps if v > 0.0)
    down = -sum(v for v in taps if v < 0.0)
    return tuple(v / up if v > 0.0 else v / down for v in taps)


def _trim(taps: Taps) -> Taps:
    """Without the outer taps that no float32 sum can feel."""
    cut = 0
    while cut < len(taps) // 2 and taps[cut] < _NEGLIGIBLE:
        cut += 1
    return taps[cut : len(taps) - cut]
