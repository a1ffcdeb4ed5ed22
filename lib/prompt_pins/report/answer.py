"""Which words hold the images of the pinned prompt, in sentences, as they were measured.  Imports numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..effects import effect
from ..store import Measured, Record, Wording

Interval = tuple[float, float, float]
HOLDS, PULLS, DRIFTS, NOTHING = "holds", "pulls away", "may drift", "does nothing"
VISIBLE = 0.05
"""ꟻLIP to the unchanged image, in the mean, below which nobody would call it another image."""
MOST = 12  # words that a sentence names
SAYS: Mapping[str, tuple[str, str]] = {
    HOLDS: (
        "holds the image: less of it leads away from the target",
        "hold the image: less of each leads away from the target",
    ),
    PULLS: (
        "pulls away: more of it leads away from the target",
        "pull away: more of each leads away from the target",
    ),
    DRIFTS: (
        "may drift: it moves the image, but neither nearer nor further is proven",
        "may drift: they move the image, but neither nearer nor further is proven",
    ),
    NOTHING: ("does nothing: the image hardly moves", "do nothing: the image hardly moves"),
}
"""Of one word, and of many."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What is known of one axis: what it does (of `SAYS`), and what was measured.

    moves: mean ꟻLIP to the unchanged image, over both sides.  lowered, raised: change of the fit, None at a bound.
    """

    label: str
    side: str
    value: float
    does: str
    moves: float
    lowered: Interval | None
    raised: Interval | None

    @property
    def name(self) -> str:
        """As a sentence names it."""
        return f"“{self.label}”" + (f" ({self.side})" if self.side == "negative" else "")


def told(record: Record) -> tuple[Told, ...]:
    """Every word of a run's pinned prompt that was measured, what moves the image most first."""
    rows = [_told(word, place) for place, word in enumerate(record.words)] if record.task == "pin" else []
    return tuple(sorted(rows, key=lambda row: -row.moves))


def _told(word: Measured, place: int) -> Told:
    """With intervals that are the same whenever it is told, alone or with others."""
    rng = np.random.Generator(np.random.PCG64(place))
    found = [None if side is None else _effects(side, rng) for side in (word.lowered, word.raised)]
    fits = [None if side is None else side[0] for side in found]
    does_so = does(*(None if side is None else (side[0], side[1][2]) for side in found))
    return Told(word.label, word.side, word.weight, does_so, word.mean, *fits)


def _effects(side: Wording, rng: np.random.Generator) -> tuple[Interval, Interval]:
    """Of the fit, and of how far the image moves."""
    fit, image = ((found.mean, found.low, found.high) for found in (effect(v, rng) for v in (side.fits, side.moved)))
    return fit, image


def does(lowered: tuple[Interval, float] | None, raised: tuple[Interval, float] | None) -> str:
    """What a word does, of `SAYS`: by what the intervals of the fit prove where the image moves visibly; of less of it
    first.

    lowered, raised: the change of the fit, and how far the image moves at most.
    """
    found = NOTHING
    for side, rises, falls in ((lowered, HOLDS, PULLS), (raised, PULLS, HOLDS)):
        if side is None or side[1] <= VISIBLE:
            continue
        if side[0][1] > 0:
            return rises
        if side[0][2] < 0:
            return falls
        found = DRIFTS
    return found


def groups(record: Record) -> list[tuple[str, list[str], str]]:
    """(what they do, the words' names, what is said of them) of each sentence."""
    rows = [(row.does, row.name) for row in told(record)]
    return [(does, names, SAYS[does][len(names) > 1]) for does, names in alike(rows)]


def alike(rows: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """(what they do, their names) of the words that do the same, in the order of `SAYS`.

    rows: what each one does, and its name.
    """
    found: dict[str, list[str]] = {does: [] for does in SAYS}
    for does, name in rows:
        found[does].append(name)
    return [(does, names) for does, names in found.items() if names]


def sentences(record: Record) -> list[str]:
    """The same as plain text, one line each; [] where nothing was measured."""
    return [f"{in_line(names)} {says}." for _, names, says in groups(record)]


def in_line(names: Sequence[str]) -> str:
    """`a, b and c`; of many the first ones."""
    if len(names) > MOST:
        return f"{', '.join(names[:MOST])} and {len(names) - MOST} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def summary(record: Record) -> list[dict[str, object]] | None:
    """Plain JSON values for `run.json`; None where nothing was measured."""
    rows = [dataclasses.asdict(row) for row in told(record)]
    return rows or None
