"""Emphasis as the host reads it: text and the weight that its brackets multiply to.

The order of the multiplications is the host's own, so that the weights are equal to the last bit: two neighbours
are read as one text only if their weights are exactly equal.

Standard library only.
"""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from ..errors import PromptError
from .nodes import Steering
from .schedule import Role, Tokens
from .source import Source
from .steering import printable, read_mark

WEIGHT = re.compile(r":\s*(?P<number>[+-]?[.\d]+)\s*\)")
BREAK = re.compile(r"\bBREAK\b")
NUMERIC = re.compile(r"[\s\d.+-]*")

ROUND = 1.1
SQUARE = 1 / 1.1
MAX_DEPTH = 64
SCHEDULED_WEIGHT = "a weight changes with the step"


class Opaque(Exception):
    """This part cannot be taken apart safely, for this reason; it is printed as written."""


class Item(NamedTuple):
    """A piece of the text that the host reads: `context` numbers the brackets around it."""

    kind: Literal["text", "break", "open", "next", "close"]
    text: str
    start: int
    end: int
    context: int


class Emphasis:
    """Weights, groups and steering of every context (a stretch of text between two brackets)."""

    __slots__ = ("_columns", "_last_group", "_nest", "context", "groups", "rounds", "squares", "steering", "weights")

    def __init__(self) -> None:
        self.context = 0
        self.weights = [1.0]
        self.groups = [0]
        self.steering: dict[int, Steering] = {}
        self.rounds: list[tuple[int, int]] = []
        self.squares: list[tuple[int, int]] = []
        self._columns: dict[int, int] = {}
        self._nest = [0]
        self._last_group = 0

    def open(self, square: bool) -> None:
        self._last_group += 1
        self._nest.append(self._last_group)
        if len(self._nest) > MAX_DEPTH:
            raise Opaque(f"brackets are nested more than {MAX_DEPTH} deep")
        self._next()
        (self.squares if square else self.rounds).append((self.context, self._last_group))

    def close(self, square: bool, multiplier: float, steering: Steering | None = None, column: int = 0) -> None:
        """Close a bracket; `column` (from 1) is where a steering mark stands."""
        first, group = (self.squares if square else self.rounds).pop()
        self._multiply(first, multiplier)
        if steering is not None:
            for context in range(first, self.context + 1):
                self.steering.setdefault(context, steering)
                self._columns.setdefault(context, column)
        self._nest.remove(group)
        self._next()

    def finish(self) -> None:
        """Close what the prompt left open, in the host's order: round brackets from the outermost, then square.

        Raises PromptError for a range that holds no weight that can be printed.
        """
        for first, _ in self.rounds:
            self._multiply(first, ROUND)
        for first, _ in self.squares:
            self._multiply(first, SQUARE)
        if not all(map(math.isfinite, self.weights)):
            raise Opaque("a weight is infinite")
        for context, steering in self.steering.items():
            if steering.low is not None and steering.high is not None and steering.low != steering.high:
                low, high = printable(steering, self._columns[context])
                self.steering[context] = steering._replace(low=low, high=high)
                self.weights[context] = min(max(self.weights[context], low), high)

    def _next(self) -> None:
        self.context += 1
        self.weights.append(1.0)
        self.groups.append(self._nest[-1])

    def _multiply(self, first: int, multiplier: float) -> None:
        weights = self.weights
        for context in range(first, self.context + 1):
            weights[context] *= multiplier
        if self.steering:
            self._scale_ranges(first, multiplier)

    def _scale_ranges(self, first: int, multiplier: float) -> None:
        for context in range(first, self.context + 1):
            steering = self.steering.get(context)
            if steering is not None and steering.low is not None and steering.high is not None:
                low, high = sorted((steering.low * multiplier, steering.high * multiplier))
                self.steering[context] = steering._replace(low=low, high=high)


def read_items(source: Source, tokens: Tokens, marks: dict[int, tuple[Role, int]]) -> tuple[list[Item], Emphasis]:
    """Read the tokens of one part.

    Raises PromptError for a weight that the host cannot read and for a malformed steering mark, Opaque for a part
    that cannot be taken apart.
    """
    (texts, starts), emphasis = tokens, Emphasis()
    items: list[Item] = []
    index, count = 0, len(texts)
    while index < count:
        token, start = texts[index], starts[index]
        role = marks.get(index) if marks else None
        if role is not None:
            index += role[1]
            items.append(Item(role[0], source.text[start : starts[index]], start, starts[index], emphasis.context))
            continue
        index += 1
        if token in "([":
            emphasis.open(token == "[")
        elif token == ")" and emphasis.rounds:
            emphasis.close(False, ROUND)
        elif token == "]" and emphasis.squares:
            emphasis.close(True, SQUARE)
        elif token == ":" and emphasis.rounds and (stop := _weight(source, tokens, index, emphasis)):
            while index < count and starts[index] < stop:
                index += 1
        elif token == ":" and emphasis.rounds and marks and _scheduled_weight(texts, marks, index):
            raise Opaque(SCHEDULED_WEIGHT)
        elif token[0] == "\\":
            items.append(Item("text", token[1:], start, start + len(token), emphasis.context))
        else:
            _text(items, token, start, emphasis.context)
    emphasis.finish()
    return items, emphasis


def _weight(source: Source, tokens: Tokens, index: int, emphasis: Emphasis) -> int:
    """Read `:1.2)` or a steering mark at the colon before token `index`; 0 if there is none, else where it ends."""
    start, end = tokens.starts[index - 1], tokens.starts[-1]
    match = WEIGHT.match(source.text, start, end)
    if match is not None:
        try:
            number = float(match["number"])
        except ValueError:
            message = f"the host cannot read the weight {match['number']!r}; write \\( and \\) for text in brackets"
            raise PromptError(message, source.column(match.start("number")) + 1) from None
        emphasis.close(False, number)
        return match.end()
    if index >= 2 and tokens.texts[index - 2] == "\\":
        return 0
    mark = read_mark(source, start, end)
    if mark is None:
        return 0
    emphasis.close(False, mark.weight, mark.steering, source.column(start + 1) + 1)
    return mark.end


def _scheduled_weight(texts: list[str], marks: dict[int, tuple[Role, int]], index: int) -> bool:
    """Whether a schedule could put a number between the colon before token `index` and a closing bracket."""
    depth, crossed = 0, False
    while index < len(texts):
        role = marks.get(index)
        if role is not None:
            crossed = True
            if role[0] == "open":
                depth += 1
            elif role[0] == "close":
                depth = max(0, depth - 1)
            elif depth == 0:
                depth = 1
            index += role[1]
            continue
        if depth == 0:
            if texts[index] == ")":
                return crossed
            if not NUMERIC.fullmatch(texts[index]):
                return False
        index += 1
    return False


def _text(items: list[Item], text: str, start: int, context: int) -> None:
    if "BREAK" not in text:
        items.append(Item("text", text, start, start + len(text), context))
        return
    done = 0
    for match in (*BREAK.finditer(text), None):
        end = len(text) if match is None else match.start()
        if done < end:
            items.append(Item("text", text[done:end], start + done, start + end, context))
        if match is not None:
            done = match.end()
            items.append(Item("break", "BREAK", start + end, start + done, context))
