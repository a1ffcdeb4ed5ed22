"""A prompt as a heat of its words, with what is proven of them as sentences: for a page, and as a picture.

Colours say how far a word moves the image; sentences say only what intervals prove.  Imports Pillow and, for the
picture's fonts, matplotlib, both late.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..store.files import whole_file
from ..store.wordings import SIDES
from .answer import DRIFTS, HOLDS, NOTHING, PULLS, SAYS, Interval, alike, does, in_line
from .lettering import font_files

UNTOLD = ("tells nothing: no change of the misfit is proven", "tell nothing: no change of the misfit is proven")
"""By likelihood, where nothing was rendered."""


@dataclasses.dataclass(frozen=True)
class Said:
    """One sentence: what the words do, one of `SAYS`, the words, and the text."""

    kind: str
    words: tuple[str, ...]
    text: str


def kind(word: Mapping[str, Any], likely: bool) -> str:
    """What a word of an analysis does, one of `SAYS`; by likelihood, where nothing is seen, only what is proven."""
    sides = [None if word[name] is None else _side(word[name], likely) for name in SIDES]
    found = does(*sides)
    return NOTHING if likely and found == DRIFTS else found


def _side(side: Mapping[str, Any], likely: bool) -> tuple[Interval, float]:
    fit = side["fit"]
    return (fit["mean"], fit["low"], fit["high"]), math.inf if likely else side["image"]["high"]


def sentences(words: Sequence[Mapping[str, Any]], likely: bool) -> list[Said]:
    """What the words of an analysis do."""
    found = []
    for name, labels in alike((kind(word, likely), str(word["label"])) for word in words):
        told = UNTOLD if likely and name == NOTHING else SAYS[name]
        text = f"{in_line([f'“{label}”' for label in labels])} {told[len(labels) > 1]}."
        found.append(Said(name, tuple(labels), text))
    return found


@dataclasses.dataclass(frozen=True)
class Tinted:
    """A word of the prompt, in reading order.

    heat: 0 to 1, how far it moves the image as a share of the word that moves it most; None: not measured by itself.
    kind: as `kind` says, "" where it was not measured.
    """

    text: str
    heat: float | None
    kind: str
    title: str


def heat(axes: Sequence[Mapping[str, Any]], words: Sequence[Mapping[str, Any]], likely: bool) -> list[Tinted]:
    """Every axis of the prompt in its order; a word of a phrase that moved as one has the phrase's heat.

    axes: label and side, as the journal has them.
    """
    most = max([word["image"]["mean"] for word in words] + [1e-9])
    known = {word["label"]: word for word in words}
    phrases = [(label, word) for label, word in known.items() if " " in label]
    found = []
    for axis in axes:
        label = str(axis["label"])
        word = known.get(label) or next((w for name, w in phrases if _inside(label, name)), None)
        if word is None:
            found.append(Tinted(label, None, "", f"{label}: not measured"))
            continue
        image = word["image"]
        title = f"{word['label']}: moves by {image['mean']:.3f} [{image['low']:.3f}, {image['high']:.3f}]"
        found.append(Tinted(label, max(0.0, image["mean"]) / most, kind(word, likely), title))
    return found


def _inside(label: str, phrase: str) -> bool:
    negative = "negative: "
    if label.startswith(negative) != phrase.startswith(negative):
        return False
    return label.removeprefix(negative) in phrase.removeprefix(negative).split()


WIDTH, MARGIN, SIZE, SMALL, LINE, ROW = 960, 28, 28, 20, 32, 48
GROUND, INK, DIM = (24, 24, 27), (236, 236, 238), (165, 168, 174)
COLOURS = {HOLDS: (0, 114, 178), PULLS: (213, 94, 0), DRIFTS: (132, 122, 30), NOTHING: (92, 95, 102), "": GROUND}


def picture(words: Sequence[Tinted], said: Sequence[Said], title: str, place: Path) -> Path:
    """Draw the heat with its sentences as a PNG.  Raises `StoreError`, also where there is no font."""
    from PIL import Image, ImageDraw

    pen = _Pen("".join([*(word.text for word in words), *(one.text for one in said), title, *SAYS]))
    room = WIDTH - 2 * MARGIN
    lines = _rows([(word, pen.length(word.text, SIZE) + 16) for word in words], room, 6)
    notes = [
        ("" if index else one.kind, row)
        for one in said
        for index, row in enumerate(pen.folded(one.text, SMALL, room - 24))
    ]
    heads = pen.folded(title, SMALL, room)
    height = 3 * MARGIN + len(heads) * LINE + len(lines) * ROW + LINE + len(notes) * LINE
    canvas = Image.new("RGB", (WIDTH, height), GROUND)
    pen.draw = ImageDraw.Draw(canvas)
    top = MARGIN
    for head in heads:
        pen.write((MARGIN, top), head, SMALL, DIM)
        top += LINE
    top += 6
    for line in lines:
        left = MARGIN
        for word, width in line:
            share = 0.0 if word.heat is None else 0.2 + 0.8 * word.heat
            ground = tuple(round(g + (c - g) * share) for g, c in zip(GROUND, COLOURS[word.kind]))
            pen.draw.rounded_rectangle((left, top, left + width, top + ROW - 8), 8, fill=ground)
            pen.write((left + 8, top + 6), word.text, SIZE, INK)
            left += width + 6
        top += ROW
    left, top = MARGIN, top + MARGIN // 2
    for name in SAYS:
        pen.draw.rounded_rectangle((left, top + 4, left + 18, top + 22), 4, fill=COLOURS[name])
        pen.write((left + 26, top), name, SMALL, DIM)
        left += pen.length(name, SMALL) + 60
    top += LINE + MARGIN // 2
    for name, note in notes:
        if name:
            pen.draw.rounded_rectangle((MARGIN, top + 4, MARGIN + 8, top + 22), 4, fill=COLOURS[name])
        pen.write((MARGIN + 24, top), note, SMALL, INK)
        top += LINE
    with whole_file(place) as beside:
        canvas.save(beside, format="PNG")
    return place


def _rows(items: Sequence[tuple[Any, int]], room: int, gap: int) -> list[list[tuple[Any, int]]]:
    """(item, width) pairs in lines that have room for them."""
    rows: list[list[tuple[Any, int]]] = [[]]
    used = 0
    for item, width in items:
        if rows[-1] and used + width > room:
            rows.append([])
            used = 0
        rows[-1].append((item, min(width, room)))
        used += width + gap
    return rows


class _Pen:
    """Writes text with the installed fonts that have its characters."""

    draw: Any = None

    def __init__(self, text: str) -> None:
        self._files = font_files(text)
        self._known: dict[tuple[str, int], Any] = {}

    def runs(self, text: str) -> list[tuple[str, str]]:
        """(font file, characters) of neighbours that one font has."""
        found: list[tuple[str, str]] = []
        for char in text:
            file = next((file for file, points in self._files if ord(char) in points), self._files[0][0])
            if found and found[-1][0] == file:
                found[-1] = (file, found[-1][1] + char)
            else:
                found.append((file, char))
        return found

    def length(self, text: str, size: int) -> int:
        """In pixels."""
        lengths: list[float] = [self._font(file, size).getlength(run) for file, run in self.runs(text)]
        return round(sum(lengths))

    def write(self, place: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
        """From the left; what is longer than the picture is cut off."""
        left = float(place[0])
        for file, run in self.runs(text):
            font = self._font(file, size)
            self.draw.text((left, place[1] + size), run, font=font, fill=colour, anchor="ls")
            left += font.getlength(run)

    def folded(self, text: str, size: int, room: int) -> list[str]:
        """In lines that have room for it."""
        words = [(word, self.length(f"{word} ", size)) for word in text.split()]
        return [" ".join(word for word, _ in row) for row in _rows(words, room, 0)]

    def _font(self, file: str, size: int) -> Any:
        from PIL import ImageFont

        if (file, size) not in self._known:
            self._known[file, size] = ImageFont.truetype(file, size)
        return self._known[file, size]
