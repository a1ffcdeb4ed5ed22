"""The page of an analysis: a read-only view of `analysis.json` and the images beside it.  Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import AnalysisOptions
from ..errors import StoreError
from ..store.files import write_text
from ..store.folder import ANALYSIS
from . import pages
from .images import Thumbs
from .view import settings

SIDES = ("lowered", "raised")


def build_analysis(root: Path) -> Path:
    """Write the page of the analysis in `root`, and return its path.  Raises `StoreError`."""
    try:
        value = json.loads((root / ANALYSIS).read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{root / ANALYSIS}: cannot be read ({error})") from error
    thumbs = Thumbs(root)
    most = max([_high(word["image"]) for word in value["words"]] + [1e-6])
    page = root / "index.html"
    values = {
        "name": root.name,
        "a": value,
        "prompt": value["config"].get("prompt", ""),
        "negative_prompt": value["config"].get("negative_prompt", ""),
        "targets": _pictures(thumbs, value["target_images"], "Target"),
        "original": _pictures(thumbs, value["images"], "Unchanged prompt, image"),
        "words": [_word(word, thumbs, most) for word in value["words"]],
        "settings": [(group, rows) for group, rows in settings(value["config"]) if group in AnalysisOptions.RUN_GROUPS],
        "host": [(str(key), str(item)) for key, item in value["host"].items()],
    }
    write_text(page, pages.render("analysis.html", values))
    return page


def _word(word: Mapping[str, Any], thumbs: Thumbs, most: float) -> dict[str, Any]:
    image = word["image"]
    places = [round(100 * min(max(image[key], 0.0) / most, 1.0), 2) for key in ("low", "mean", "high")]
    sides = [(name, word[name]) for name in SIDES if word[name] is not None]
    return {
        **word,
        "places": places,
        "verdict": verdict(word),
        "sides": [
            {**side, "name": name, "pictures": _pictures(thumbs, side["images"], f"{word['label']} {name}, image")}
            for name, side in sides
        ],
        **{f"{name}_effects": _effects(word[name]) for name in SIDES},
    }


def _effects(side: Mapping[str, Any] | None) -> list[tuple[Mapping[str, float], bool]] | None:
    """(effect, whether its interval leaves out zero) of fit and spread."""
    if side is None:
        return None
    return [(side[key], side[key]["low"] > 0 or side[key]["high"] < 0) for key in ("fit", "spread")]


def verdict(word: Mapping[str, Any]) -> str:
    """What the word does, in words; only what its intervals prove."""
    lowered, raised = (word[name] for name in SIDES)
    found = []
    if lowered is not None and lowered["fit"]["low"] > 0:
        found.append("holds the image: with less of it the fit gets worse")
    if lowered is not None and lowered["fit"]["high"] < 0:
        found.append("pulls away: with less of it the fit gets better")
    if raised is not None and raised["fit"]["low"] > 0:
        found.append("more of it makes the fit worse")
    if raised is not None and raised["fit"]["high"] < 0:
        found.append("more of it makes the fit better")
    if raised is not None and raised["spread"]["high"] < 0:
        found.append("more of it makes the images more alike")
    if lowered is not None and lowered["spread"]["low"] > 0:
        found.append("with less of it the images drift apart")
    return "; ".join(found) or "may drift: no change of fit or spread is proven"


def _high(effect: Mapping[str, float]) -> float:
    return effect["high"] if math.isfinite(effect["high"]) else 0.0


def _pictures(thumbs: Thumbs, names: Sequence[str], alt: str) -> list[dict[str, str]]:
    return [{"src": name, "thumb": thumbs.get(name), "alt": f"{alt} {i}"} for i, name in enumerate(names, 1)]
