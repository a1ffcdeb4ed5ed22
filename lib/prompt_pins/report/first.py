"""What was known before the first image: what each word does to how likely the targets are, and where it led.

Plain values for the run's page and for `run.json`, from the journal's `likely` record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..search.downhill import effects, told
from ..store import Likely, Record

SHOWN = 12
"""Words that are seen at once."""
NAMED = 3
UNIT = 0.1
"""Of weight, for which an effect is told: about what a hand would change."""


@dataclasses.dataclass(frozen=True)
class Hint:
    """What a word does: by what share better the targets are explained with UNIT more of it, and its standard error.

    tells: whether more than the error; the search began elsewhere for it.  before, after: its weight, and the start's.
    """

    label: str
    effect: float
    error: float
    tells: bool
    before: float
    after: float

    @property
    def moved(self) -> bool:
        """Whether the printed weight of the start is another."""
        return abs(self.after - self.before) >= 5e-4


@dataclasses.dataclass(frozen=True)
class First:
    """hints: those that tell most first.  began: whether the search began elsewhere than at the original.

    share: of the search's evaluations that it took.
    original, start: losses on the same seeds, None where not known; fell_back: None before that is decided.
    """

    hints: tuple[Hint, ...]
    telling: int
    began: bool
    prompt: str
    negative_prompt: str
    evaluations: int
    seconds: float
    share: float
    original: float | None
    start: float | None
    fell_back: bool | None

    @property
    def shown(self) -> tuple[Hint, ...]:
        """The strongest."""
        return self.hints[:SHOWN]

    @property
    def rest(self) -> tuple[Hint, ...]:
        """The others."""
        return self.hints[SHOWN:]

    @property
    def strongest(self) -> list[str]:
        """`more “red”`: what would make the target likelier, of the words that tell most."""
        return [f"{'more' if hint.effect > 0 else 'less'} “{hint.label}”" for hint in self.hints[:NAMED] if hint.tells]

    @property
    def reach(self) -> tuple[float, float]:
        """(lowest, highest) effect with its error, zero, and some room."""
        ends = [0.0, *(hint.effect + sign * hint.error for hint in self.hints for sign in (-1, 1))]
        room = 0.03 * (max(ends) - min(ends)) or 1.0
        return min(ends) - room, max(ends) + room


def first(record: Record) -> First | None:
    """None where the run did not ask."""
    found = record.likely
    if found is None:
        return None
    rows = {c.index: c.loss for c in record.candidates if c.generation == 1} if found.mean else {}
    state = record.generations[0].state if record.generations else {}
    hints = _hints(record, found)
    return First(
        hints,
        sum(hint.tells for hint in hints),
        bool(found.mean),
        found.prompt,
        found.negative_prompt,
        found.evaluations,
        found.seconds.get("wall", 0.0),
        found.evaluations / max(1, record.evaluations),
        rows.get(0),
        rows.get(1),
        state.get("fell_back") if found.mean else None,
    )


def _hints(record: Record, found: Likely) -> tuple[Hint, ...]:
    slopes, errors = effects(found.misfits, found.steps)
    sure = told(found.misfits, found.steps)
    mean: Sequence[float] = found.mean or [axis.original / axis.scale for axis in record.axes]
    rows = [
        (abs(sure[i]), abs(slopes[i]), Hint(
            axis.label, -UNIT * float(slopes[i]), UNIT * float(errors[i]), bool(sure[i]), axis.original,
            float(mean[i] * axis.scale),
        ))
        for i, axis in enumerate(record.axes[: len(found.steps)])
        if found.steps[i]
    ]  # fmt: skip
    return tuple(hint for *_, hint in sorted(rows, key=lambda row: (-row[0], -row[1])))


def summary(record: Record) -> dict[str, object] | None:
    """The same as plain JSON values, without the words."""
    found = first(record)
    if found is None:
        return None
    names = ("telling", "prompt", "negative_prompt", "evaluations", "fell_back")
    words = {"words": len(found.hints), **{name: getattr(found, name) for name in names}}
    return {**words, "seconds": round(found.seconds, 3), "loss": found.start, "loss_original": found.original}
