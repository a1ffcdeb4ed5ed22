"""The axes of a space, as a journal's first line has them.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Axis:
    """One number that a search changes.

    label: unlike those of the run's other axes.  original, low, high: in the axis's own units.
    decimals: places that are printed.  scale: so much of it is to the search what 1 is of a word's weight.
    side: "prompt", "negative" or "settings".  group: what sets it, such as "words" or "cfg_scale".
    """

    label: str
    original: float
    low: float
    high: float
    decimals: int = 3
    scale: float = 1.0
    side: str = "prompt"
    group: str = "words"

    @property
    def scaled_label(self) -> str:
        """`CFG scale / 4`: the name of what the search sees of it."""
        return self.label if self.scale == 1 else f"{self.label} / {self.scale:g}"


def axes_json(axes: Iterable[Axis]) -> dict[str, Any]:
    """A space as the journal's first line has it."""
    return {"axes": [dataclasses.asdict(axis) for axis in axes]}


def axes_of(space: Mapping[str, Any]) -> tuple[Axis, ...]:
    """The axes of a journal's space; version 1 has a list for each property of its words instead."""
    if "axes" in space:
        names = {field.name for field in dataclasses.fields(Axis)}
        return tuple(Axis(**{name: item for name, item in axis.items() if name in names}) for axis in space["axes"])
    labels = space.get("labels") or ()
    negative = space.get("negative") or [False] * len(labels)
    columns = (space.get(name) or () for name in ("original", "low", "high"))
    return tuple(
        Axis(str(label), original, low, high, side="negative" if is_negative else "prompt")
        for label, original, low, high, is_negative in zip(labels, *columns, negative)
    )
