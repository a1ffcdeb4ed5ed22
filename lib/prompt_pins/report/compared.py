"""The page of a comparison of two analyses: a read-only view of its values and of their images.  Standard library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..store.files import write_text
from . import pages
from .answer import in_line
from .images import Thumbs

SIDES = ("lowered", "raised")
Source = tuple[Thumbs, str]
"""An analysis's pictures, and the address of its folder."""


def build_comparison(value: Mapping[str, Any], before: Path, after: Path) -> Path:
    """Write the page into the folder of the second analysis.  Returns its path; raises `StoreError`."""
    page = after / f"against-{before.name}.html"
    write_text(page, comparison_page(value, before, after))
    return page


def comparison_page(
    value: Mapping[str, Any], before: Path, after: Path, places: Sequence[str] = (), home: str = "../index.html"
) -> str:
    """The page.  places: addresses of the two analyses' folders, with a slash; home: that of all runs."""
    places = places or (f"{_way(before, after)}/", "")
    thumbs = ((Thumbs(before), places[0]), (Thumbs(after), places[1]))
    words = [_word(word, thumbs) for word in value["words"]]
    most = max([max(word["before"], word["after"]) for word in words] + [1e-6])
    for word in words:
        word["bars"] = [round(100 * word[name] / most, 2) for name in ("before", "after")]
    return pages.render(
        "comparison.html",
        {
            "c": value,
            "likely": value["by"] == "likelihood",
            "links": [f"{place}index.html" for place in places],
            "home": home,
            "words": words,
            "sentences": sentences(value),
            "originals": [one.pictures(names, f"Unchanged prompt, analysis {number}, image", place)
                          for (one, place), names, number in zip(thumbs, value["images"], value["names"])],
        },
    )  # fmt: skip


def _way(folder: Path, start: Path) -> str:
    """The address of a folder from another one, which need not lie beside it."""
    try:
        return Path(os.path.relpath(folder, start)).as_posix()
    except ValueError:  # there is none to another drive of Windows
        return f"../{folder.name}"


def proven(effect: Mapping[str, float] | None) -> bool:
    """Whether an interval leaves out zero."""
    return effect is not None and (effect["low"] > 0 or effect["high"] < 0)


def sentences(value: Mapping[str, Any]) -> list[str]:
    """What is proven, in words."""
    what = "the misfit" if value["by"] == "likelihood" else "the image"
    more = [word["label"] for word in value["words"] if word["image"]["low"] > 0]
    less = [word["label"] for word in value["words"] if word["image"]["high"] < 0]
    said = [
        f"{in_line([f'“{label}”' for label in labels])} {'move' if len(labels) > 1 else 'moves'} {what} {how} now."
        for labels, how in ((more, "more"), (less, "less"))
        if labels
    ]
    same = len(value["words"]) - len(more) - len(less)
    if same:
        said.append(f"{'Of the rest no' if said else 'No'} difference is proven ({same} word{'s' * (same > 1)}).")
    return said


def _word(word: Mapping[str, Any], thumbs: Sequence[Source]) -> dict[str, Any]:
    sides = [
        (
            name,
            [
                one.pictures(names, f"{word['label']} {name}, image", place)
                for (one, place), names in zip(thumbs, word["images"][name])
            ],
        )
        for name in SIDES
        if name in word["images"]
    ]
    return {
        **word,
        "sides": [(name, rows) for name, rows in sides if any(rows)],
        "proven": proven(word["image"]),
        "effects": [(word[name], proven(word[name])) for name in SIDES],
    }
