"""Individuals and fitnesses for DEAP, without `creator.create`, which would make classes global state.

May import: deap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from deap import base


class Loss(base.Fitness):  # type: ignore[misc]
    """One value, minimised: the loss."""

    weights = (-1.0,)


class LossAndDistance(base.Fitness):  # type: ignore[misc]
    """Two values, minimised: the loss, and the L2 distance from the original weights."""

    weights = (-1.0, -1.0)


class Individual(list):  # type: ignore[type-arg]
    """A point of the search space, N floats, with DEAP's fitness.

    row: its row in what `ask` gave.
    injected: whether it was put in from outside rather than drawn; then it never has a negative weight.
    """

    _ps: tuple[str, int]  # DEAP's mark: "p" for a parent or "o" for offspring, and the parent's index

    def __init__(self, values: Iterable[float], fitness: Any = None, row: int = 0, injected: bool = False) -> None:
        super().__init__(values)
        self.fitness = Loss() if fitness is None else fitness
        self.row = row
        self.injected = injected


def finite_or_none(loss: Any) -> float | None:
    """A loss as a float, or `None` for a candidate that failed (None, NaN or infinite)."""
    if loss is None:
        return None
    value = float(loss)
    return value if math.isfinite(value) else None
