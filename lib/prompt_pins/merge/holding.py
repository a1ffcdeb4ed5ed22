"""Which weight of a merge each block of a loaded model holds, so that only what differs is written.

Standard library only.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping

Put = tuple[float, str]
"""A block's weight, and the precision that it was rounded to."""


class Holding(abc.ABC):
    """A loaded model whose blocks change from merge to merge.

    If a change fails on the way, or is interrupted, the next one makes it good.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._now: dict[str, Put | None] = dict.fromkeys(self.names)

    @abc.abstractmethod
    def _write(self, wanted: Mapping[str, Put | None]) -> None:
        """Put blocks into the model; None: A's own."""

    def put(self, weights: Mapping[str, float], precision: str) -> None:
        """Make the weights those of a merge.  Blocks that have theirs already are not touched."""
        self._set({name: (weight, precision) for name, weight in weights.items()})

    def clear(self) -> None:
        """Make all weights A's own."""
        self._set(dict.fromkeys(self.names))

    def differs(self, weights: Mapping[str, float], precision: str) -> bool:
        """Whether `put` would change anything."""
        return any(self._now.get(name, ()) != (weight, precision) for name, weight in weights.items())

    def _set(self, wanted: Mapping[str, Put | None]) -> None:
        changed = {name: put for name, put in wanted.items() if self._now.get(name, ()) != put}
        if not changed:
            return
        for name in changed:
            self._now.pop(name, None)  # until all of it is there
        self._write(changed)
        self._now |= changed
