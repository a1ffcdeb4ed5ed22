"""What a run tells of its pinned prompt's words, as its journal has it.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Weighed:
    """The pinned prompt with one axis, mostly a word's weight, at another value, against itself on the same seeds.

    seeds: how many.  axis: its place.  before, value: what it has in the pinned prompt, and here.
    fit, spread: (mean, low, high) of what changes in the losses, with its 95 % interval; below zero is better.
    image: of the ꟻLIP to the unchanged image of the same seed.
    evaluations: denoiser evaluations spent, those of the unchanged prompt in the first one's.
    """

    seeds: int
    axis: int
    before: float
    value: float
    fit: tuple[float, float, float]
    spread: tuple[float, float, float]
    image: tuple[float, float, float]
    evaluations: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
