"""What an analysis of a prompt's words tells, worked out from its record, and the events on the way to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..effects import Array, Effect, effect
from ..run import seeds
from ..run.likely import PARTS, views
from ..store import Measured, Record, RunFolder, Unchanged, events
from ..store.wordings import shown

VERSION = 4
INTERRUPTED = "interrupted by the user"
KEPT = 4  # images that are kept of each wording, and shown of the unchanged prompt and the targets
PAIRS = 4
"""Noises at each part of the sampling, each with its opposite: as few as an interval can be told from."""
HINT = (
    "A hint: nothing was rendered. On the embedded model its order of the words correlates by 0.81 with that of "
    "rendered images, and 70 % of the changes that both prove have the same sign."
)
"""What `python -m benchmarks.analysis` measured."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One axis at another value, mostly a word at another weight, against the unchanged prompt.

    fit, spread: changes of the losses; below zero is better.  image: mean ꟻLIP to the unchanged image of the same seed.
    By likelihood: fit is the change of the misfit to the targets, 1 being what the prompt's words do to it on the root
    mean square, image the mean size of that change; there is no spread.
    """

    weight: float
    prompt: str
    negative_prompt: str
    fit: Effect
    spread: Effect | None
    image: Effect
    images: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Word:
    """What a word, or another axis, does.

    image: mean over both sides; lowered or raised is None at the end of the range, and where it was not measured.
    phrase: what it was split from, "" for none.  seeds: how many it was measured on, 0 by likelihood.
    """

    label: str
    side: str
    weight: float
    image: Effect
    fit: Effect
    lowered: Side | None
    raised: Side | None
    phrase: str = ""
    seeds: int = 0


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The whole result; words: those that move the image, or the misfit, most first.

    hint: how far the figures can be trusted; "" for what was rendered.  fit, spread: of the unchanged prompt, 0 by
    likelihood.  evaluations: the denoiser's, in images x steps.  rendered: images.  axes: (label, side) of every word,
    setting or phrase of the prompt, in reading order.
    """

    state: str
    reason: str
    config: RunConfig
    options: AnalysisOptions
    host: dict[str, Any]
    time: str
    seeds: tuple[int, ...]
    target_source: str
    target_images: tuple[str, ...]
    images: tuple[str, ...]
    fit: float
    spread: float
    words: tuple[Word, ...]
    hint: str = ""
    evaluations: int = 0
    rendered: int = 0
    axes: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for `analysis.json`."""
        named = ("state", "reason", "host", "time", "fit", "spread", "hint", "evaluations", "rendered")
        plain = {name: getattr(self, name) for name in named}
        lists = {name: list(getattr(self, name)) for name in ("seeds", "target_images", "images")}
        return {
            "version": VERSION,
            **plain,
            **lists,
            "target_source": self.target_source,
            "axes": [{"label": label, "side": side} for label, side in self.axes],
            "config": self.config.to_dict(),
            "options": dataclasses.asdict(self.options),
            "words": [dataclasses.asdict(word) for word in self.words],
        }


@dataclasses.dataclass(frozen=True)
class AnalysisStarted:
    """The folder is there; `words` will be measured, with `auto` in its first pass.  record: what was replayed.

    wordings: that are rendered on all seeds, or looked at, in all, at most; with `auto` about.
    """

    folder: RunFolder
    words: int
    record: Record
    wordings: float


@dataclasses.dataclass(frozen=True)
class AnalysisDone:
    """All is measured, or the user stopped it (`result.state` is "stopped"); `analysis.json` is written."""

    result: Analysis


Event = Union[AnalysisStarted, events.WordMeasured, AnalysisDone]


def result(record: Record) -> Analysis:
    """What a record tells so far; the same for the same record."""
    config, options = RunConfig.from_record(record.config), AnalysisOptions.from_record(record.options)
    likely = options.by == "likelihood"
    rng = np.random.Generator(np.random.PCG64(config.seed))
    rows = shown(record.words)
    found = _likely(rows, rng) if likely else [_rendered(row, rng) for row in rows]
    unchanged = record.unchanged or Unchanged(0.0, 0.0, (), (), 0)
    return Analysis(
        record.state,
        record.reason,
        config,
        options,
        dict(record.host),
        record.ended or record.started,
        _seeds(config, options, len(record.target_images)),
        record.target_source,
        record.target_images[:KEPT],
        unchanged.images[:KEPT],
        unchanged.fit,
        unchanged.spread,
        tuple(sorted(found, key=lambda word: -word.image.mean)),
        HINT if likely else "",
        unchanged.evaluations + sum(row.evaluations for row in record.words),
        record.rendered,
        tuple((axis.label, axis.side) for axis in record.axes),
    )


def _seeds(config: RunConfig, options: AnalysisOptions, targets: int) -> tuple[int, ...]:
    """Of the images, or of the noises."""
    if options.by == "likelihood":
        targets = max(1, targets)
        return tuple(dict.fromkeys(look.seed for look in views(targets, config.steps, pairs(targets))))
    return seeds.analysis_seeds(config.seed, options.analysis_seeds)


def pairs(targets: int) -> int:
    """Noises with their opposites at each part of the sampling, by likelihood: no target is left out."""
    return max(PAIRS, -(-targets // len(PARTS)))


def paired(by: str) -> tuple[str, ...]:
    """The options of two runs' configurations that must be alike for their differences to be paired."""
    return ("seed", "steps") if by == "likelihood" else ("seed",)


def _rendered(row: Measured, rng: np.random.Generator) -> Word:
    sides = {}
    for name, side in row.sides.items():
        fit, spread, image = (effect(values, rng) for values in (side.fits, side.spreads, side.moved))
        sides[name] = Side(side.weight, side.prompt, side.negative_prompt, fit, spread, image, side.images)
    moved, fits = (np.mean([getattr(side, key) for side in row.sides.values()], axis=0) for key in ("moved", "fits"))
    return _word(row, sides, effect(moved, rng), effect(fits, rng), len(fits))


def _likely(rows: Sequence[Measured], rng: np.random.Generator) -> list[Word]:
    found = []
    for row, changes in zip(rows, scaled(rows)):
        sides = {}
        for (name, side), one in zip(row.sides.items(), changes):
            fit, image = (effect(values, rng) for values in (one, abs(one)))
            sides[name] = Side(side.weight, side.prompt, side.negative_prompt, fit, None, image, ())
        moved, fits = (effect(values.mean(axis=0), rng) for values in (abs(changes), changes))
        found.append(_word(row, sides, moved, fits))
    return found


def scaled(rows: Sequence[Measured]) -> list[Array]:
    """(sides, pairs, parts) changes of each word, every part of the sampling counting alike."""
    tables = [np.array([side.changes for side in row.sides.values()]) for row in rows]
    if not tables:
        return []
    unit = np.sqrt((np.concatenate(tables) ** 2).mean(axis=(0, 1)))
    unit[unit == 0.0] = 1.0
    return [table / unit for table in tables]


def _word(row: Measured, sides: Mapping[str, Side], image: Effect, fit: Effect, count: int = 0) -> Word:
    low, high = sides.get("lowered"), sides.get("raised")
    return Word(row.label, row.side, row.weight, image, fit, low, high, row.phrase, count)
