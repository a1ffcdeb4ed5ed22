"""A prompt as one would tell it to somebody: without weights, LoRAs and the marks of the search."""

from __future__ import annotations

import re

from ..prompt import parse, render
from ..prompt.units import units

FROZEN = re.compile(r"(?<!\\)\(([^()]*):[0-9.]+\)")


def plain(text: str) -> str:
    """Every weight 1, so that no bracket of emphasis is left, without `<tags>`, with single blanks."""
    prompt = parse(text)
    shown = FROZEN.sub(r"\1", render(prompt, [1.0] * len(units(prompt))))
    shown = re.sub(r"<[^<>]*>|\bBREAK\b", " ", shown)
    return " ".join(re.sub(r"\\(?=[()\[\]])", "", shown).split())
