"""Fonts for words in plots: which of the installed ones have all characters of a text.  Imports matplotlib, late."""

from __future__ import annotations

import functools
import re

OWN = "DejaVu Sans"
"""The font that comes with matplotlib."""
WIDE = re.compile(r"CJK|Han Sans|WenQuanYi|Gothic|Hei\b|Hiragino|PingFang|Meiryo|YaHei|Unicode|^Noto Sans|^Unifont")
"""Names of fonts that are likely to have the characters of other scripts."""
MOST = 60  # fonts that are looked into


def families(text: str) -> list[str] | None:
    """Families that together have every character of a text, in the order in which they are tried; None: none have.

    matplotlib draws a box, and warns, for each character that none of its fonts has.
    """
    missing = set(map(ord, text))
    chosen: list[str] = []
    for family in (OWN, *_others()):
        if missing & _characters(family):
            chosen.append(family)
            missing -= _characters(family)
        if not missing:
            return chosen or [OWN]
    return None


@functools.cache
def _paths() -> dict[str, str]:
    from matplotlib import font_manager

    return {font.name: font.fname for font in reversed(font_manager.fontManager.ttflist)}


@functools.cache
def _others() -> tuple[str, ...]:
    return tuple(sorted(name for name in _paths() if WIDE.search(name))[:MOST])


@functools.cache
def _characters(family: str) -> frozenset[int]:
    """Code points of a family's regular font; none where it cannot be read."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    try:
        path = font_manager.findfont(family, fallback_to_default=False)
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
