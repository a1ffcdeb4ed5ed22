"""The Pareto front of loss against distance, and MO-CMA-ES on DEAP with its own random numbers.

May import: numpy, deap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from deap import cma, tools

from .box import Vector
from .individual import Individual


@dataclass(frozen=True)
class FrontPoint:
    """A candidate that no other beats in both: the weights as scored (N,), loss, L2 distance from the original."""

    vector: tuple[float, ...]
    loss: float
    distance: float


def with_point(front: tuple[FrontPoint, ...], point: FrontPoint) -> tuple[FrontPoint, ...]:
    """The front with a further point, in order of rising distance; the same object if the point adds nothing."""
    if any(old.loss <= point.loss and old.distance <= point.distance for old in front):
        return front
    kept = [old for old in front if old.loss < point.loss or old.distance < point.distance]
    return tuple(sorted([*kept, point], key=lambda p: p.distance))


def hypervolume(front: Sequence[FrontPoint], loss: float, distance: float) -> float:
    """Area that the front dominates, below the reference point (loss, distance)."""
    area, ceiling = 0.0, loss
    for point in sorted(front, key=lambda p: p.distance):
        if point.loss < ceiling and point.distance < distance:
            area += (ceiling - point.loss) * (distance - point.distance)
            ceiling = point.loss
    return area


def least_contributor(front: Sequence[Individual], ref: Vector) -> int:
    """Index of the individual without which the dominated area shrinks least (DEAP's indicator, two values only).

    front: individuals none of which dominates another; ref: (2,) a point that all of them dominate.
    """
    values = np.array([individual.fitness.values for individual in front])
    order = np.lexsort((values[:, 1], values[:, 0]))
    first, second = values[order, 0], values[order, 1]
    right = np.append(first[1:], ref[0])
    above = np.insert(second[:-1], 0, ref[1])
    return int(order[np.argmin((right - first) * (above - second))])


class ParetoStrategy(cma.StrategyMultiObjective):  # type: ignore[misc]
    """DEAP's MO-CMA-ES (Voss, Hansen, Igel 2010).  Parents are evaluated individuals with two-value fitnesses.

    draw: how a child is drawn, from a function that gives k points (k, N), to one point (N,) within the bounds.
    """

    def __init__(
        self,
        population: list[Individual],
        step_size: float,
        rng: np.random.Generator,
        draw: Callable[[Callable[[int], Vector]], Vector],
        **params: Any,
    ) -> None:
        self.rng = rng
        self.draw = draw
        super().__init__(population, step_size, indicator=least_contributor, **params)

    def generate(self, ind_init: Callable[[Vector], Individual]) -> list[Individual]:
        """lambda_ children: one of each parent if they are as many, else of parents drawn from the first front."""
        for index, parent in enumerate(self.parents):
            parent._ps = "p", index
        if self.lambda_ == self.mu:
            mothers = [index % len(self.parents) for index in range(self.lambda_)]
        else:
            front = tools.sortLogNondominated(self.parents, len(self.parents), first_front_only=True)
            mothers = [front[self.rng.integers(len(front))]._ps[1] for _ in range(self.lambda_)]
        children = []
        for mother in mothers:
            child = ind_init(self.draw(partial(self._around, mother)))
            child._ps = "o", mother
            children.append(child)
        return children

    def _around(self, mother: int, count: int) -> Vector:
        z = self.rng.standard_normal((count, self.dim))
        return np.asarray(np.array(self.parents[mother]) + self.sigmas[mother] * z @ self.A[mother].T)

    def adopt(self, individual: Individual) -> None:
        """Make an individual from outside a candidate; if chosen it takes over its nearest parent's distribution."""
        gaps = np.linalg.norm(np.array(self.parents) - np.array(individual), axis=1)
        individual._ps = "p", int(np.argmin(gaps))

    def _select(self, candidates: list[Individual]) -> tuple[list[Individual], list[Individual]]:
        """DEAP's choice among those that have a fitness; one without failed, and is never chosen."""
        valid = [candidate for candidate in candidates if candidate.fitness.valid]
        failed = [candidate for candidate in candidates if not candidate.fitness.valid]
        chosen, rest = super()._select(valid)
        return list(chosen), [*rest, *failed]

    def _rankOneUpdate(  # noqa: N802 (DEAP's name)
        self, inverse: Vector, factor: Vector, alpha: float, beta: float, v: Vector
    ) -> tuple[Vector, Vector]:
        # The update is even in v, but DEAP skips it when no component of the whitened v is positive.
        turned = -v if (inverse @ v).max() <= 0.0 else v
        updated: tuple[Vector, Vector] = super()._rankOneUpdate(inverse, factor, alpha, beta, turned)
        return updated

    def std(self) -> Vector:
        """(parents, N) standard deviations of every parent's distribution."""
        return np.array([s * np.linalg.norm(a, axis=1) for s, a in zip(self.sigmas, self.A, strict=True)])

    def axis_ratio(self) -> float:
        """Longest over shortest axis of the worst conditioned parent."""
        return max(float(np.linalg.cond(a)) for a in self.A)
