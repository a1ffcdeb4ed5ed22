"""What a journal's lines must look like, declared key by key; `Checker` compares each line with it on reading.

A journal may come from another version, a damaged disk or a stranger: what passes here is safe to replay, to show and
to go on with.  Declared are the keys that somebody reads; others are let through.  Standard library only.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Annotated, Any, Optional

from ..errors import shorten
from .axes import Axis
from .questions import PARTS, Question, Verdict
from .records import Candidate, Choice, Held, from_json
from .searching import Generation, Likely
from .wordings import Measured, Unchanged, Wording

LONGEST = 240  # bytes of a name in a run's folder
INSIDE = Annotated[str, "a file or folder inside the run's"]
NUMBER = Annotated[int, 1, 10**8 - 1]  # of a generation: eight digits
COUNT = Annotated[int, 0, 10**12]
SECONDS, TEXTS = Mapping[str, Annotated[float, 0.0, 1e9]], Mapping[str, str]
WEIGHTS = tuple[Annotated[float, -1e15, 1e15], ...]

Shape = Mapping[str, Any]
"""A JSON object: the type of each key, with a ? after the name of one that may be absent; [shape]: a list of them."""


def _declared(cls: Any) -> Shape:
    """The fields of a record as they are declared."""
    hints = typing.get_type_hints(cls)
    needed = {f.name for f in dataclasses.fields(cls) if f.default is f.default_factory}  # both are MISSING
    return {name if name in needed else f"{name}?": hint for name, hint in hints.items()}


CONFIG: Shape = {"prompt?": str, "negative_prompt?": str}  # `RunConfig` checks its values; these are shown before
HOST: Shape = {
    **dict.fromkeys(("name?", "checkpoint?", "device?", "embeddings_folder?", "loras_folder?"), str),
    "size?": tuple[NUMBER, NUMBER], "embeddings?": TEXTS, "loras?": TEXTS,
    "checkpoints?": Mapping[str, Mapping[str, str]],
    "merge?": {"blocks": tuple[str, ...], "gram": tuple[tuple[WEIGHTS, ...], ...]},
    **dict.fromkeys(("merge_with_name?", "merge_with_sha256?", "merge_minus_name?", "merge_minus_sha256?"), str),
}  # fmt: skip
AXES = [{
    **_declared(Axis), **dict.fromkeys(("original", "low", "high"), Annotated[float, -1e15, 1e15]),
    "decimals?": Annotated[int, 0, 9], "scale?": Annotated[float, 1e-9, 1e9],
}]  # fmt: skip
SPACE: Shape = {
    "axes?": AXES,
    "labels?": tuple[str, ...], "original?": WEIGHTS, "low?": WEIGHTS, "high?": WEIGHTS, "negative?": tuple[bool, ...],
}  # fmt: skip
PLAN: Shape = {
    "generations?": COUNT, "evaluations?": COUNT, "plain_evaluations?": COUNT, "levels?": tuple[tuple[int, ...], ...],
    "candidates?": COUNT, "embeddings?": tuple[str, ...],
}  # fmt: skip
ROW = tuple[float, ...]
WARM: Shape = {"mean": ROW, "step_size": float, "shape?": Optional[tuple[ROW, ...]], "proven?": bool}
STATE: Shape = {
    "best?": Optional[ROW], "best_loss?": Optional[float], "mean?": ROW, "std?": ROW, "step_size?": float,
    "axis_ratio?": float, "front?": tuple[tuple[float, float], ...], "fell_back?": bool,
}  # fmt: skip
OPTIONS: Shape = {
    "by?": str, "analysis_seeds?": NUMBER, "analysis_step?": float, "map_candidates?": NUMBER, "map_radius?": float,
}  # fmt: skip
HEAD: Shape = {
    "config": CONFIG, "host": HOST, "plan": PLAN, "time": str, "space?": SPACE, "warm?": WARM,
    "task?": str, "options?": OPTIONS, "split?": tuple[str, ...],
    "points?": tuple[WEIGHTS, ...], "of_run?": INSIDE, "target_of?": str,
}  # fmt: skip
FILES: Shape = {"folder": INSIDE, "images": tuple[INSIDE, ...], "seconds?": SECONDS}
PLACE: Shape = {"generation": NUMBER, "index": COUNT, "evaluations": COUNT, "weights": WEIGHTS}
UNSEEN: Shape = {"images_original": tuple[INSIDE, ...], "images_pinned": tuple[INSIDE, ...], "seconds?": SECONDS}
WORDING: Shape = {**_declared(Wording), "images?": tuple[INSIDE, ...]}

LINES: Mapping[str, Shape] = {
    "run": HEAD,
    "target": {"source": str, "images": tuple[INSIDE, ...], "weights?": WEIGHTS, "payloads?": tuple[NUMBER, ...]},
    "likely": {**_declared(Likely), "evaluations": COUNT, "seconds?": SECONDS},
    "normalisers": {"values": Mapping[str, float]},
    "candidate": {**_declared(Candidate), **PLACE, **FILES},
    "generation": {**_declared(Generation), "generation": NUMBER, "state": STATE, "seconds?": SECONDS},
    "choice": {**_declared(Choice), "evaluations?": COUNT, "seconds?": SECONDS},
    "held": {**_declared(Held), **UNSEEN},
    "unchanged": {**_declared(Unchanged), "images": tuple[INSIDE, ...], "evaluations": COUNT, "seconds?": SECONDS},
    "word": {
        **_declared(Measured),
        "lowered?": WORDING,
        "raised?": WORDING,
        "evaluations": COUNT,
        "seconds?": SECONDS,
    },
    "rendered": {**_declared(Candidate), **PLACE, **FILES},
    "question": {**_declared(Question), "number": NUMBER, "images": tuple[tuple[INSIDE, ...], ...]},
    "verdict": {**_declared(Verdict), "number": NUMBER, "seconds?": SECONDS},
    "stopped": {"reason": str, "time": str},
    "finished": {"reason": str, "time": str},
    "resumed": {"kept?": COUNT},
}


class Checker:
    """Reads a journal's lines in order, and says what is wrong with one."""

    def __init__(self) -> None:
        self._size: int | None = None
        self._scored: set[str] = set()
        self._by, self._task = "images", "pin"
        self._tables: set[tuple[int, ...]] = set()  # shapes of those of an analysis
        self._count = self._kept = 0  # candidates, and those up to the last one with a loss
        self._seen: set[str] = set()  # ids of candidates, also of those that are only rendered
        self._question: Question | None = None  # the last one
        self._questions = 0

    def fault(self, line: Mapping[str, Any]) -> str:
        """The first fault of the next line in words; "" if it is fine, or of a kind of a later version."""
        kind = line["kind"]
        found = fault(line, LINES.get(kind, {})) or next(self._against_others(kind, line), "")
        return f"is no {kind} record: {found}" if found else ""

    def _against_others(self, kind: str, line: Mapping[str, Any]) -> Iterator[str]:
        """What does not fit to the lines before it, or to itself."""
        if kind == "run":
            self._by, self._task = line.get("options", {}).get("by", self._by), line.get("task", self._task)
            if self._task == "map":
                axes, rows = len(line.get("space", {}).get("axes", ())), {len(row) for row in line.get("points", ())}
                if rows != {axes}:
                    yield f"points has not a row of {axes} values for each candidate"
        elif kind == "target" and line.get("weights") and len(line["weights"]) != len(line["images"]):
            yield f"weights has {len(line['weights'])} values for {len(line['images'])} images"
        elif kind == "target" and sum(line.get("payloads") or [len(line["images"])]) != len(line["images"]):
            yield f"payloads has {sum(line['payloads'])} images, images {len(line['images'])}"
        elif kind == "likely":
            size, looks = len(line["steps"]), {len(row) for row in line["misfits"]}
            if len(line["misfits"]) != 1 + size or len(looks) > 1 or max(looks) < 2:
                yield f"misfits has not one row of at least 2 for the original and for each of {size} steps"
            if line.get("mean") and len(line["mean"]) != size:
                yield f"mean has {len(line['mean'])} values for {size} steps"
            self._size = size
        elif kind == "candidate":
            size = self._size = len(line["weights"]) if self._size is None else self._size
            if len(line["weights"]) != size:
                yield f"weights has {len(line['weights'])} values, {size} in the candidates before"
            counts = {len(line.get(name, ())) for name in ("prompts", "shares")} if line["loss"] is not None else set()
            if len(counts) > 1 or {len(texts) for texts in line.get("prompts", ())} - {2}:
                yield "prompts and shares have not two texts and one value for each payload"
            self._count += 1
            self._seen.add(line["id"])
            if line["loss"] is not None:
                self._scored.add(line["id"])
                self._kept = self._count
        elif kind == "resumed" and "kept" in line:
            if not self._kept <= line["kept"] <= self._count:
                yield f"kept is {line['kept']}; allowed: {self._kept} to {self._count}, as only failed ones go"
            self._count = line["kept"]
        elif kind == "rendered":
            self._seen.add(line["id"])
        elif kind == "question":
            yield from self._of_question(line)
        elif kind == "verdict":
            if self._question is None:
                yield "nothing was asked before"
            elif fault := self._question.fault(line):
                yield f"it {fault}"
            self._question = None
        elif kind == "choice":
            if len(line["fits"]) != len(line["contestants"]):
                yield f"fits has {len(line['fits'])} rows for {len(line['contestants'])} contestants"
            if line["chosen"] not in self._scored:
                yield f"chosen is {shorten(line['chosen'])}, and no candidate before has that id and a loss"
        elif kind == "unchanged":
            images = len(line["fits"]) if self._task != "pin" or line["images"] else 0  # a run keeps none
            if len(line["fits"]) < 3 or len(line["images"]) != images:
                yield "fits has not one value for each of at least 3 images"
        elif kind == "word":
            yield from self._of_word([line[name] for name in ("lowered", "raised") if name in line])
        elif kind == "held" and _payloads_of(line) - {(2, len(line["seeds"]), len(line["seeds"]), 3)}:
            yield "payload_fits and payload_gains have not two rows of fits and three values for each payload"
        elif kind == "held" and not 0 < len(line["seeds"]) == len(line["fits_original"]) == len(line["fits_pinned"]):
            yield "fits_original and fits_pinned have not one value for each seed"

    def _of_question(self, line: Mapping[str, Any]) -> Iterator[str]:
        """Questions are numbered in order, and show candidates that there are."""
        question = from_json(line)
        self._question, self._questions = question, self._questions + 1
        rows = {len(row) for row in question.images}
        if question.number != self._questions:
            yield f"number is {question.number}, and {self._questions - 1} were asked before"
        elif question.part not in PARTS:
            yield f"part is {shorten(question.part)}; allowed: {', '.join(PARTS)}"
        elif not set(question.ids) <= self._seen or len(set(question.ids)) < len(question.ids):
            yield "ids has not one name each of candidates before"
        elif question.part == "unseen" and (len(question.ids) != 2 or rows != {2}):
            yield "images has not a left and a right one for each seed"
        elif question.part != "unseen" and (len(question.ids) < 2 or len(question.images) != len(question.ids)):
            yield "images has not a row for each of at least 2 ids"

    def _of_word(self, sides: list[Mapping[str, Any]]) -> Iterator[str]:
        """By images all sides have values of the same seeds; by likelihood all tables of a journal are alike."""
        seeds = {len(side.get(name, ())) for side in sides for name in ("moved", "fits", "spreads")}
        tables = {tuple(map(len, side.get("changes", ()))) for side in sides}
        if not sides:
            yield "it has neither a lowered nor a raised side"
        elif (tables == {()}) == (self._by == "likelihood"):
            yield f"it is not measured by {self._by}, as this analysis is"
        elif tables == {()}:
            if len(seeds) > 1 or min(seeds) < 3:
                yield "moved, fits and spreads have not one value for each of at least 3 seeds"
        elif seeds != {0} or len(tables | self._tables) > 1 or len(min(tables)) < 2 or len(set(min(tables))) > 1:
            yield "a side has not one whole table of changes, as those before"
        self._tables |= tables


def _payloads_of(line: Mapping[str, Any]) -> set[tuple[int, ...]]:
    """Of each payload of a check: its rows of fits, the length of each, its values of the gain."""
    pairs = zip_longest(line.get("payload_fits", ()), line.get("payload_gains", ()), fillvalue=())
    return {(len(fits), *map(len, fits), len(gains)) for fits, gains in pairs}


def fault(value: Any, wanted: Any) -> str:
    """Where a value is not of the type or shape that is wanted, in words; "" if it is."""
    return next(_faults("", value, wanted), "")


def _faults(path: str, value: Any, wanted: Any) -> Iterator[str]:
    """Where a value is not of the type that is wanted, in words."""
    if isinstance(wanted, Mapping):
        yield from _keys(path, value, wanted)
        return
    if isinstance(wanted, list):
        if not isinstance(value, list):
            yield _said(path, value, "a list")
            return
        for index, item in enumerate(value):
            yield from _keys(f"{path}[{index}]", item, wanted[0])
        return
    origin, parts = _parts(wanted)
    if origin in (typing.Union, types.UnionType):
        if value is not None:
            yield from _faults(path, value, parts[0])
    elif origin is tuple:
        if not isinstance(value, list) or (parts[-1] is not ... and len(value) != len(parts)):
            yield _said(path, value, "a list" if parts[-1] is ... else f"a list of {len(parts)}")
            return
        for index, item in enumerate(value):
            if not _fits(item, parts[0]):
                yield from _faults(f"{path}[{index}]", item, parts[0])
    elif origin is collections.abc.Mapping:
        if not isinstance(value, dict):
            yield _said(path, value, "an object")
            return
        for key, item in value.items():
            yield from _faults(f"{path}.{key}", item, parts[1])
    elif not _fits(value, wanted):
        yield _said(path, value, _words(wanted))


def _keys(path: str, value: Any, wanted: Shape) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _said(path, value, "an object")
        return
    for name, kind in wanted.items():
        key = name.rstrip("?")
        place = f"{path}.{key}" if path else key
        if key in value:
            yield from _faults(place, value[key], kind)
        elif key == name:
            yield f"it has no {place}"


@functools.cache
def _parts(wanted: Any) -> tuple[Any, tuple[Any, ...]]:
    """(what a type is made with, its parts); the None of an optional one last."""
    parts = typing.get_args(wanted)
    return typing.get_origin(wanted), tuple(sorted(parts, key=lambda part: part is type(None)))


@functools.cache
def _plain(wanted: Any) -> tuple[Any, Any, Any]:
    """(type, lowest, highest) of a plain one."""
    low, high = getattr(wanted, "__metadata__", (-1e100, 1e100)) if wanted != INSIDE else (None, None)
    return getattr(wanted, "__origin__", wanted), low, high


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a plain type; False for other types."""
    kind, low, high = _plain(wanted)
    if kind is float or kind is int:
        return isinstance(value, (int, kind)) and not isinstance(value, bool) and bool(low <= value <= high)
    if kind is str:
        return isinstance(value, str) and (low is not None or _stays_inside(value))
    return kind is Any or (kind is bool and isinstance(value, bool))


def _words(wanted: Any) -> str:
    """What is allowed as a plain type."""
    kind, low, high = _plain(wanted)
    if kind in (int, float):
        return f"a {'whole ' * (kind is int)}number from {low:g} to {high:g}"
    return "true or false" if kind is bool else "text" if low is not None else str(wanted.__metadata__[0])


def _stays_inside(name: str) -> bool:
    """Whether a name stays in a folder on every system, links aside (`RunFolder.inside` looks at those)."""
    return (
        not name.startswith("/")
        and not set(name) & set("\\:\0")
        and ".." not in name.split("/")
        and len(name.encode()) <= LONGEST
    )


def _said(path: str, value: Any, allowed: str) -> str:
    return f"{path} is {shorten(value)}; allowed: {allowed}"
