"""The text that the printer builds up: runs of equal weight, blanks, and what the source had between.

Standard library only.
"""

from __future__ import annotations

from .nodes import Blank, Syntax
from .source import Source

OTHER_WEIGHT = "1.1"


class Writer:
    """Collects a prompt.  Weights are texts as printed, empty for 1.

    Comments and tags of the source are put back as the place they stood at is passed.  A tag in the middle of a
    word goes before the next one; a comment inside syntax that is not kept is left out.
    """

    def __init__(self, source: Source, tags: dict[int, str]) -> None:
        self._source = source
        self._tags = tags
        self._out: list[str] = []
        self._run: list[str] = []
        self._weight = ""
        self._blank = ""
        self._free = False
        self._held = ""
        self._insert = 0
        self._inserts = len(source.inserts)
        self._last = ""
        self._whole_word = False

    def put(self, text: str, weight: str, start: int, cut: int = 0, whole_word: bool = False) -> None:
        """Write a word that starts at a position of the clean text.

        cut: as in `nodes.Word`.  whole_word: the host must find the text as a word of its own.
        """
        if cut == 2 and weight == self._weight:
            self._keep_apart(weight)
        elif weight != self._weight:
            self._change(weight)
        elif self._blank:
            self._take_blank()
        elif cut == 1:
            self._run.append(" ")
        if self._insert < self._inserts:
            tags = self._tags_until(start)
            (self._run if self._run else self._out).append(tags)
        if (whole_word or self._whole_word) and _lettered(self._last[-1:]) and _lettered(text[0]):
            self._run.append(" ")
        elif whole_word and self._last.endswith("<"):
            self._run.append(" ")  # or <BREAK: would begin a tag
        self._run.append(text)
        self._last = text
        self._whole_word = whole_word

    def blank(self, node: Blank) -> None:
        """Write white space, now or with the next word."""
        if node.side == "left":
            self._run.append(self._slice(node.start, node.end))
            self._last = " "
        else:
            self._held += self._tags_until(node.start - 1)
            text = self._slice(node.start, node.end)
            self._free = node.side == "free" or (self._blank != "" and self._free)
            self._blank += text

    def syntax(self, node: Syntax) -> None:
        """Write a bracket or separator of a schedule."""
        self._change("")
        self._close()
        self._out += [self._tags_until(node.start), node.text]
        self._last = node.text

    def verbatim(self, start: int, end: int) -> None:
        """Write text[start:end] of the source as it is."""
        self._change("")
        if start < end:
            text = self._source.text
            if self._whole_word and _lettered(self._last) and _lettered(text[start]):
                self._run.append(" ")
            self._run.append(self._slice(start, end))
            self._last = text[end - 1]
            self._whole_word = False

    def finish(self) -> str:
        """The whole text."""
        self._change("")
        self._run.append(self._tags_until(len(self._source.text)))
        self._close()
        return "".join(self._out)

    def _take_blank(self) -> None:
        self._take_held()
        if self._blank:
            self._run.append(self._blank)
            self._blank = ""
            self._last = " "

    def _take_held(self) -> None:
        """Write the tags that stood before a blank and outside its brackets."""
        if self._held:
            (self._run or self._out).append(self._held)
            self._held = ""

    def _change(self, weight: str) -> None:
        """Go over to another weight, with the blank on the side where it belongs."""
        if self._weight == weight:
            self._take_blank()
            return
        if self._blank and self._free and self._weight == "":
            self._take_blank()
        self._close()
        self._take_held()
        if self._blank and self._free and weight != "":
            self._out.append(self._blank)
            self._blank = ""
        self._weight = weight
        if weight:
            self._last = "("
        self._take_blank()

    def _keep_apart(self, weight: str) -> None:
        """Put a blank of another weight between two words of equal weight."""
        blank, self._blank = self._blank or " ", ""
        self._close()
        self._take_held()
        self._out.append(blank if weight else f"({blank}:{OTHER_WEIGHT})")
        self._weight = weight
        self._last = ")" if not weight else "("

    def _close(self) -> None:
        if self._run:
            text = "".join(self._run)
            self._out.append(f"({text}:{self._weight})" if self._weight else text)
            if self._weight:
                self._last = ")"
            self._run = []
        self._weight = ""

    def _tags_until(self, position: int) -> str:
        """The tags of the source, not yet written, up to a position."""
        inserts, tags = self._source.inserts, ""
        while self._insert < self._inserts and inserts[self._insert].at <= position:
            insert = inserts[self._insert]
            if insert.kind == "net":
                tags += self._tags.get(insert.start, insert.text)
            elif insert.at == position:
                break
            self._insert += 1
        return tags

    def _slice(self, start: int, end: int) -> str:
        """text[start:end], with its comments and tags back in their places."""
        text, inserts = self._source.text, self._source.inserts
        if self._insert == self._inserts or inserts[self._insert].at >= end:
            return text[start:end]
        pieces = []
        while self._insert < self._inserts and inserts[self._insert].at < end:
            insert = inserts[self._insert]
            self._insert += 1
            if insert.kind == "net":
                pieces.append(text[start : max(start, insert.at)])
                pieces.append(self._tags.get(insert.start, insert.text))
                start = max(start, insert.at)
            elif insert.at >= start:
                pieces += [text[start : insert.at], insert.text, "" if insert.text.endswith("\n") else "\n"]
                start = insert.at + insert.width
        return "".join(pieces) + text[start:end]


def _lettered(char: str) -> bool:
    return char.isalnum() or char == "_"
