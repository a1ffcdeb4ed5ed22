"""Words: where the text may be cut without changing its tokens.

The host tokenizes each stretch of equal weight by itself, so a cut is safe only where the tokenizer would cut as
well: at white space, and around commas that touch letters, digits, blanks or nothing.  Every other run of
characters stays one word.

Standard library only.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import Literal

from .attention import Emphasis, Item
from .cleaning import LOOSE, REFERENCE
from .embeddings import Embeddings
from .nodes import Blank, Kind, Piece, Steering, Word

BLANKS = " \t\n\r\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
COMMAS = ",\uff0c\u3001\u060c"
_COMMA = rf"(?<![^\w{BLANKS}])(?<![{LOOSE}])[{COMMAS}]+(?![^\w{BLANKS}]|[{LOOSE}])"
_RUN = rf"{REFERENCE}[^{BLANKS}]*|[&＆]|[^{BLANKS}{COMMAS}&＆]+|(?!{_COMMA})[{COMMAS}]+"
PIECE = re.compile(rf"(?P<word>(?:{_RUN})+)|(?P<comma>{_COMMA})|(?P<blank>[{BLANKS}]+)")
SPECIAL = re.compile(r"[\\()\[\]:|<]|AND|BREAK")
ESCAPED = re.compile(r"[\\()\[\]]")
ESCAPED_IN_SCHEDULES = re.compile(r"[\\()\[\]:|]")
LETTER = re.compile(r"[^\W_]")
AND = re.compile(r"\bA(?=ND\b)")
BREAK = re.compile(r"\bB(?=REAK\b)")
NET = re.compile(r"<(?=\w+(?::|\Z))")
LAST_NUMBER = re.compile(r"(?:\A|(?P<colon>:))\s*(?P<number>[-+]?(?:\d+\.?|\d*\.\d+))\s*\Z")


class Segment:
    """Neighbouring items that the host reads as one text, because their weights are exactly equal."""

    __slots__ = ("items", "offsets", "text")

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        if len(items) == 1:
            self.text = items[0].text
            self.offsets = [0]
            return
        self.text = "".join(item.text for item in items)
        self.offsets, done = [], 0
        for item in items:
            self.offsets.append(done)
            done += len(item.text)

    def start(self, offset: int) -> int:
        """The position in the clean text of a character of the segment."""
        item = self.items[bisect_right(self.offsets, offset) - 1]
        within = offset - self.offsets[bisect_right(self.offsets, offset) - 1]
        return item.start + (within if len(item.text) == item.end - item.start else 0)

    def end(self, offset: int) -> int:
        """The position in the clean text just after the character before `offset`."""
        index = bisect_right(self.offsets, offset - 1) - 1
        item = self.items[index]
        within = offset - self.offsets[index]
        return item.start + within if len(item.text) == item.end - item.start else item.end

    def contexts(self, start: int, end: int) -> list[int]:
        """The contexts that text[start:end] of the segment lies in."""
        first = bisect_right(self.offsets, start) - 1
        return [item.context for item in self.items[first : bisect_right(self.offsets, end - 1)]]


def cut(segment: Segment, embeddings: Embeddings) -> list[Piece]:
    """Cut a segment into words, commas and blanks (kind None); embedding names stay whole."""
    spans: list[Piece] = []
    text = segment.text
    for match in PIECE.finditer(text):
        group = match.lastgroup
        kind: Kind | None
        if group == "blank":
            kind = None
        elif group == "comma":
            kind = "punctuation"
        else:
            kind = "word" if is_word(match.group()) else "punctuation"
        spans.append(Piece(kind, match.start(), match.end()))
    return embeddings.join(text, spans) if embeddings.names else spans


def is_word(text: str) -> bool:
    """Whether a run of characters says something: a letter, a digit or a pictograph is in it."""
    if "&" in text:
        text = html.unescape(text)
    return text.isalnum() or LETTER.search(text) is not None or any(unicodedata.category(c) == "So" for c in text)


def parts_by_itself(left: str, right: str) -> bool:
    """Whether two words that touch are cut there in any case, by `PIECE` as by the tokenizer."""
    if left[-1] not in COMMAS and right[0] not in COMMAS:
        return False
    return any(match.start() == len(left) for match in PIECE.finditer(left + right))


def spell(text: str, schedules: bool, negative: bool, hide: int | None = None) -> str:
    """Write a word so that the host reads exactly it, whatever weight it gets.

    A backslash that escapes nothing vanishes in the host: put inside AND, BREAK or `<net:` that brackets of the
    source had hidden, or at `hide`, it keeps them mere text.
    """
    if hide is not None:
        return spell(text[:hide], schedules, negative) + "\\" + text[hide:]
    if SPECIAL.search(text) is None:
        return text
    text = (ESCAPED_IN_SCHEDULES if schedules else ESCAPED).sub(r"\\\g<0>", text)
    if not negative:
        text = NET.sub(r"<\\", AND.sub(r"A\\", text))
    return BREAK.sub(r"B\\", text)


def number_at_end(word: str, before: str) -> int | None:
    """Where a number starts that would be read as the AND weight of a part that ends in this word, after `before`."""
    match = LAST_NUMBER.search(word)
    if match is None or (match["colon"] is None and not before.endswith(":")):
        return None
    return match.start("number")


def make_word(index: int, segment: Segment, span: Piece, emphasis: Emphasis, spelled: str, hidden: bool) -> Word:
    """A word node; `hidden` says that the host reads the text before it separately, without a blank between."""
    kind, start, end = span
    assert kind is not None
    steering: Steering | None = None
    if len(segment.items) == 1:
        item = segment.items[0]
        context = item.context
        first = item.start + start if len(item.text) == item.end - item.start else item.start
        last = item.start + end if len(item.text) == item.end - item.start else item.end
        if emphasis.steering:
            steering = emphasis.steering.get(context)
    else:
        contexts = segment.contexts(start, end)
        context, first, last = contexts[0], segment.start(start), segment.end(end)
        steering = next((emphasis.steering[c] for c in contexts if c in emphasis.steering), None)
    return Word(
        index,
        segment.text[start:end],
        spelled,
        first,
        last,
        emphasis.weights[context],
        kind,
        emphasis.groups[context],
        steering,
        1 if hidden else 0,
    )


def make_blanks(segment: Segment, span: Piece, alone: bool) -> list[Blank]:
    """Blank nodes, one for each item that the span touches; `alone` if the whole segment is blank."""
    side: Literal["left", "right", "free"] = "free" if alone else "right" if span.start == 0 else "left"
    offsets = segment.offsets
    inner = offsets[bisect_right(offsets, span.start) : bisect_left(offsets, span.end)]
    borders = [span.start, *inner, span.end]
    return [Blank(segment.start(a), segment.end(b), side) for a, b in pairwise(borders) if a < b]
