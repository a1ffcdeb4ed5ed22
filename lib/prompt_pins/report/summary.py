"""`run.json`: a run in a few lines, for the index of runs and for other programs.  Standard library only."""

from __future__ import annotations

from typing import Any

from ..store import Candidate, Record, axes_json
from .view import gain, seconds_of

SUMMARY_VERSION = 2


def summary(name: str, record: Record) -> dict[str, Any]:
    """Plain JSON values; the same for the same journal."""
    held = record.held
    best, original = record.best, record.original
    return {
        "version": SUMMARY_VERSION,
        "run": name,
        "state": record.state,
        "reason": record.reason,
        "started": record.started,
        "ended": record.ended,
        "seconds": round(seconds_of(record), 3),
        "prompt": record.config.get("prompt", ""),
        "negative_prompt": record.config.get("negative_prompt", ""),
        "original": _candidate(original),
        "pinned": _candidate(best),
        "gain": gain(original.fit, best.fit) if original and best else None,
        "held": None
        if held is None
        else {
            "seeds": list(held.seeds),
            "improvement": held.improvement,
            "low": held.low,
            "high": held.high,
        },
        "generations": len(record.generations),
        "candidates": len(record.candidates),
        "failed": sum(candidate.loss is None for candidate in record.candidates),
        "images": sum(len(c.images) for c in record.candidates if c.evaluations),
        "evaluations": record.evaluations,
        "target": {"source": record.target_source, "images": list(record.target_images)},
        "axes": axes_json(record.axes)["axes"],
        "plan": dict(record.plan),
        "host": dict(record.host),
        "config": dict(record.config),
    }


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
