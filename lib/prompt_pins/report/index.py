"""`prompt_pins/index.html`: all runs below one folder, with search, order and comparison.  Standard library only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..store import RunFolder, Runs
from ..store.checks import Shape, fault
from ..store.files import inside, read_json, write_text
from ..store.folder import ANALYSIS, JOURNAL, has
from . import pages
from .summary import MOST, UNREADABLE, summarised

ANALYSED: Shape = {"words": tuple[Any, ...], "config": {"prompt": str}}
FIRST = "original/00000.png"
"""The first image of an analysis."""
PICTURES = ("best.gif", "evolution.gif")
ANALYSES = (1, 2, 3, 4)  # the versions of their files that the list can read


def build_index(runs: Runs) -> Path:
    """Write the index of all runs and analyses, newest first; one whose journal is damaged is listed with the reason.

    Returns the page's path.  Raises `StoreError` if it cannot be written.
    """
    found = [_entry(RunFolder(runs.root / f"{number:08d}")) for number in reversed(runs.numbers())]
    rows = [*(entry for entry in found if entry is not None), *_analyses(runs.root)]
    values = {
        "rows": rows,
        "data": pages.script_json([_compared(entry) for entry in rows]),
    }
    path = inside(runs.root, "index.html")
    write_text(path, pages.render("index.html", values))
    return path


def _analyses(root: Path) -> list[dict[str, Any]]:
    """The analyses below `analysis/`, where earlier versions put them, newest first, without those it cannot read."""
    found, numbers = [], list[int]()
    with contextlib.suppress(StoreError):
        numbers = Runs(root / "analysis").numbers()
    for number in reversed(numbers):
        folder = root / "analysis" / f"{number:08d}"
        value = read_json(folder / ANALYSIS) if os.path.isfile(folder / "index.html") else None
        if value is not None and value.get("version") in ANALYSES and not fault(value, ANALYSED):
            words = [str(word.get("label")) for word in value["words"] if isinstance(word, dict)]
            about = {"run": folder.name, "link": f"analysis/{folder.name}", "prompt": value["config"]["prompt"]}
            said = {name: str(value.get(name, "")) for name in ("state", "reason")}
            moves = {"task": "words", "moves": words[:MOST], "started": str(value.get("time", ""))}
            found.append({**UNREADABLE, **about, **said, **moves, "picture": "", "target": ""})
    return found


def _entry(folder: RunFolder) -> dict[str, Any] | None:
    """A run's summary with its pictures; None for a folder of something else."""
    if not has(folder.path, JOURNAL):
        return None
    value = summarised(folder)
    if value["state"] == "unreadable":
        value["state"] = "damaged"
    target = next(filter(None, (_picture(folder, name) for name in value["target"]["images"])), "")
    pictures = {"words": (FIRST,), "map": _first(value)}.get(value["task"], PICTURES)
    picture = next(filter(None, (_picture(folder, name) for name in pictures)), "")
    return {**value, "link": value["run"], "target": target, "picture": picture}


def _first(value: dict[str, Any]) -> tuple[str, ...]:
    """The first image of a map, which is the original's."""
    original, config = value.get("original") or {}, value.get("config") or {}
    return (f"{original.get('folder')}/00000-{config.get('seed')}.{config.get('image_format', 'png')}",)


def _picture(folder: RunFolder, name: str) -> str:
    """The address of a run's picture, "" if it has none there."""
    try:
        return f"{folder.path.name}/{name}" if os.path.isfile(folder.inside(name)) else ""
    except StoreError:
        return ""


def _compared(entry: dict[str, Any]) -> dict[str, Any]:
    """What the comparison of runs shows: plain texts by name."""
    pinned, original, held = (entry.get(key) or {} for key in ("pinned", "original", "held"))
    labels = [axis.get("label", "") for axis in entry.get("axes") or ()]
    weights = pinned.get("weights") or []
    same = len(labels) == len(weights)
    config = entry.get("config") or {}
    return {
        "run": entry["run"],
        "moves most": ", ".join(entry["moves"]),
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
