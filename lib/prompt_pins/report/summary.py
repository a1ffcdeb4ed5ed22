"""`run.json`: a run in a few lines, for the index of runs and for other programs.  Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import PinError
from ..store import Candidate, Record, RunFolder, axes_json
from ..store.checks import AXES, CONFIG, COUNT, HOST, INSIDE, Shape, fault
from ..store.files import read_json
from ..store.wordings import shown
from . import answer, first
from .payloads import payloads
from .view import gain, seconds_of, unseen, verdict

SUMMARY_VERSION = 3
MOST = 5  # words of an analysis that a list names
KEPT: Shape = {
    **dict.fromkeys(("run", "state", "reason", "started", "prompt", "negative_prompt", "verdict"), str),
    **dict.fromkeys(("images", "evaluations", "generations", "candidates"), COUNT),
    "task?": str, "moves?": tuple[str, ...],
    "seconds": float, "gain?": float, "config": CONFIG, "host": HOST, "axes": AXES,
    "original?": {"fit?": float},
    "pinned?": {"folder": INSIDE, "prompt": str, "loss?": float, "fit?": float, "weights": tuple[float, ...]},
    "held?": {"improvement": float, "low": float, "high": float, "told?": str},
    "target": {"source": str, "images": tuple[INSIDE, ...]},
}  # fmt: skip
"""What is read of a `run.json`, nulls aside."""
UNREADABLE: Mapping[str, Any] = {
    "state": "unreadable", "started": "", "prompt": "", "negative_prompt": "", "original": None, "pinned": None,
    "verdict": "", "task": "pin", "moves": [],
    "held": None, "gain": None, "images": 0, "generations": 0, "target": {"source": "", "images": []},
}  # fmt: skip


def summarised(folder: RunFolder) -> dict[str, Any]:
    """A run in a few lines: from its `run.json` if it is finished, else from its journal, which may have gone on.

    One that cannot be read is "unreadable", and says why in `reason`.
    """
    try:
        kept = read_json(folder.inside("run.json")) or {}
        whole = kept.get("version") == SUMMARY_VERSION and not fault(_filled(kept), KEPT)
        if whole and kept["state"] == "finished":
            known = {name: value for name, value in kept.items() if value is not None or name not in UNREADABLE}
            return {**UNREADABLE, **known, "run": folder.path.name}
        return summary(folder.path.name, folder.record())
    except PinError as error:
        return {**UNREADABLE, "run": folder.path.name, "reason": str(error)}


def _filled(value: Any) -> Any:
    """A JSON value without the keys that are null."""
    return {k: _filled(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def summary(name: str, record: Record) -> dict[str, Any]:
    """Plain JSON values; the same for the same journal.

    pinned: the result; where the run found nothing, the original, and `verdict` says so, with the figures.
    rejected: the contest's winner then.
    task: "pin", "words" for an analysis, or "map".  moves: its words that move the image most.
    """
    held = record.held
    best, original, words = record.best, record.original, record.task == "words"
    return {
        "version": SUMMARY_VERSION,
        "run": name,
        "task": record.task,
        "moves": moves(record) if words else [],
        "state": record.state,
        "reason": record.reason,
        "started": record.started,
        "ended": record.ended,
        "seconds": round(seconds_of(record), 3),
        "prompt": record.config.get("prompt", ""),
        "negative_prompt": record.config.get("negative_prompt", ""),
        "original": _candidate(original),
        "pinned": _candidate(best),
        "verdict": verdict(record),
        "rejected": _candidate(record.winner) if record.found_nothing else None,
        "likely": first.summary(record),
        "progress": record.generations[-1].progress if record.generations else None,
        "words": answer.summary(record),
        "gain": gain(original.fit, best.fit) if original and best else None,
        "held": None
        if held is None
        else {
            "seeds": list(held.seeds),
            "improvement": held.improvement,
            "low": held.low,
            "high": held.high,
            **({"told": unseen(held)} if held.by_eye else {}),
        },
        "payloads": [
            {"name": one.name, "weight": one.weight, "prompt": one.prompt, "share": one.share, "unseen": one.gain}
            for one in payloads(record)
        ],
        "generations": len(record.generations),
        "candidates": len(record.candidates),
        "failed": sum(candidate.loss is None for candidate in record.candidates) if record.task == "pin" else 0,
        "images": record.rendered if words else sum(len(c.images) for c in record.candidates if c.evaluations),
        "evaluations": sum(row.evaluations for row in _measured(record)) if words else record.evaluations,
        "target": {"source": record.target_source, "images": list(record.target_images)},
        "axes": axes_json(record.axes)["axes"],
        "plan": dict(record.plan),
        "host": dict(record.host),
        "config": dict(record.config),
    }


def moves(record: Record) -> list[str]:
    """The words of an analysis that move the image most."""
    return [word.label for word in sorted(shown(record.words), key=lambda word: -word.mean)[:MOST]]


def _measured(record: Record) -> list[Any]:
    """What an analysis has measured."""
    return [*([record.unchanged] if record.unchanged else []), *record.words] if record.task == "words" else []


def _candidate(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    return {
        "id": candidate.id,
        "generation": candidate.generation,
        "candidate": candidate.index + 1,
        "folder": candidate.folder,
        "prompt": candidate.prompt,
        "negative_prompt": candidate.negative_prompt,
        "weights": list(candidate.weights),
        "settings": dict(candidate.settings),
        "loss": candidate.loss,
        "fit": candidate.fit,
        "spread": candidate.spread,
    }
