"""What a run will do and what it will cost, worked out before anything is rendered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

from .config import RunConfig, SearchOptions
from .host import Host
from .prompt import WeightSpace
from .prompt.nodes import Vary


@dataclasses.dataclass(frozen=True)
class Plan:
    """population: candidates of a generation; generations: at most; levels: the tree of a batch.

    rows: batches of a generation at most, which are one more where the centre is scored in each (rotated seeds).
    evaluations: denoiser evaluations of one batch, in images x steps; plain_evaluations: without the tree.
    """

    space: WeightSpace
    population: int
    rows: int
    generations: int
    batch_size: int
    levels: tuple[tuple[int, ...], ...]
    evaluations: int
    plain_evaluations: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for the journal, without the space."""
        names = ("population", "generations", "batch_size", "evaluations", "plain_evaluations")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "levels": [list(level) for level in self.levels]}

    @property
    def saved(self) -> float:
        """The share of denoiser evaluations that the tree saves, from 0 to below 1."""
        return 1.0 - self.evaluations / self.plain_evaluations


WordWeights = list[tuple[str, float]]


def word_weights(space: WeightSpace, vector: Sequence[float]) -> tuple[WordWeights, WordWeights]:
    """(text, weight) of every unit in order, those of the prompt and those of the negative prompt."""
    positive: WordWeights = []
    negative: WordWeights = []
    for placed in space.units:
        weight = placed.unit.weight if placed.variable is None else float(vector[placed.variable])
        (negative if placed.negative else positive).append((placed.unit.text, weight))
    return positive, negative


def space_json(space: WeightSpace) -> dict[str, Any]:
    """Plain values of a space for the journal: its variables, and every unit with the variable that moves it."""
    units = [
        {
            "text": placed.unit.text,
            "kind": placed.unit.kind,
            "weight": placed.unit.weight,
            "negative": placed.negative,
            "variable": placed.variable,
        }
        for placed in space.units
    ]
    names = ("labels", "original", "low", "high")
    first = {placed.variable: placed.negative for placed in reversed(space.units)}
    negative = [first[variable] for variable in range(space.size)]
    return {**{name: list(getattr(space, name)) for name in names}, "negative": negative, "units": units}


def make_plan(config: RunConfig, host: Host) -> Plan:
    """The plan of a configuration on a host.  Raises `PromptError` if nothing may vary, `OptionError`."""
    space = make_space(config, host, config.prompt, config.negative_prompt)
    resolved = SearchOptions.resolve(config, space.size)
    size = config.batch_size
    return Plan(
        space,
        resolved.lambda_,
        resolved.lambda_ + (config.seed_policy == "rotated"),
        resolved.generations,
        size,
        host.levels(size, config, forked=True),
        host.evaluations(size, config, forked=True),
        host.evaluations(size, config, forked=False),
    )


def make_space(config: RunConfig, host: Host, positive: str, negative: str) -> WeightSpace:
    """The space of two prompts as the configuration varies them.  Raises `PromptError`."""
    return WeightSpace.build(
        positive,
        negative,
        vary=cast(Vary, config.vary),
        vary_prompt=config.vary_prompt,
        vary_negative=config.vary_negative,
        vary_loras=config.vary_loras,
        embeddings=host.embeddings(),
        low=config.weight_low,
        high=config.weight_high,
    )
