"""`prompt_pins/index.html`: all runs below one folder, with search, order and comparison.  Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..store import RunFolder, Runs
from ..store.files import write_text
from ..store.folder import ANALYSIS
from . import pages
from .summary import SUMMARY_VERSION, summary

PICTURES = ("best.gif", "evolution.gif")
ANALYSES = (1, 2)  # the versions of their files that the list can read


def build_index(runs: Runs) -> Path:
    """Write the index of all runs, newest first; a run whose journal is damaged is listed with the reason.

    Returns the page's path.  Raises `StoreError` if it cannot be written.
    """
    found = [_entry(runs.root / f"{number:08d}") for number in reversed(runs.numbers())]
    rows = [entry for entry in found if entry is not None]
    values = {
        "rows": rows,
        "analyses": _analyses(runs.root),
        "data": pages.script_json([_compared(entry) for entry in rows]),
    }
    path = runs.root / "index.html"
    write_text(path, pages.render("index.html", values))
    return path


def _analyses(root: Path) -> list[dict[str, Any]]:
    """The analyses below `analysis/`, newest first."""
    found = []
    for number in reversed(Runs(root / "analysis").numbers()):
        folder = root / "analysis" / f"{number:08d}"
        if (folder / "index.html").is_file() and (value := _read(folder / ANALYSIS, ANALYSES)) is not None:
            words = [word["label"] for word in value["words"]]
            found.append({"name": folder.name, "prompt": value["config"]["prompt"], "words": words, **_when(value)})
    return found


def _when(value: dict[str, Any]) -> dict[str, str]:
    return {"state": str(value.get("state", "")), "time": str(value.get("time", ""))[:16].replace("T", " ")}


def _entry(root: Path) -> dict[str, Any] | None:
    """A run's summary, from `run.json` where that is current, else from its journal; None for another folder."""
    if not (root / "journal.jsonl").is_file():
        return None
    value = _read(root / "run.json", (SUMMARY_VERSION,))
    if value is None:
        try:
            value = summary(root.name, RunFolder(root).record())
        except (StoreError, KeyError, TypeError) as error:
            blank = {"target": "", "picture": "", "held": None, "gain": None}
            return {"run": root.name, "state": "damaged", "reason": str(error), **blank}
    names = (value.get("target") or {}).get("images") or []
    target = next((f"{root.name}/{name}" for name in names if (root / name).is_file()), "")
    picture = next((f"{root.name}/{name}" for name in PICTURES if (root / name).is_file()), "")
    return {**value, "run": root.name, "target": target, "picture": picture}


def _read(path: Path, versions: Sequence[int]) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("version") in versions else None


def _compared(entry: dict[str, Any]) -> dict[str, Any]:
    """What the comparison of runs shows: plain texts by name."""
    pinned, original, held = (entry.get(key) or {} for key in ("pinned", "original", "held"))
    labels = [axis.get("label", "") for axis in entry.get("axes") or ()]
    weights = pinned.get("weights") or []
    same = len(labels) == len(weights)
    config = entry.get("config") or {}
    return {
        "run": entry["run"],
        "pinned prompt": pinned.get("prompt", ""),
        "negative prompt": pinned.get("negative_prompt", ""),
        "fit before": original.get("fit"),
        "fit after": pinned.get("fit"),
        "loss": pinned.get("loss"),
        "unseen seeds": held.get("improvement"),
        "candidates": entry.get("candidates"),
        "sampler": config.get("sampler", ""),
        "steps": config.get("steps"),
        "weights": [[str(label), weight] for label, weight in zip(labels, weights)] if same else [],
    }
