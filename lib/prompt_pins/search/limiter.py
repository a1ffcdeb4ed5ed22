"""The size limiter: how far from the original prompt the search may go.

May import: numpy, deap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from deap import tools

from ..config.resolved import Resolved
from ..config.search import SearchOptions
from .box import Box, Vector
from .individual import Individual

REDRAWS = 20


@dataclass(frozen=True)
class SizeLimiter:
    """A ball around the original weights.

    limit: its radius, 0 for none; error: how far beyond it is still valid;
    weight: what each unit of distance to the closest valid point adds to every objective;
    hard: nothing beyond it is ever a candidate (constraint), instead of being penalised.
    """

    box: Box
    limit: float
    error: float
    weight: float
    hard: bool

    @classmethod
    def build(cls, box: Box, options: SearchOptions, resolved: Resolved) -> SizeLimiter:
        """The limiter that the user chose."""
        hard = options.size_limiter == "constraint"
        return cls(box, options.size_limit, resolved.size_limit_error, resolved.size_limit_weight, hard)

    def valid(self, points: Vector) -> Vector:
        """Which of the points (..., N) within the bounds are within the limit, or close enough."""
        if not self.limit:
            return np.ones(points.shape[:-1], dtype=bool)
        return np.asarray(self.box.distance(points) <= self.limit + self.error)

    def closest(self, points: Vector) -> Vector:
        """The closest valid point of each of the points (..., N) within the bounds."""
        return np.asarray(np.where(self.valid(points)[..., None], points, self._on_sphere(points)))

    def _on_sphere(self, points: Vector) -> Vector:
        # The original lies in the box, which is convex: the way back towards it stays in the box.
        away = points - self.box.original
        length = np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-300)
        return np.asarray(self.box.clip(self.box.original + away * (self.limit / length)))

    def draw(self, sample: Callable[[int], Vector], count: int) -> Vector:
        """(count, N) points from `sample(k) -> (k, N)`, drawn again while beyond a hard limit, then moved onto it."""
        points = sample(count)
        if not (self.hard and self.limit):
            return points
        for _ in range(REDRAWS):
            beyond = np.logical_not(self.valid(self.box.reflect(points)))
            if not beyond.any():
                return points
            points[beyond] = sample(int(beyond.sum()))
        inside = self.box.reflect(points)
        return np.asarray(np.where(self.valid(inside)[:, None], points, self._on_sphere(inside)))

    def penalised(
        self, individual: Individual, valid_point: Sequence[float], values: tuple[float, ...]
    ) -> tuple[float, ...]:
        """Values of `individual`, given those found at its closest valid point (DEAP's ClosestValidPenalty)."""
        point = np.array(individual)
        penalty = tools.ClosestValidPenalty(
            feasibility=lambda _: bool(self.valid(point)),
            feasible=lambda _: valid_point,
            alpha=self.weight,
            distance=lambda near, _: float(np.linalg.norm(point - np.asarray(near))),
        )
        return tuple(penalty(lambda _: values)(individual))
