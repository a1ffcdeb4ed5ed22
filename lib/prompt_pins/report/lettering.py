"""Fonts for words in plots: which of the installed ones have all characters of a text.  Imports matplotlib, late."""

from __future__ import annotations

import functools
import re

from ..errors import StoreError
from .canvas import package

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


def font_files(text: str) -> list[tuple[str, frozenset[int]]]:
    """Font files that have the characters of a text, as far as any has, each with its code points; our own first.

    Raises `StoreError` where matplotlib, which comes with a font, is not installed.
    """
    try:
        missing, found = set(map(ord, text)), list[tuple[str, frozenset[int]]]()
        for family in (OWN, *_others()):
            if not found or missing & _characters(family):
                found.append((_regular(family), _characters(family)))
                missing -= _characters(family)
            if not missing:
                break
        return found
    except ImportError as error:
        raise StoreError(f"pictures of words: matplotlib is needed ({error})") from None


@functools.cache
def _others() -> tuple[str, ...]:
    from matplotlib import font_manager

    names = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(sorted(name for name in names if WIDE.search(name))[:MOST])


@functools.cache
def _regular(family: str) -> str:
    """The file of a family's upright font of usual weight, whichever of its fonts matplotlib lists first."""
    from matplotlib import font_manager

    return str(font_manager.findfont(family, fallback_to_default=False))


@functools.cache
def _characters(family: str) -> frozenset[int]:
    """Code points of a family's regular font; none where it cannot be read."""
    package()
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(_regular(family)).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
