"""The panel: the payloads that a run's candidates are judged on; of a plain run the run itself, alone.

Imports numpy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config import RunConfig
from ..host import Recipe
from ..space import Space

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Panel:
    """jobs: what each payload is rendered and scored with.  spaces: of each, all over the same axes.

    weights: how much each counts.  worst: whether the worst one counts alone.  many: False for a plain run, which has
    one job and whose losses are its own.  piece: the space of the piece alone, None without.
    """

    jobs: tuple[RunConfig, ...]
    spaces: tuple[Space, ...]
    weights: tuple[float, ...] = (1.0,)
    worst: bool = False
    many: bool = False
    piece: Space | None = None

    @classmethod
    def of(cls, config: RunConfig, spaces: tuple[Space, ...], piece: Space | None) -> Panel:
        """Of a configuration."""
        if not config.many:
            return cls((config,), spaces)
        weights = tuple(one.weight for one in config.payloads)
        return cls(config.jobs(), spaces, weights, config.payload_loss == "worst", True, piece)

    @property
    def size(self) -> int:
        """P: how many there are."""
        return len(self.jobs)

    @property
    def shown(self) -> Space:
        """Whose words a reader sees: the piece's, or the first payload's."""
        return self.piece or self.spaces[0]

    def recipes(self, vector: Sequence[float]) -> tuple[Recipe, ...]:
        """(P,) what each is rendered from at a vector (N,)."""
        return tuple(space.recipe(vector) for space in self.spaces)

    def name(self, index: int) -> str:
        """`payload 2: ` before what is said of one; "" in a plain run."""
        return f"payload {index + 1}: " if self.many else ""

    def passes(self) -> list[tuple[int, ...]]:
        """Which payloads are rendered together, in order: those of one checkpoint."""
        found: dict[str, list[int]] = {}
        for index, job in enumerate(self.jobs):
            found.setdefault(job.checkpoint, []).append(index)
        return [tuple(indexes) for indexes in found.values()]

    def pooled(self, values: ArrayLike) -> Array:
        """One number, or one row of them, of all payloads: (P, ...) to (...).

        values: shares of each payload's own original.  Their weighted mean; or, for the worst, those of the payload
        whose mean is the highest.
        """
        rows = np.asarray(values, dtype=np.float64)
        if self.worst:
            return np.asarray(rows[self.highest(rows)])
        return np.asarray(np.average(rows, axis=0, weights=self.weights))

    @staticmethod
    def highest(rows: Array) -> int:
        """Index of the payload whose values (P, ...) have the highest mean."""
        return int(np.argmax(rows.reshape(len(rows), -1).mean(axis=1)))

    def shares(self, tables: ArrayLike) -> Array:
        """(P, C, S) fits of C contestants on S seeds as shares of the first one's mean fit, payload by payload."""
        found = np.asarray(tables, dtype=np.float64)
        bases = found[:, :1].mean(axis=2, keepdims=True)
        return np.asarray(found / np.where(bases > 0.0, bases, 1.0))
