"""The tree of a prompt: immutable nodes, in reading order.

Data only: what is made of them stands in `units` and `printer`.

A `Prompt` holds `Part`s (the prompts between ANDs), a part holds nodes.  The nodes of a schedule are not nested:
its options stand one after the other between `Syntax` nodes, so that no depth of nesting costs recursion.
Emphasis has no node: every leaf carries its weight, multiplied out.

Positions count characters of the clean text (see `source`), from 0.  Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Union

from .source import Insert, Source

Vary = Literal["words", "phrases", "groups"]
Kind = Literal["word", "embedding", "lora", "punctuation"]


class Piece(NamedTuple):
    """A cut of a text: text[start:end] of it.  kind: None for white space."""

    kind: Kind | None
    start: int
    end: int


class Steering(NamedTuple):
    """What a steering mark asks for.  Bounds are multiplied out; `source` is the mark as written."""

    fixed: bool
    low: float | None
    high: float | None
    tie: str | None
    source: str


class Word(NamedTuple):
    """A run of text that carries one weight.

    `number` counts the words of the whole prompt.  `spelled` is `text` escaped for the host.  `group` numbers the
    innermost emphasis around it (0: none).  `cut` says that the host reads the text before it separately although
    no blank stands between: 1, they must not be glued; 2, they must not even be read together (an embedding's
    name would appear).
    """

    number: int
    text: str
    spelled: str
    start: int
    end: int
    weight: float
    kind: Kind
    group: int
    steering: Steering | None
    cut: int


class Blank(NamedTuple):
    """White space.  It goes with the word before it ("left"), after it ("right"), or with neither ("free")."""

    start: int
    end: int
    side: Literal["left", "right", "free"]


class Break(NamedTuple):
    """The word BREAK where the host takes it out of the text; with a weight other than 1 it reads it as a word."""

    start: int
    end: int
    weight: float


class Syntax(NamedTuple):
    """A bracket, separator or `:when]` of a schedule, printed as written."""

    text: str
    start: int
    end: int


Node = Union[Word, Blank, Break, Syntax]


class Seam(NamedTuple):
    """Two words that a schedule can bring side by side, and that the host then reads apart."""

    before: int
    after: int
    blank: Literal["after", "before"]


class Part(NamedTuple):
    """One prompt between ANDs: text[start:stop] is parsed, text[stop:end] holds its AND weight and final blanks.

    ending: the last word's number and how to spell it without parentheses, where its number would else be read as
    the AND weight.  opaque: why the part cannot be taken apart, or empty; an opaque part has no words and is
    printed as written.
    """

    start: int
    stop: int
    end: int
    nodes: tuple[Node, ...]
    ending: tuple[int, str] | None
    seams: tuple[Seam, ...]
    joins: tuple[tuple[int, int], ...]
    opaque: str


class Multiplier(NamedTuple):
    """One number of a LoRA tag: the tag, where in it the number stands, its value and its name."""

    insert: Insert
    start: int
    end: int
    weight: float
    name: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A parsed prompt.  `text` is the source as the user wrote it.

    `words` are the words of all parts in order, `multipliers` the numbers of all LoRA tags.
    """

    text: str
    negative: bool
    source: Source
    parts: tuple[Part, ...]
    words: tuple[Word, ...]
    multipliers: tuple[Multiplier, ...]
