"""What both searches share of ask and tell: candidates put in from outside, and the losses told.

May import: numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError
from .box import Box, Vector
from .individual import finite_or_none
from .limiter import SizeLimiter


class Queue:
    """Candidates that wait to take the place of drawn ones; the original weights are the first.

    added: (N,) those of the user's own, as they are scored.
    """

    def __init__(self, box: Box, limiter: SizeLimiter) -> None:
        self._box = box
        self._limiter = limiter
        self._waiting: list[Vector] = [box.original]
        self.added: list[Vector] = []
        self._extra = 0

    def add(self, vectors: Iterable[ArrayLike]) -> None:
        """Append candidates (N,), moved into the bounds and the size limit.  Raises `OptionError`."""
        for vector in vectors:
            point = np.array(vector, dtype=np.float64)
            if point.shape != self._box.original.shape or not np.isfinite(point).all():
                raise OptionError("candidate", vector, f"{self._box.size} finite numbers")
            self.added.append(self._limiter.closest(self._box.clip(point)))
            self._waiting.append(self.added[-1])

    def next(self, vector: Vector) -> None:
        """Put a candidate (N,) behind the original."""
        self._waiting.insert(1, self._limiter.closest(vector))
        self._extra = 1

    def take(self, room: int) -> list[Vector]:
        """The next ones: at most half of a generation of `room` candidates, but one at least, and what `next` put."""
        taken = self._waiting[: max(1, room // 2) + self._extra]
        self._extra = 0
        del self._waiting[: len(taken)]
        return taken


@dataclass(frozen=True)
class Answer:
    """What was told of one generation.

    rows: (rows, N) the candidates as scored; losses: `None` for one that failed;
    estimated: whether a loss is only an estimate.
    """

    rows: Vector
    losses: tuple[float | None, ...]
    estimated: tuple[bool, ...]

    @classmethod
    def read(
        cls,
        asked: Vector | None,
        losses: Sequence[float | None],
        vectors: ArrayLike | None,
        partial: Sequence[bool] | None,
    ) -> Answer:
        """Check the arguments of `tell`.  Raises RuntimeError or ValueError: the caller's defects."""
        if asked is None:
            raise RuntimeError("tell before ask")
        rows = asked if vectors is None else np.array(vectors, dtype=np.float64)
        estimated = (False,) * len(asked) if partial is None else tuple(bool(flag) for flag in partial)
        if rows.shape != asked.shape or len(losses) != len(asked) or len(estimated) != len(asked):
            raise ValueError(f"{len(asked)} candidates were asked for, {len(losses)} losses told")
        return cls(rows, tuple(finite_or_none(loss) for loss in losses), estimated)

    @property
    def full(self) -> tuple[float | None, ...]:
        """The losses, without the estimates."""
        return tuple(None if guess else loss for loss, guess in zip(self.losses, self.estimated))

    @property
    def ranked(self) -> tuple[float | None, ...]:
        """Losses to rank by: estimates keep their order, and come behind every full loss."""
        full = [loss for loss in self.full if loss is not None]
        guesses = [loss for loss, guess in zip(self.losses, self.estimated) if guess and loss is not None]
        if not full or not guesses:
            return self.losses
        behind = max(0.0, max(full) - min(guesses))
        return tuple(
            loss + behind if guess and loss is not None else loss for loss, guess in zip(self.losses, self.estimated)
        )
