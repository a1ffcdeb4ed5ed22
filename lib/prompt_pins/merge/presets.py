"""The field's named presets of block weights, computed as curves.  Standard library only.

x runs from 0 at IN00 to 1 at the last output block.  The formulas were made for the 25 places of Stable Diffusion 1.x,
a = 24 x; on the 19 of SDXL the smooth ones are the same curves, and the stepped ones take the nearest of the 25.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

Curve = Callable[[float], float]
LAST = 24


def _smooth(x: float) -> float:
    return 3 * x**2 - 2 * x**3


def _fake_hermite(x: float) -> float:
    return _smooth(x) + 100 / LAST * (2 * x**3 - 3 * x**2 + x)


def _true_hermite(x: float) -> float:
    return _fake_hermite(x) + (2 * x**3 - 3 * x**2 + 1) / LAST if x > 0 else 0.0


def _cosine(x: float) -> float:
    return (1 + math.cos(math.pi * x)) / 2


def _reverse(curve: Curve) -> Curve:
    return lambda x: 1 - curve(x)


def _steps(whole: Collection[int], half: Collection[int] = ()) -> Curve:
    def curve(x: float) -> float:
        a = math.floor(LAST * x + 0.5)
        return 1.0 if a in whole else 0.5 if a in half else 0.0

    return curve


def _wrap(count: int) -> Curve:
    return _steps([*range(count), *range(LAST + 1 - count, LAST + 1)])


PRESETS: Mapping[str, Curve] = {
    "GRAD_V": lambda x: abs(1 - 2 * x),
    "GRAD_A": lambda x: 1 - abs(1 - 2 * x),
    "FLAT_25": lambda x: 0.25,
    "SMOOTHSTEP": _smooth,
    "REVERSE_SMOOTHSTEP": _reverse(_smooth),
    "COSINE": _cosine,
    "REVERSE_COSINE": _reverse(_cosine),
    "FAKE_CUBIC_HERMITE": _fake_hermite,
    "REVERSE_FAKE_CUBIC_HERMITE": _reverse(_fake_hermite),
    "TRUE_CUBIC_HERMITE": _true_hermite,
    "REVERSE_TRUE_CUBIC_HERMITE": _reverse(_true_hermite),
    "OUT07": _steps(range(18, 25)),
    "MID12_50": _steps((), range(5, 19)),
    "RING08_SOFT": _steps([6, 7, 8, 16, 17, 18], [5, 9, 15, 19]),
    "RING08_5": _steps([6, 7, 8, 9, 15, 16, 17, 18]),
    "WRAP08": _wrap(4),
    "WRAP12": _wrap(6),
    "WRAP14": _wrap(7),
    "WRAP16": _wrap(8),
}
"""Each preset by its name: the weight at x, from 0 to 1."""


def preset(name: str, names: Sequence[str]) -> dict[str, float]:
    """A preset's weight of every block; 0 for BASE.  names: of all blocks, BASE first."""
    curve, last = PRESETS[name], max(len(names) - 2, 1)
    return {names[0]: 0.0, **{block: round(curve(place / last), 6) for place, block in enumerate(names[1:])}}
