"""A search over axes of unlike units: inside, each is divided by its scale.

A scale is so much of its axis as 1 is of a word's weight, so step sizes and distances mean the same on every axis.
Scales are powers of two: dividing by them loses nothing, and a search with scales of 1 is the search itself, bit for
bit.  May import: numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import create
from .box import Vector
from .stopping import StopReason

if TYPE_CHECKING:
    from ..config.search import SearchOptions
    from .warm import WarmStart

SCALED = ("mean", "std", "best")  # of the state


class ScaledSearch:
    """original, low, high, scale: (N,) in the axes' own units; warm: in scaled ones.  Raises `OptionError`."""

    def __init__(
        self,
        original: ArrayLike,
        low: ArrayLike,
        high: ArrayLike,
        scale: ArrayLike,
        options: SearchOptions,
        warm: WarmStart | None = None,
    ) -> None:
        self._scale = np.asarray(scale, dtype=np.float64)
        start, lowest, highest = (np.asarray(vector) / self._scale for vector in (original, low, high))
        self._search = create(start, lowest, highest, options, warm)

    @property
    def generation(self) -> int:
        """Generations told."""
        return self._search.generation

    @property
    def remembered(self) -> list[Vector]:
        """Candidates (N,) that the contest is to see: the user's own, and the best at each restart."""
        return [vector * self._scale for vector in self._search.remembered]

    def inject(self, vectors: Iterable[Sequence[float]]) -> None:
        """Put the user's own candidates (N,) into the first generations."""
        self._search.inject([np.asarray(vector) / self._scale for vector in vectors])

    def ask(self) -> Vector:
        """(rows, N) the candidates of the next generation."""
        return np.asarray(self._search.ask() * self._scale)

    def tell(self, losses: Sequence[float | None], vectors: Vector) -> None:
        """The losses of the generation that was asked for, and its candidates as they were scored."""
        self._search.tell(losses, vectors / self._scale)

    def stop(self) -> StopReason | None:
        """Why the search is over; None while it is not."""
        return self._search.stop()

    def closest(self, point: ArrayLike) -> Vector:
        """The closest point (N,) within the size limit."""
        return np.asarray(self._search.limiter.closest(np.asarray(point) / self._scale) * self._scale)

    def state(self) -> dict[str, Any]:
        """Plain numbers for the journal and the plots; mean, std and best in the axes' own units."""
        state = self._search.state()
        for name in SCALED:
            if state[name] is not None:
                state[name] = (np.asarray(state[name]) * self._scale).tolist()
        return state
