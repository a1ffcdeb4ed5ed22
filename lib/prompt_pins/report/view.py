"""What the run page shows, worked out from a run's record.  Standard library only; all of it is plain values."""

from __future__ import annotations

import dataclasses
import datetime
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..config import RunConfig
from ..config.presets import chosen
from ..options import declarations
from ..store import Axis, Candidate, Generation, Held, Record
from ..store.left_out import LeftOut
from .stats import SIDES, BatchStats, Pairs

Row = list[Any]


@dataclasses.dataclass(frozen=True)
class Word:
    """One word of a prompt: its weight before and after, and a tint from -1 (weaker) to 1 (stronger)."""

    text: str
    before: float
    after: float
    tint: float

    @property
    def changed(self) -> bool:
        """True where the printed weights differ."""
        return abs(self.after - self.before) >= 5e-4


@dataclasses.dataclass(frozen=True)
class Variable:
    """One axis of the search: before, after, and the search's standard deviation of it at the end."""

    axis: Axis
    after: float
    std: float | None

    @property
    def before(self) -> float:
        """The user's own value."""
        return self.axis.original

    @property
    def label(self) -> str:
        """The axis's name."""
        return self.axis.label


def words(before: Pairs, after: Pairs) -> tuple[Word, ...]:
    """The words of a prompt; an unknown original weight counts as 1."""
    same = len(before) == len(after)
    rows = [(text, before[i][1] if same else 1.0, weight) for i, (text, weight) in enumerate(after)]
    most = max([abs(now - was) for _, was, now in rows] + [0.25])
    return tuple(Word(text, was, now, round((now - was) / most, 3)) for text, was, now in rows)


def variables(record: Record) -> tuple[Variable, ...]:
    """Every axis of the search, in its order."""
    best = record.best
    if best is None:
        return ()
    state: Mapping[str, Any] = record.generations[-1].state if record.generations else {}
    std = state.get("std")
    if not isinstance(std, (list, tuple)) or len(std) != len(record.axes):
        std = [None] * len(record.axes)
    return tuple(map(Variable, record.axes, best.weights, std))


def series(generations: Sequence[Generation]) -> dict[str, Row]:
    """The curves of the convergence chart: one value for each generation, None where there is none."""
    rows = [[v for v in g.losses if v is not None] for g in generations]
    means = [math.fsum(row) / len(row) if row else None for row in rows]
    stds = [
        math.sqrt(math.fsum((v - mean) ** 2 for v in row) / len(row)) if mean is not None else None
        for row, mean in zip(rows, means)
    ]
    pairs = [(mean, std) for mean, std in zip(means, stds)]
    return {
        "generation": [g.generation for g in generations],
        **_progress(generations),
        "best": [_short(min(row, default=None)) for row in rows],
        "mean": [_short(mean) for mean in means],
        "upper": [_short(m + s) if m is not None and s is not None else None for m, s in pairs],
        "lower": [_short(m - s) if m is not None and s is not None else None for m, s in pairs],
        "step_size": [_short(g.state.get("step_size")) for g in generations],
        "axis_ratio": [_short(g.state.get("axis_ratio")) for g in generations],
    }


def _progress(generations: Sequence[Generation]) -> dict[str, Row]:
    """The curve of progress in percent, from the original's 100 before the first generation on; empty without it."""
    known = [(g.generation, _short(100.0 * g.progress)) for g in generations if g.progress is not None]
    points = [(0, 100.0), *known] if known else []
    return {"told": [number for number, _ in points], "progress": [value for _, value in points]}


def _short(value: Any) -> float | None:
    """A number to six digits, which is all that a page needs."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")


def distance(candidate: Candidate, axes: Sequence[Axis]) -> float:
    """L2 distance of a candidate's values from the original ones, each in units of its axis's scale."""
    return math.hypot(*((value - axis.original) / axis.scale for value, axis in zip(candidate.weights, axes)))


def candidate_row(candidate: Candidate, axes: Sequence[Axis], picture: str, best: bool) -> Row:
    """A table row: generation, index, loss, fit, spread, distance, seconds, folder, picture in it, mark, error.

    mark: 1 for the best of its generation.
    """
    seconds = math.fsum(v for v in candidate.seconds.values() if isinstance(v, (int, float)))
    return [
        candidate.generation,
        candidate.index + 1,
        _short(candidate.loss),
        _short(candidate.fit),
        _short(candidate.spread),
        _short(distance(candidate, axes)),
        round(seconds, 2) or None,
        candidate.folder,
        picture,
        int(best),
        candidate.error,
    ]


def settings(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """(group, [(label, value, differs from the default)]) of every option, in the order of their declarations."""
    groups: dict[str, list[tuple[str, str, bool]]] = {}
    defaults = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    known, own = declarations(RunConfig), chosen(config)
    for name, declaration in known.items():
        if name in config:
            value = config[name]
            groups.setdefault(declaration.group, []).append(
                (declaration.label, as_text(value), name in own and not _same(value, defaults[name]))
            )
    other = [(name, as_text(config[name]), False) for name in config if name not in known]
    return [*groups.items(), *([("Other", other)] if other else [])]


def as_text(value: Any) -> str:
    """A setting's value as a reader writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {as_text(item)}" for key, item in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(as_text(item) for item in value) or "–"
    return "–" if value in ("", None) else f"{value:g}" if isinstance(value, float) else str(value)


def _same(value: Any, default: Any) -> bool:
    return as_text(value) == as_text(default)


_SPELLED = {"negative_prompt": "negative"}


def command(config: Mapping[str, Any], embeddings: str = "", loras: str = "") -> str:
    """The command line that repeats a run: the prompt, and every option that is not at its default.

    embeddings, loras: the folders of the textual inversions and LoRAs that it was rendered with.
    An empty value, which an earlier version's run may have where there is a default now, cannot be said on it.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    config = chosen(config)
    prompt = str(config.get("prompt", ""))
    parts = ["prompt-pins", "pin", *([] if prompt.startswith("-") else [prompt])]
    for name, default in defaults.items():
        if name == "prompt" or config.get(name) is None or _plain(config[name]) == _plain(default):
            continue
        flag, value = "--" + _SPELLED.get(name, name).rstrip("_").replace("_", "-"), config[name]
        if isinstance(value, bool):
            parts.append(flag if value else "--no-" + flag[2:])
            continue
        for item in value if isinstance(value, (list, tuple)) else [value]:
            parts += [flag, "=".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)]
    parts += ["--embeddings", embeddings] if embeddings else []
    parts += ["--loras", loras] if loras else []
    return shlex.join(parts + (["--", prompt] if prompt.startswith("-") else []))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def seconds_of(record: Record) -> float:
    """Seconds that the run worked, as its records say."""
    once = (part for part in (record.likely, record.choice, record.held, record.unchanged) if part is not None)
    records = [*record.generations, *record.words, *once]
    rendered = record.candidates if record.task == "map" else ()
    spent = [float(r.seconds.get("wall", 0.0)) for r in records]
    return math.fsum([*spent, *(float(c.seconds.get("render", 0.0)) for c in rendered)])


def duration(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    return str(datetime.timedelta(seconds=round(seconds))).removeprefix("0:")


def gain(before: float | None, after: float | None) -> float | None:
    """1 - after / before: 0.4 where the loss fell by 40 %."""
    return 1.0 - after / before if before and after is not None else None


def unseen(held: Held) -> str:
    """`fit 0.210 → 0.105, -50% [-61%, -38%]`, or that nothing changed; by eye what was chosen how often."""
    if held.by_eye:
        chosen, other = (sum(fit == 0 for fit in fits) for fits in (held.fits_pinned, held.fits_original))
        low, high = (f"{(1 + share) / 2:.0%}" for share in (held.low, held.high))
        alike = f", {len(held.seeds) - chosen - other} alike" if chosen + other < len(held.seeds) else ""
        return f"pinned chosen {chosen} times, original {other} times{alike} [{low}, {high} pinned]"
    before = sum(held.fits_original) / len(held.fits_original)
    after = sum(held.fits_pinned) / len(held.fits_pinned)
    return f"fit {before:.3f} → {after:.3f}, {unseen_of((held.improvement, held.low, held.high))}"


def unseen_of(gain: Sequence[float], decimals: int = 0) -> str:
    """`-50% [-61%, -38%]` of an improvement and the ends of its interval, or that nothing changed."""
    change, low, high = (_percent(-value, decimals) for value in (gain[0], gain[2], gain[1]))
    return "no change" if change == low == high == _percent(0.0, decimals) else f"{change} [{low}, {high}]"


def left_out_in_words(one: LeftOut) -> str:
    """`payload 2, loss on unseen seeds: pinned on all -31.0% [-36.0%, -25.0%]; on the others alone …; …`."""
    among, alone, brings = (unseen_of(gain, 1) for gain in one.gains)
    return (
        f"payload {one.number}, loss on unseen seeds: pinned on all {among}; on the others alone {alone} "
        f"(run {one.run}); from these to all {brings}"
    )


def _percent(share: float, decimals: int = 0) -> str:
    """A share as signed percent; 0 has no sign."""
    percent = round(100 * share, decimals)
    return f"{percent:+.{decimals}f}%" if percent else f"{0:.{decimals}f}%"


def standing(progress: float | None) -> str:
    """`53 % of the original's loss`, "" where it cannot be told."""
    return "" if progress is None else f"{100 * progress:.0f} % of the original's loss"


def verdict(record: Record) -> str:
    """That a run found nothing, with the figures; "" where it found something, or did not check it."""
    if record.held is None or not record.found_nothing:
        return ""
    worse = f"the pinned prompt is worse than the original on unseen seeds ({unseen(record.held)})"
    return f"found nothing: {worse}, so the original prompt is the result"


def heat(record: Record, first: BatchStats, best: BatchStats) -> dict[str, tuple[Word, ...]]:
    """The words of the pinned prompt, those of its negative and the settings, with their values before and after."""
    if best.parts:
        return {side: words(first.parts.get(side, ()), best.parts.get(side, ())) for side in SIDES}
    found: dict[str, tuple[Word, ...]] = {}
    for side in SIDES:
        own = [v for v in variables(record) if v.axis.side == side]
        found[side] = words(tuple((v.label, v.before) for v in own), tuple((v.label, v.after) for v in own))
    return found
