"""The search space: the weights of a positive and a negative prompt as one vector.  Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import OptionError, PromptError
from .nodes import Prompt, Vary
from .parser import parse
from .printer import DECIMALS, apply, show
from .units import Span, Unit, spans, units


class SpaceUnit(NamedTuple):
    """A unit, the prompt it is in, and the variable that moves it (None: it does not vary)."""

    unit: Unit
    negative: bool
    variable: int | None


@dataclass(frozen=True, slots=True)
class WeightSpace:
    """N variables in order of appearance, positive prompt first; frozen units have none, ties share one.

    original, low, high, labels: one entry for each variable.  Units of a tie that start at
    different weights start at their mean, rounded as printed.
    """

    positive: Prompt
    negative: Prompt
    original: list[float]
    low: list[float]
    high: list[float]
    labels: list[str]
    units: tuple[SpaceUnit, ...]
    _plans: tuple[list[Span], list[Span]]

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
    ) -> WeightSpace:
        """Parse both prompts and number their variables.

        low, high: bounds of a unit whose prompt sets none; they are widened to hold its original weight.
        Raises PromptError if nothing is left to vary or the ranges of a tie do not meet, OptionError for bounds
        that are negative or upside down.
        """
        if not 0 <= low < high:
            raise OptionError("low, high", (low, high), "0 <= low < high")
        prompts = parse(positive, embeddings), parse(negative, embeddings, negative=True)
        plans = spans(prompts[0], vary, vary_loras), spans(prompts[1], vary)
        builder = _Builder(low, high)
        found = units(prompts[0], vary, vary_loras), units(prompts[1], vary)
        for many, is_negative, varies in ((found[0], False, vary_prompt), (found[1], True, vary_negative)):
            for unit in many:
                builder.take(unit, is_negative, varies and not unit.fixed)
        if not builder.members:
            reasons = dict.fromkeys(part.opaque for prompt in prompts for part in prompt.parts if part.opaque)
            raise PromptError("there is nothing to vary: " + ("; ".join(reasons) or "no words, or all are fixed"))
        bounds = [builder.bounds(members) for members in builder.members]
        return cls(
            prompts[0],
            prompts[1],
            [bound[0] for bound in bounds],
            [bound[1] for bound in bounds],
            [bound[2] for bound in bounds],
            builder.labels(),
            tuple(builder.units),
            plans,
        )

    @property
    def size(self) -> int:
        """The number of variables, N."""
        return len(self.original)

    def round(self, vector: Sequence[float]) -> list[float]:
        """The vector as printed: 3 decimals, or exactly the original weight."""
        self._check(vector)
        return [float(show(float(value), original)) for value, original in zip(vector, self.original)]

    def render(self, vector: Sequence[float]) -> tuple[str, str]:
        """The positive and the negative prompt with these weights, in plain host syntax."""
        vector = self.round(vector)
        texts = []
        for prompt, plan, negative in ((self.positive, self._plans[0], False), (self.negative, self._plans[1], True)):
            mine = [unit for unit in self.units if unit.negative == negative]
            weights = [unit.unit.weight if unit.variable is None else vector[unit.variable] for unit in mine]
            texts.append(apply(prompt, plan, weights))
        return texts[0], texts[1]

    def _check(self, vector: Sequence[float]) -> None:
        if len(vector) != self.size:
            raise OptionError("vector", len(vector), f"as many weights as there are variables, {self.size}")


class _Builder:
    """Numbers the variables."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high
        self.units: list[SpaceUnit] = []
        self.members: list[list[SpaceUnit]] = []
        self._ties: dict[str, int] = {}

    def take(self, unit: Unit, negative: bool, varies: bool) -> None:
        variable = None
        if varies:
            variable = self._ties.get(unit.tie, len(self.members)) if unit.tie is not None else len(self.members)
            if variable == len(self.members):
                self.members.append([])
            if unit.tie is not None:
                self._ties[unit.tie] = variable
        placed = SpaceUnit(unit, negative, variable)
        self.units.append(placed)
        if variable is not None:
            self.members[variable].append(placed)

    def bounds(self, members: list[SpaceUnit]) -> tuple[float, float, float]:
        """(original, low, high) of the variable that moves these units."""
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

    def labels(self) -> list[str]:
        """A name for each variable, each one only once."""
        seen: dict[str, int] = {}
        names: list[str] = []
        for members in self.members:
            first = members[0]
            text = " + ".join(dict.fromkeys(" ".join(member.unit.text.split()) for member in members))
            name = ("negative: " if first.negative else "") + text
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
        return names


def _plain(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")
