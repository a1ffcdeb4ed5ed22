"""What the host sees of a prompt: the text without its comments and extra-network tags.

The host first turns every `# comment` (with its line break) into one line break, then, in the positive prompt
only, deletes every `<net:arguments>` tag.  `clean` does the same and remembers where each piece came from, so
that the printer can put comments and tags back in their places.

Standard library only.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Literal

COMMENT_LINE = re.compile(r"(?:\A|\n)#[^\n]*(?:\n|\Z)")
COMMENT_TAIL = re.compile(r"#[^\n]*(?:\n|\Z)")
NET_TAG = re.compile(r"<(?P<net>\w+):(?P<args>[^>]+)>")


@dataclass(frozen=True, slots=True)
class Insert:
    """A span of the source that the host does not read as text.

    `at` is its place in the clean text, where it stands for `width` characters (1 for a comment, which reads as
    a line break; 0 for a tag).  `start` and `end` are its columns in the source, counted from 0.
    """

    kind: Literal["comment", "net"]
    at: int
    width: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A prompt as written (`raw`) and as the host reads it (`text`)."""

    raw: str
    text: str
    inserts: tuple[Insert, ...]

    def column(self, position: int) -> int:
        """The column in `raw`, counted from 0, of a character of `text` (or of its end)."""
        if not self.inserts:
            return position
        index = bisect_right(self.inserts, position, key=lambda insert: insert.at) - 1
        if index < 0:
            return position
        insert = self.inserts[index]
        beyond = position - insert.at - insert.width
        return insert.start if beyond < 0 else insert.end + beyond


def clean(raw: str, negative: bool = False) -> Source:
    """Strip comments and, from a positive prompt, extra-network tags, as the host does."""
    source = Source(raw, raw, ())
    if "#" in raw:
        source = _strip(source, COMMENT_LINE, "comment", "\n")
        source = _strip(source, COMMENT_TAIL, "comment", "\n")
    if "<" in source.text and not negative:
        source = _strip(source, NET_TAG, "net", "", source.text.rfind(">") + 1)
    return source


def _strip(
    source: Source,
    pattern: re.Pattern[str],
    kind: Literal["comment", "net"],
    stands_for: str,
    stop: int | None = None,
) -> Source:
    text, shift, done = source.text, 0, 0
    pieces: list[str] = []
    inserts: list[Insert] = []
    kept = deque(source.inserts)
    for match in pattern.finditer(text, 0, len(text) if stop is None else stop):
        start, end = match.span()
        pieces += [text[done:start], stands_for]
        while kept and kept[0].at < start:
            inserts.append(_moved(kept.popleft(), shift))
        while kept and kept[0].at < end:
            kept.popleft()
        left, right = source.column(start), source.column(end)
        inserts.append(Insert(kind, start + shift, len(stands_for), left, right, source.raw[left:right]))
        shift += len(stands_for) - (end - start)
        done = end
    pieces.append(text[done:])
    inserts += [_moved(insert, shift) for insert in kept]
    return Source(source.raw, "".join(pieces), tuple(inserts))


def _moved(insert: Insert, shift: int) -> Insert:
    return Insert(insert.kind, insert.at + shift, insert.width, insert.start, insert.end, insert.text)
