"""What a prompt says at each step of the sampling, as the WebUI reads it.

A prompt is split at AND into weighted parts, a part's schedules (`[from:to:when]`, `[a|b]`) give one plain text
for each stretch of steps, and a plain text's emphasis gives segments with one weight each.
"""

from __future__ import annotations

import dataclasses
import re
from typing import NamedTuple, Union

from ..errors import HostError
from ..prompt.attention import Opaque, read_items
from ..prompt.schedule import Schedules, Tokens, find_schedules, read_when, tokenize
from ..prompt.source import Source

AND = re.compile(r"\bAND\b")
AND_WEIGHT = re.compile(r"\s*:\s*(?P<weight>[-+]?(?:\d+\.?|\d*\.\d+))\s*\Z")


class Segment(NamedTuple):
    """A stretch of text that is tokenized by itself.  weight None: a BREAK, which ends the chunk."""

    text: str
    weight: float | None


class Stretch(NamedTuple):
    """The plain text of the steps after the last stretch's up to and including `end` (steps count from 1)."""

    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class _Scheduled:
    before: tuple[_Piece, ...]
    after: tuple[_Piece, ...]
    when: str

    def turns_at(self, steps: int) -> int:
        """The last step of `before`: a fraction of the steps if it is written with a point.  Raises `PromptError`."""
        number = read_when(self.when)
        return min(steps, int(number * steps if "." in self.when else number))


@dataclasses.dataclass(frozen=True)
class _Alternate:
    options: tuple[tuple[_Piece, ...], ...]


_Piece = Union[str, _Scheduled, _Alternate]


def split_and(text: str) -> tuple[tuple[str, float], ...]:
    """The parts between ANDs with their weights, 1 where none is written."""
    parts = []
    for part in AND.split(text):
        match = AND_WEIGHT.search(part)
        parts.append((part[: match.start()], float(match["weight"])) if match else (part.rstrip(), 1.0))
    return tuple(parts)


def expand(text: str, steps: int) -> tuple[Stretch, ...]:
    """The plain texts of one part over `steps` steps; the last stretch ends at `steps`.

    Raises `PromptError` for a step that is infinite.
    """
    tokens = tokenize(text, 0, len(text))
    pieces = _read(tokens, find_schedules(tokens))
    ends = sorted({steps, *_turns(pieces, steps)})
    return tuple(Stretch(end, _at(pieces, end, steps)) for end in ends)


def segments(text: str) -> tuple[Segment, ...]:
    """A plain text's segments: neighbours of the same weight are one segment.

    Raises `PromptError` for a weight that is not a number and `HostError` for brackets nested too deep.
    """
    source = Source(text, text, ())
    try:
        items, emphasis = read_items(source, tokenize(text, 0, len(text)), {})
    except Opaque:
        raise HostError("the prompt's brackets are nested too deep") from None
    found: list[Segment] = []
    for item in items:
        weight = emphasis.weights[item.context]
        if item.kind == "break":
            # The host marks BREAK with a weight of -1 and knows it by that: inside emphasis it is a word.
            found.append(Segment("BREAK", None if weight == 1.0 else -weight))
        elif found and found[-1].weight == weight:
            found[-1] = Segment(found[-1].text + item.text, weight)
        else:
            found.append(Segment(item.text, weight))
    return tuple(found)


def _read(tokens: Tokens, schedules: Schedules) -> tuple[_Piece, ...]:
    """The tree of a part's schedules, built with an explicit stack: nesting costs no recursion here."""
    stack: list[list[list[_Piece]]] = [[[]]]
    index = 0
    while index < len(tokens.texts):
        role, width = schedules.marks.get(index, (None, 1))
        if role == "open":
            stack.append([[]])
        elif role == "next":
            stack[-1].append([])
        elif role == "close":
            options = tuple(map(tuple, stack.pop()))
            if width == 1:
                stack[-1][-1].append(_Alternate(options))
            else:
                before, after = options if len(options) == 2 else ((), options[0])
                stack[-1][-1].append(_Scheduled(before, after, tokens.texts[index + 1].strip()))
        else:
            stack[-1][-1].append(tokens.texts[index])
        index += width
    return tuple(stack[0][0])


def _turns(pieces: tuple[_Piece, ...], steps: int) -> set[int]:
    found: set[int] = set()
    for piece in pieces:
        if isinstance(piece, _Scheduled):
            turn = piece.turns_at(steps)
            found |= {turn} if turn >= 1 else set()
            found |= _turns(piece.before, steps) | _turns(piece.after, steps)
        elif isinstance(piece, _Alternate):
            found.update(range(1, steps + 1))
            for option in piece.options:
                found |= _turns(option, steps)
    return found


def _at(pieces: tuple[_Piece, ...], step: int, steps: int) -> str:
    texts = []
    for piece in pieces:
        if isinstance(piece, _Scheduled):
            texts.append(_at(piece.before if step <= piece.turns_at(steps) else piece.after, step, steps))
        elif isinstance(piece, _Alternate):
            texts.append(_at(piece.options[(step - 1) % len(piece.options)], step, steps))
        else:
            texts.append(piece)
    return "".join(texts)
