"""The page of an analysis: a read-only view of `analysis.json` and the images beside it.  Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import AnalysisOptions
from ..errors import StoreError
from ..options import declarations, defaults
from ..store.files import write_text
from ..store.folder import ANALYSIS
from . import pages
from .heat import heat, kind, picture, sentences
from .images import Thumbs
from .view import as_text, settings

HEAT = "heat.png"
SIDES = ("lowered", "raised")
HEADS = {
    "images": (
        "Image moves by", "", "Fit when lowered", "Fit when raised", "Spread lowered", "Spread raised",
    ),
    "likelihood": ("Misfit moves by", "", "Misfit when lowered", "Misfit when raised"),
}  # fmt: skip
"""The heads of the table's figures; "" is that of the bars."""


def build_analysis(root: Path) -> Path:
    """Write the page of the analysis in `root`, and return its path.  Raises `StoreError`."""
    value = _read(root)
    thumbs = Thumbs(root)
    most = max([_high(word["image"]) for word in value["words"]] + [1e-6])
    page = root / "index.html"
    options = defaults(AnalysisOptions) | value["options"]
    likely = options["by"] == "likelihood"
    values = {
        "name": root.name,
        "home": "../../index.html" if root.parent.name == "analysis" else "../index.html",
        "a": {**value, "options": options},
        "likely": likely,
        "heads": HEADS[options["by"]],
        "hint": value.get("hint", ""),
        "prompt": value["config"].get("prompt", ""),
        "negative_prompt": value["config"].get("negative_prompt", ""),
        "targets": thumbs.pictures(value["target_images"], "Target"),
        "original": thumbs.pictures(value["images"], "Unchanged prompt, image"),
        "words": [_word(word, thumbs, most, likely) for word in value["words"]],
        "heat": heat(value.get("axes", ()), value["words"], likely),
        "sentences": sentences(value["words"], likely),
        "settings": [
            *((group, rows) for group, rows in settings(value["config"]) if group in AnalysisOptions.RUN_GROUPS),
            (AnalysisOptions.GROUP, _options(options)),
        ],
        "host": [(str(key), str(item)) for key, item in value["host"].items()],
    }
    write_text(page, pages.render("analysis.html", values))
    return page


def draw_heat(root: Path) -> Path:
    """Draw the prompt of the analysis in `root` as a heat of its words, with what they do.  Raises `StoreError`."""
    value = _read(root)
    likely = value["options"].get("by") == "likelihood"
    words = value["words"]
    target = "the target" if value["target_source"] == "images" else "the prompt's own first batch"
    seeds = "by likelihood" if likely else f"{len(value['seeds'])} seeds"
    title = f"Analysis {root.name} · {seeds} · against {target} · stronger colour: moves more"
    return picture(heat(value.get("axes", ()), words, likely), sentences(words, likely), title, root / HEAT)


def told(root: Path) -> dict[str, Any]:
    """The analysis in a few lines: its words with what they do, and the sentences.  Raises `StoreError`."""
    value = _read(root)
    likely = value["options"].get("by") == "likelihood"
    words = [{"word": word["label"], "moves": word["image"], "does": kind(word, likely)} for word in value["words"]]
    return {"words": words, "sentences": [said.text for said in sentences(value["words"], likely)]}


def _read(root: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads((root / ANALYSIS).read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{root / ANALYSIS}: cannot be read ({error})") from error
    return value


def _options(values: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """(label, value, differs from the default) of the analysis's own options."""
    usual = defaults(AnalysisOptions)
    known = declarations(AnalysisOptions)
    return [(known[name].label, as_text(values[name]), values[name] != usual[name]) for name in known]


def _word(word: Mapping[str, Any], thumbs: Thumbs, most: float, likely: bool) -> dict[str, Any]:
    image = word["image"]
    places = [round(100 * min(max(image[key], 0.0) / most, 1.0), 2) for key in ("low", "mean", "high")]
    sides = [(name, word[name]) for name in SIDES if word[name] is not None]
    return {
        **word,
        "places": places,
        "verdict": verdict(word, likely),
        "sides": [
            {**side, "name": name, "pictures": thumbs.pictures(side["images"], f"{word['label']} {name}, image")}
            for name, side in sides
        ],
        **{f"{name}_effects": _effects(word[name]) for name in SIDES},
    }


def _effects(side: Mapping[str, Any] | None) -> list[tuple[Mapping[str, float], bool]] | None:
    """(effect, whether its interval leaves out zero) of fit and spread, those that there are."""
    if side is None:
        return None
    found = (side[key] for key in ("fit", "spread") if side[key] is not None)
    return [(effect, effect["low"] > 0 or effect["high"] < 0) for effect in found]


def verdict(word: Mapping[str, Any], likely: bool = False) -> str:
    """What the word does, in words; only what its intervals prove."""
    lowered, raised = (word[name] for name in SIDES)
    what, worse, better = (
        ("target", "makes the target less likely", "makes the target likelier")
        if likely
        else ("image", "makes the fit worse", "makes the fit better")
    )
    found = []
    if lowered is not None and lowered["fit"]["low"] > 0:
        found.append(f"holds the {what}: less of it {worse}")
    if lowered is not None and lowered["fit"]["high"] < 0:
        found.append(f"pulls away: less of it {better}")
    if raised is not None and raised["fit"]["low"] > 0:
        found.append(f"more of it {worse}")
    if raised is not None and raised["fit"]["high"] < 0:
        found.append(f"more of it {better}")
    if likely:
        return "; ".join(found) or "does nothing that is proven"
    if raised is not None and raised["spread"]["high"] < 0:
        found.append("more of it makes the images more alike")
    if lowered is not None and lowered["spread"]["low"] > 0:
        found.append("with less of it the images drift apart")
    return "; ".join(found) or "may drift: no change of fit or spread is proven"


def _high(effect: Mapping[str, float]) -> float:
    return effect["high"] if math.isfinite(effect["high"]) else 0.0
