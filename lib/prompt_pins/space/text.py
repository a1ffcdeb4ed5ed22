"""The group of the prompts: the weights of their words and the multipliers of their LoRA tags.

Both stand in the same texts, so their axes are in order of appearance, the positive prompt's first.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import OptionError, PromptError
from ..host import Recipe
from ..prompt.nodes import Prompt, Vary
from ..prompt.parser import parse
from ..prompt.printer import DECIMALS, apply, mark, show
from ..prompt.steering import inward
from ..prompt.units import Span, Unit, read_weights, spans, units
from ..store import Axis
from .space import Part

SIDES = ("prompt", "negative")
PRINTED = 0.0005
"""Weights that are closer than this are printed alike."""


class Placed(NamedTuple):
    """A unit, the prompt it is in, and the axis that moves it (None: it does not vary)."""

    unit: Unit
    side: str
    axis: int | None


@dataclass(frozen=True)
class Text:
    """Both prompts.  Frozen units have no axis, ties share one.

    Units of a tie that start at different weights start at their mean, rounded as printed.
    """

    prompts: tuple[Prompt, Prompt]
    axes: tuple[Axis, ...]
    units: tuple[Placed, ...]
    plans: tuple[list[Span], list[Span]]

    @classmethod
    def build(
        cls,
        positive: str,
        negative: str = "",
        *,
        vary: Vary = "words",
        vary_prompt: bool = True,
        vary_negative: bool = True,
        vary_loras: bool = False,
        embeddings: Collection[str] = (),
        low: float = 0.0,
        high: float = 2.0,
    ) -> Text:
        """Parse both prompts and number their axes; none where nothing varies.

        low, high: bounds of a unit whose prompt sets none; they are widened to hold its original weight.
        Raises PromptError if the ranges of a tie do not meet, OptionError for bounds that are negative or upside down,
        or hold no two weights that can be printed.
        """
        check_bounds(low, high)
        prompts = parse(positive, embeddings), parse(negative, embeddings, negative=True)
        plans = spans(prompts[0], vary, vary_loras), spans(prompts[1], vary)
        builder = Builder(low, high)
        found = units(prompts[0], vary, vary_loras), units(prompts[1], vary)
        for many, side, varies in zip(found, SIDES, (vary_prompt, vary_negative)):
            for unit in many:
                builder.take(unit, side, varies and not unit.fixed)
        return cls(prompts, builder.axes(), tuple(builder.units), plans)

    def places(self) -> list[list[tuple[str, int, int]]]:
        """(N,) where the units of each axis stand: (side, first column, column after the last) of each."""
        found: list[list[tuple[str, int, int]]] = [[] for _ in self.axes]
        for placed in self.units:
            if placed.axis is not None:
                found[placed.axis].append((placed.side, placed.unit.start, placed.unit.end))
        return found

    @property
    def reasons(self) -> list[str]:
        """Why parts of the prompts could not be taken apart."""
        return list(dict.fromkeys(part.opaque for prompt in self.prompts for part in prompt.parts if part.opaque))

    def set(self, recipe: Recipe, values: Sequence[float]) -> Recipe:
        """The recipe with both prompts at these weights, in plain host syntax."""
        texts = []
        for prompt, plan, side in zip(self.prompts, self.plans, SIDES):
            weights = [_weight(unit, values) for unit in self.units if unit.side == side]
            texts.append(apply(prompt, plan, weights))
        return replace(recipe, prompt=texts[0], negative_prompt=texts[1])

    def ranged(self, low: Sequence[float], high: Sequence[float]) -> tuple[str, str]:
        """Both prompts with these bounds of each axis written as ranges, which steer a search; multipliers have none.

        What is frozen or tied stays so.
        """
        texts = []
        for prompt, plan, side in zip(self.prompts, self.plans, SIDES):
            texts.append(mark(prompt, plan, [_mark(unit, low, high) for unit in self.units if unit.side == side]))
        return texts[0], texts[1]

    def read(self, prompts: tuple[str, str], embeddings: Collection[str], vary: Vary, vary_loras: bool) -> list[float]:
        """The values at which these words stand in other prompts; a tie has the mean of its units.

        Raises `PromptError` where the words are others, or one that does not vary has another weight.
        """
        given = read_weights(self.prompts[0], prompts[0], embeddings, vary, vary_loras)
        given += read_weights(self.prompts[1], prompts[1], embeddings, vary)
        members: list[list[float]] = [[] for _ in self.axes]
        for placed, weight in zip(self.units, given, strict=True):
            if placed.axis is not None:
                members[placed.axis].append(weight)
            elif not placed.unit.fixed and abs(weight - placed.unit.weight) >= PRINTED:
                raise PromptError(f"{placed.unit.text!r} at {placed.unit.weight:.7g}, where it stays")
        pairs = zip(members, self.axes)  # of several payloads some have no unit of an axis
        return [sum(weights) / len(weights) if weights else axis.original for weights, axis in pairs]

    def parts(self, values: Sequence[float]) -> Iterator[Part]:
        """Each unit's text and weight."""
        for unit in self.units:
            yield Part(unit.unit.text, _weight(unit, values), unit.side)


def check_bounds(low: float, high: float) -> None:
    """Raises OptionError for bounds of weights that cannot be."""
    least, most = inward(low, high)
    if not 0 <= low < high or least >= most:
        raise OptionError("low, high", (low, high), f"0 <= low < high, with two weights of {DECIMALS} decimals")


def _weight(placed: Placed, values: Sequence[float]) -> float:
    return placed.unit.weight if placed.axis is None else float(values[placed.axis])


def _mark(placed: Placed, low: Sequence[float], high: Sequence[float]) -> str:
    """How a range is written where a weight would stand."""
    unit = placed.unit
    if placed.axis is None:
        frozen = unit.fixed and unit.kind != "punctuation" and unit.weight >= 0
        return f"={show(unit.weight, unit.weight)}" if frozen else ""
    least, most = (float(side[placed.axis]) for side in (low, high))
    if unit.kind == "lora":
        return ""
    first, last = (f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in (least, most))
    return f"{first}~{last}" + (f"@{unit.tie}" if unit.tie is not None else "") if first != last else f"={first}"


class Builder:
    """Numbers the axes."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high
        self.units: list[Placed] = []
        self.members: list[list[Placed]] = []
        self.ties: dict[Hashable, int] = {}

    def take(self, unit: Unit, side: str, varies: bool, tie: Hashable = None) -> None:
        """tie: what else than its tag ties the unit to others."""
        axis, tie = None, tie if unit.tie is None else unit.tie
        if varies:
            axis = self.ties.get(tie, len(self.members)) if tie is not None else len(self.members)
            if axis == len(self.members):
                self.members.append([])
            if tie is not None:
                self.ties[tie] = axis
        placed = Placed(unit, side, axis)
        self.units.append(placed)
        if axis is not None:
            self.members[axis].append(placed)

    def axes(self) -> tuple[Axis, ...]:
        return tuple(
            Axis(
                _label(members),
                *self.bounds(members),
                side=members[0].side,
                group="loras" if members[0].unit.kind == "lora" else "words",
            )
            for members in self.members
        )

    def bounds(self, members: list[Placed]) -> tuple[float, float, float]:
        """(original, low, high) of the axis that moves these units."""
        units = [member.unit for member in members]
        ranged = [unit for unit in units if unit.low is not None and unit.high is not None]
        original = units[0].weight
        if any(unit.weight != original for unit in units):
            original = round(sum(unit.weight for unit in units) / len(units), DECIMALS)
        if ranged:
            lowest = max(ranged, key=lambda unit: unit.low or 0.0)
            highest = min(ranged, key=lambda unit: unit.high or 0.0)
            low, high = lowest.low or 0.0, highest.high or 0.0
            if low > high:
                raise PromptError(
                    f"the tie @{units[0].tie} cannot hold: {lowest.text!r} must stay at {_plain(low)} or above, "
                    f"{highest.text!r} at {_plain(high)} or below",
                    highest.start + 1,
                )
            if low == high:
                raise PromptError(
                    f"the tie @{units[0].tie} leaves only the weight {_plain(low)}; freeze its units instead"
                )
            return min(max(original, low), high), low, high
        low, high = self.low, self.high
        if units[0].kind == "lora" and original < 0:
            low, high = -high, -low
        return original, min(low, original), max(high, original)


def _label(members: list[Placed]) -> str:
    text = " + ".join(dict.fromkeys(" ".join(member.unit.text.split()) for member in members))
    return f"negative: {text}" if members[0].side == "negative" else text


def _plain(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")
