"""A space of named axes.  Standard library only."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ..errors import OptionError
from ..host import Recipe
from ..prompt.printer import show
from ..prompt.steering import inward
from ..store import Axis


class Part(NamedTuple):
    """A number of a recipe as a reader sees it, whether it varies or not."""

    text: str
    value: float
    side: str


class Group(Protocol):
    """Axes that belong together, and what their values make of a recipe."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """In the order of the values that `set` takes."""

    def set(self, recipe: Recipe, values: Sequence[float]) -> Recipe:
        """The recipe with these values, rounded as they are printed: one for each axis."""

    def parts(self, values: Sequence[float]) -> Iterator[Part]:
        """Every number of the group, those that never vary among them."""


@dataclasses.dataclass(frozen=True)
class Space:
    """N axes; a vector has a value for each, in the axis's own units."""

    groups: tuple[Group, ...]

    @functools.cached_property
    def axes(self) -> tuple[Axis, ...]:
        """All axes, group by group; each label only once."""
        seen: dict[str, int] = {}
        found = []
        for axis in (axis for group in self.groups for axis in group.axes):
            seen[axis.label] = seen.get(axis.label, 0) + 1
            again = seen[axis.label] > 1
            found.append(dataclasses.replace(axis, label=f"{axis.label} ({seen[axis.label]})") if again else axis)
        return tuple(found)

    @property
    def size(self) -> int:
        """N."""
        return len(self.axes)

    @property
    def in_words(self) -> str:
        """`7 weights`, `7 weights and 1 setting`, `4 merge weights`."""
        blocks = sum(axis.group == "blocks" for axis in self.axes)
        settings = sum(axis.side == "settings" for axis in self.axes) - blocks
        counts = ((self.size - settings - blocks, "weight"), (settings, "setting"), (blocks, "merge weight"))
        return " and ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts if count)

    @property
    def labels(self) -> list[str]:
        """(N,) the axes' names."""
        return [axis.label for axis in self.axes]

    @property
    def original(self) -> list[float]:
        """(N,) the user's own values."""
        return [axis.original for axis in self.axes]

    @property
    def low(self) -> list[float]:
        """(N,) lowest values."""
        return [axis.low for axis in self.axes]

    @property
    def high(self) -> list[float]:
        """(N,) highest values."""
        return [axis.high for axis in self.axes]

    @property
    def scale(self) -> list[float]:
        """(N,) what 1 of a word's weight is, in the axis's own units."""
        return [axis.scale for axis in self.axes]

    def round(self, vector: Sequence[float]) -> list[float]:
        """The vector as printed: so many decimals as the axis has, or exactly the original value.

        What lies within an axis's bounds stays there, also where these have more decimals.
        """
        if len(vector) != self.size:
            raise OptionError("vector", len(vector), f"as many values as there are axes, {self.size}")
        return [_printed(float(value), axis) for value, axis in zip(vector, self.axes)]

    def recipe(self, vector: Sequence[float]) -> Recipe:
        """What the host renders at a vector."""
        recipe = Recipe("")
        for group, values in self._shared_out(vector):
            recipe = group.set(recipe, values)
        return recipe

    def parts(self, vector: Sequence[float]) -> list[Part]:
        """Every number of the recipe at a vector, in reading order."""
        return [part for group, values in self._shared_out(vector) for part in group.parts(values)]

    def _shared_out(self, vector: Sequence[float]) -> Iterator[tuple[Group, list[float]]]:
        values = self.round(vector)
        for group in self.groups:
            count = len(group.axes)
            yield group, values[:count]
            values = values[count:]


def _printed(value: float, axis: Axis) -> float:
    printed = float(show(value, axis.original, axis.decimals))
    if axis.low <= printed <= axis.high or not axis.low <= value <= axis.high:
        return printed
    low, high = inward(axis.low, axis.high, 10**axis.decimals)
    return min(max(printed, low), high)
