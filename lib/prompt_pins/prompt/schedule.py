"""Tokens of a prompt, and which of its brackets are schedules.

The host looks for schedules before it looks for emphasis.  In the grammar of schedules a bracket is part of a
schedule only if everything inside it is well formed; other brackets and colons are stray text.  A `|` outside
`[...|...]`, or a backslash with nothing on its line to escape, makes the host read no schedule at all in that prompt.

Standard library only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from ..errors import PromptError, shorten

TOKEN = re.compile(r"\\[\\()\[\]]|[^\\()\[\]:|]+|[\\()\[\]:|]")
WHEN = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


Role = Literal["open", "next", "close"]


class Tokens(NamedTuple):
    """Lexemes of the clean text (escape pairs, one of ``\\ ( ) [ ] : |``, plain text) and where they start.

    `starts` has one entry more than `texts`: the end of the last one.
    """

    texts: list[str]
    starts: list[int]


def tokenize(text: str, start: int, end: int) -> Tokens:
    """Cut text[start:end] into tokens; joined they give it back."""
    texts = TOKEN.findall(text, start, end)
    return Tokens(texts, list(accumulate(map(len, texts), initial=start)))


def read_when(text: str, column: int | None = None) -> float:
    """The number of a schedule's step.  Raises PromptError if it, times the steps, is infinite: that stops the host."""
    number = float(text)
    if math.isinf(number * 1e9):
        raise PromptError(
            f"the host cannot read the step {shorten(text.strip())} of a schedule: it is too large", column
        )
    return number


@dataclass(frozen=True, slots=True)
class Schedules:
    """Which tokens are the syntax of schedules.

    `marks` maps a token's index to (role, number of tokens taken): "open" for `[`, "next" for the `:` or `|`
    between two options, "close" for `]` or for the three tokens of `:when]`.  It is empty where the host reads
    no schedule.  `sure` is false where stray brackets, or a colon right after a bracket, stand beside schedules:
    there the host takes either reading, a different one each time it is started.
    """

    marks: dict[int, tuple[Role, int]]
    sure: bool


def find_schedules(tokens: Tokens) -> Schedules:
    """Find the schedules of one prompt (or of one part between ANDs).  Linear in the number of tokens."""
    texts = tokens.texts
    if "[" not in texts:
        return Schedules({}, True)
    scan = _Scan(texts)
    hidden = -1
    for index, text in enumerate(texts):
        if text == "\\":
            if index + 1 == len(texts) or texts[index + 1][0] == "\n":
                return Schedules({}, True)
            hidden = index + 1
        elif index != hidden and len(text) == 1 and text in "()[]:|":
            scan.take(index, text)
    if scan.failed or any(bracket.pipes for bracket in scan.stack):
        return Schedules({}, True)
    return Schedules(scan.marks, not (scan.marks and (scan.stray or scan.stack)))


class _Bracket:
    """An open bracket: where it is, and the bare colons and bars directly inside."""

    __slots__ = ("colons", "opened", "pipes", "sound", "square")

    def __init__(self, opened: int, square: bool) -> None:
        self.opened = opened
        self.square = square
        self.colons: list[int] = []
        self.pipes: list[int] = []
        self.sound = True


class _Scan:
    """The state of one pass over the tokens."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.marks: dict[int, tuple[Role, int]] = {}
        self.stack: list[_Bracket] = []
        self.stray = False
        self.failed = False

    def take(self, index: int, text: str) -> None:
        stack = self.stack
        if text in "([":
            stack.append(_Bracket(index, text == "["))
        elif text == ":":
            if stack:
                stack[-1].colons.append(index)
            else:
                self.stray |= index > 0 and self.texts[index - 1] in (")", "]")
        elif text == "|":
            if stack and stack[-1].square:
                stack[-1].pipes.append(index)
            else:
                self.failed = True
        elif stack and stack[-1].square == (text == "]"):
            self._close(stack.pop(), index)
        else:
            self.stray = True
            self.failed |= any(bracket.pipes for bracket in stack)
            stack.clear()

    def _close(self, bracket: _Bracket, index: int) -> None:
        colons, pipes = bracket.colons, bracket.pipes
        if not bracket.sound:
            sound = False
        elif pipes:
            sound = not colons
        elif bracket.square and colons:
            sound = len(colons) <= 2 and self._is_when(colons[-1], index)
        else:
            sound = len(colons) <= 1
        if sound and (pipes or colons) and bracket.square:
            self.marks[bracket.opened] = ("open", 1)
            self.marks.update((at, ("next", 1)) for at in pipes or colons[:-1])
            self.marks[index if pipes else colons[-1]] = ("close", 1 if pipes else 3)
        if not sound:
            self.stray = True
            self.failed |= bool(pipes)
            if self.stack:
                self.stack[-1].sound = False

    def _is_when(self, colon: int, close: int) -> bool:
        return close == colon + 2 and WHEN.fullmatch(self.texts[colon + 1]) is not None
