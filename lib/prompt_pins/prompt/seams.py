"""What a schedule brings side by side.

`[fe|]male` reads "female" at every other step: the two words are one, because the host glues neighbours of equal
weight.  `[(a:1.2)|b]c` reads "a c" and "bc".  As the text is walked, this keeps the words that can stand directly
before the present place at some step, and says which of them are glued (`joins`) and which have to stay apart
whatever weights they get (`seams`).

Standard library only.
"""

from __future__ import annotations

from .attention import Item, Opaque
from .nodes import Node, Seam, Word
from .words import parts_by_itself

MAX_TAILS = 64
BREAK = -1

Tails = dict[int, Word | None]


class Seams:
    """Collects the pairs of words that meet across the brackets of a schedule.

    The tails are the words that may stand directly before the present place, by index; BREAK stands for itself, and
    nothing for white space and the start of the text.
    """

    def __init__(self, active: bool) -> None:
        self._active = active
        self._tails: Tails = {}
        self._frames: list[tuple[Tails, Tails, int]] = []
        self._crossed = False
        self._joins: list[tuple[int, int]] = []
        self._apart: list[tuple[int, int]] = []

    def syntax(self, item: Item) -> None:
        """A bracket or separator of a schedule."""
        self._crossed = True
        if item.kind == "open":
            self._frames.append((self._tails, {}, 1))
            return
        entry, found, options = self._frames.pop()
        found = found | self._tails
        if len(found) > MAX_TAILS:
            raise Opaque("too many options of schedules meet in one word")
        if item.kind == "next":
            self._frames.append((entry, found, options + 1))
            self._tails = entry
        else:
            self._tails = found | entry if options == 1 else found

    def segment(self, first: Node, last: Node) -> None:
        """A text: its first and last node."""
        if not self._active:
            return
        if self._crossed and isinstance(first, Word):
            for word in self._tails.values():
                self._meet(word, first)
        self._tails = {last.number: last} if isinstance(last, Word) else {}
        self._crossed = False

    def take_break(self) -> None:
        """The word BREAK, which is none if a letter touches it."""
        if self._crossed and any(word is None or _lettered(word.text[-1]) for word in self._tails.values()):
            raise Opaque("a schedule touches the word BREAK")
        self._tails = {BREAK: None} if self._active else {}
        self._crossed = False

    def finish(self) -> tuple[tuple[Seam, ...], tuple[tuple[int, int], ...]]:
        """Raises Opaque if there is no place for a blank between two words that have to stay apart."""
        glued_after = {before for before, _ in self._joins}
        glued_before = {after for _, after in self._joins}
        seams: list[Seam] = []
        for before, after in dict.fromkeys(self._apart):
            if before not in glued_after:
                seams.append(Seam(before, after, "after"))
            elif after not in glued_before:
                seams.append(Seam(before, after, "before"))
            else:
                raise Opaque("options of a schedule meet that are glued at one step and apart at another")
        return tuple(seams), tuple(dict.fromkeys(self._joins))

    def _meet(self, word: Word | None, first: Word) -> None:
        if word is None:
            if _lettered(first.text[0]):
                raise Opaque("a schedule touches the word BREAK")
        elif word.weight != first.weight:
            self._apart.append((word.number, first.number))
        elif not parts_by_itself(word.text, first.text):
            if _may_break(word.text, first.text):
                raise Opaque("a schedule touches the word BREAK")
            self._joins.append((word.number, first.number))


def _lettered(char: str) -> bool:
    return char.isalnum() or char == "_"


def _may_break(left: str, right: str) -> bool:
    return any(left.endswith("BREAK"[:size]) and right.startswith("BREAK"[size]) for size in range(1, 5))
