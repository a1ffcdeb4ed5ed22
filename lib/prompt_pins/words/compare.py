"""Two analyses of one prompt, word by word: what changed between them, and which differences are proven.

Both have measured their words on the same seeds, so the differences are paired, seed by seed.  Imports numpy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..effects import Array, Effect, effect
from ..errors import OptionError
from ..options import declarations, defaults
from ..run.targets import MASK
from ..store import Measured, Record, RunFolder
from ..store.wordings import SIDES, shown
from .result import KEPT, paired, scaled

VERSION = 1
LONGEST = 400  # characters of a value that changed
FILES = ("target", "target_weights", "mask")
UNTOLD = ("version", "torch", "threads", "device", "embeddings_folder", "loras_folder", "prompt_pins", "name")
"""Parts of a host's description that are no setting of the user's."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What differs between the analyses, besides their words."""

    what: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True)
class Difference:
    """One word in both analyses.

    before, after: how far the image moves, the mean over the seeds and sides that both have.  image: the difference,
    after less before.  lowered, raised: that of the change of fit (by likelihood, of the misfit); None where one of
    them has no such side.  seeds: how many are paired.
    """

    label: str
    side: str
    before: float
    after: float
    image: Effect
    lowered: Effect | None
    raised: Effect | None
    images: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    seeds: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """words: those that differ most first.  fit: of the unchanged prompts, after less before; None by likelihood.

    alone: words that only one of them has.  one_target: whether both were compared with the same target, whose parts
    count alike.
    """

    names: tuple[str, str]
    prompts: tuple[str, str]
    by: str
    changes: tuple[Change, ...]
    words: tuple[Difference, ...]
    alone: tuple[str, ...]
    fits: tuple[float, float]
    fit: Effect | None
    one_target: bool
    step: float
    images: tuple[tuple[str, ...], tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"version": VERSION, **dataclasses.asdict(self)}


def compare(before: RunFolder, after: RunFolder) -> Comparison:
    """Raises `OptionError` where they have no word in common, or not the same seeds and step; `StoreError`."""
    folders = (before, after)
    records = tuple(_record(folder) for folder in folders)
    first, second = records
    configs = [RunConfig.from_record(record.config) for record in records]
    options = [AnalysisOptions.from_record(record.options) for record in records]
    for name in ("by", "analysis_step"):
        _alike(name, [getattr(one, name) for one in options], before)
    for name in paired(options[0].by):
        _alike(name, [getattr(config, name) for config in configs], before)
    rows = [shown(record.words) for record in records]
    known = [{row.label: row for row in some} for some in rows]
    common = [label for label in known[0] if label in known[1]]
    if not common:
        raise OptionError("against", before.path.name, "an analysis with a word in common")
    rng = np.random.Generator(np.random.PCG64(configs[0].seed))
    tables = [dict(zip(some, map(_values, rows[i], _scaled(rows[i], options[i])))) for i, some in enumerate(known)]
    found = [_difference(known[0][label], known[1][label], tables[0][label], tables[1][label], rng) for label in common]
    unchanged = [record.unchanged for record in records]
    aims = tuple(_target_changes(_aim(before, first), _aim(after, second)))
    base = None
    if unchanged[0] is not None and unchanged[1] is not None:
        pairs = list(zip(unchanged[0].fits, unchanged[1].fits))
        base = effect([new - old for old, new in pairs], rng)
    return Comparison(
        (before.path.name, after.path.name),
        (configs[0].prompt, configs[1].prompt),
        options[0].by,
        (*_changes(first, second), *aims),
        tuple(sorted((row for row in found if row is not None), key=lambda row: -abs(row.image.mean))),
        tuple(label for label in {**known[0], **known[1]} if label not in common),
        (unchanged[0].fit if unchanged[0] else 0.0, unchanged[1].fit if unchanged[1] else 0.0),
        base,
        not aims,
        options[0].analysis_step,
        tuple(one.images[:KEPT] if one else () for one in unchanged),  # type: ignore[arg-type]
    )


def _record(folder: RunFolder) -> Record:
    record = folder.record()
    if record.task != "words" or not record.words:
        raise OptionError("against", folder.path.name, "the number of an analysis that has measured a word")
    return record


def _alike(name: str, values: Sequence[object], folder: RunFolder) -> None:
    before, after = values
    if before != after:
        allowed = f"{before!r}, as in analysis {folder.path.name}: differences are paired by seeds"
        raise OptionError(name, after, allowed)


def _scaled(rows: Sequence[Measured], options: AnalysisOptions) -> list[Array | None]:
    return list(scaled(rows)) if options.by == "likelihood" else [None] * len(rows)


Table = dict[str, tuple[Array, Array]]
"""Of each side (how far it moves, change of fit): (seeds,), or (pairs, parts)."""


def _values(row: Measured, changes: Array | None) -> Table:
    if changes is None:
        return {name: (np.array(side.moved), np.array(side.fits)) for name, side in row.sides.items()}
    return {name: (abs(one), one) for name, one in zip(row.sides, changes)}


def _difference(
    before: Measured, after: Measured, old: Table, new: Table, rng: np.random.Generator
) -> Difference | None:
    sides = [name for name in SIDES if name in old and name in new]
    if not sides:
        return None
    least = np.min([table[name][0].shape for table in (old, new) for name in sides], axis=0)
    both = tuple(map(slice, least.tolist()))
    moved = [np.mean([table[name][0][both] for name in sides], axis=0) for table in (old, new)]
    fits = {name: effect(new[name][1][both] - old[name][1][both], rng) for name in sides}
    images = {name: (before.sides[name].images, after.sides[name].images) for name in sides}
    return Difference(
        before.label, before.side, float(moved[0].mean()), float(moved[1].mean()), effect(moved[1] - moved[0], rng),
        fits.get("lowered"), fits.get("raised"), images, int(least[0]),
    )  # fmt: skip


def _changes(before: Record, after: Record) -> Iterator[Change]:
    """What differs in configuration and host."""
    known, usual = declarations(RunConfig), defaults(RunConfig)
    for name in known:
        if name in FILES or known[name].group not in AnalysisOptions.RUN_GROUPS:
            continue
        old, new = (record.config.get(name, usual[name]) for record in (before, after))
        if old != new:
            yield Change(known[name].label, _text(old), _text(new))
    old_host, new_host = before.host, after.host
    for name in dict.fromkeys([*old_host, *new_host]):
        old, new = old_host.get(name), new_host.get(name)
        if old == new or name in UNTOLD:
            continue
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            parts = [part if isinstance(part, Mapping) else {} for part in (old, new)]
            for key in sorted({*parts[0], *parts[1]}):
                if parts[0].get(key) != parts[1].get(key):
                    yield Change(str(key), _text(parts[0].get(key)), _text(parts[1].get(key)))
        else:
            yield Change(name.replace("_", " "), _text(old), _text(new))


def _text(value: Any) -> str:
    text = "–" if value in (None, "", [], ()) else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@dataclasses.dataclass(frozen=True)
class _Aim:
    """What an analysis was compared with: the content of the files, a mask's b"" where there is none; the weights."""

    images: tuple[bytes, ...]
    masks: tuple[bytes, ...]
    weights: tuple[float, ...]


def _aim(folder: RunFolder, record: Record) -> _Aim:
    images = [folder.inside(name) for name in record.target_images]
    masks = [folder.generation(0) / MASK.format(f"{index:05d}") for index in range(len(images))]

    def content(paths: Sequence[Path]) -> tuple[bytes, ...]:
        return tuple(path.read_bytes() if path.is_file() else b"" for path in paths)

    return _Aim(content(images), content(masks), record.target_weights)


def _target_changes(before: _Aim, after: _Aim) -> Iterator[Change]:
    """What differs in the target, its mask and its weights, of which only the proportions count."""
    label = {name: known.label for name, known in declarations(RunConfig).items()}
    if before.images != after.images:
        old, new = (len(one.images) for one in (before, after))
        yield Change(label["target"], f"{old} image{'s' * (old != 1)}", f"{new} other image{'s' * (new != 1)}")
    if before.masks != after.masks and any((*before.masks, *after.masks)):
        old_mask, new_mask = (any(one.masks) for one in (before, after))
        other = "another mask" if old_mask else "a mask"
        yield Change(label["mask"], "a mask" if old_mask else "–", other if new_mask else "–")
    shares = [np.array(one.weights) / np.mean(one.weights or 1.0) for one in (before, after)]
    if shares[0].shape == shares[1].shape and not np.allclose(*shares):
        yield Change(label["target_weights"], *(", ".join(map("{:g}".format, one.weights)) for one in (before, after)))
