"""What is measured of words, by an analysis or at the end of a run, as the journal has it: at other weights, by seed.

Effects and their intervals are worked out from these numbers, so they are the same after each replay.  Standard
library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

SIDES = ("lowered", "raised")
Numbers = tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Unchanged:
    """The prompt as it is, on the seeds that its words are measured on.

    fit, spread: its losses; fits: each seed's own.  images: paths of all of them, relative to the folder, without loss;
    () of a run, which keeps none.
    evaluations: denoiser evaluations spent, in images x steps.
    """

    fit: float
    spread: float
    fits: Numbers
    images: tuple[str, ...]
    evaluations: int
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Wording:
    """One word at another weight, against the unchanged prompt on the same seeds.

    By images, one value for each seed.  moved: ꟻLIP to the unchanged image.  fits: change of the loss to the targets.
    spreads: pseudo-values of the change of the loss of the images to one another.
    By likelihood, changes: (pairs of noises, parts of the sampling) changes of the misfit to the targets.
    """

    weight: float
    prompt: str
    negative_prompt: str
    moved: Numbers = ()
    fits: Numbers = ()
    spreads: Numbers = ()
    images: tuple[str, ...] = ()
    changes: tuple[Numbers, ...] = ()


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is measured as one: a word, a phrase, or a setting.

    side: "prompt", "negative" or "settings".  weight: the user's own.
    phrase: the phrase that it was split from, "" for none.  lowered, raised: None where it was not measured so.
    evaluations: denoiser evaluations spent.
    """

    label: str
    side: str
    weight: float
    evaluations: int
    lowered: Wording | None = None
    raised: Wording | None = None
    phrase: str = ""
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def sides(self) -> dict[str, Wording]:
        """Those that there are, by name."""
        found = {name: getattr(self, name) for name in SIDES}
        return {name: side for name, side in found.items() if side is not None}

    @property
    def mean(self) -> float:
        """How far the image, or the misfit, moves: the mean over seeds and sides."""
        rows = [
            [abs(value) for value in side.moved or (value for row in side.changes for value in row)]
            for side in self.sides.values()
        ]
        return sum(sum(row) / len(row) for row in rows) / len(rows)

    def whole(self) -> Measured:
        """With its sides as records where they are plain values."""
        sides: dict[str, Any] = {name: _wording(side) for name, side in self.sides.items()}
        return dataclasses.replace(self, **sides)


def shown(words: Iterable[Measured]) -> tuple[Measured, ...]:
    """Every word once, as it was measured last, without the phrases whose words were measured by themselves."""
    latest = {word.label: word for word in words}
    split = {word.phrase for word in latest.values() if word.phrase}
    return tuple(word for label, word in latest.items() if label not in split or word.phrase)


def _wording(side: Any) -> Wording:
    """Of plain values, lists or tuples."""
    if isinstance(side, Wording):
        return side
    names = {field.name for field in dataclasses.fields(Wording)} - {"changes"}
    plain: dict[str, Any] = {name: item for name, item in side.items() if name in names}
    plain |= {name: tuple(item) for name, item in plain.items() if isinstance(item, list)}
    return Wording(**plain, changes=tuple(map(tuple, side.get("changes", ()))))
