"""From the items of a part to its nodes.  Standard library only."""

from __future__ import annotations

from typing import Literal

from .attention import Emphasis, Item, Opaque
from .embeddings import Embeddings
from .nodes import Blank, Break, Kind, Node, Syntax, Word
from .seams import Seams
from .words import PIECE, SPECIAL, Segment, cut, is_word, make_blanks, make_word, number_at_end, parts_by_itself, spell


class Builder:
    """Joins items into segments as the host does, and cuts the segments into words and blanks."""

    def __init__(self, emphasis: Emphasis, embeddings: Embeddings, schedules: bool, negative: bool, first: int) -> None:
        self.emphasis = emphasis
        self.embeddings = embeddings
        self.schedules = schedules
        self.negative = negative
        self.nodes: list[Node] = []
        self.seams = Seams(schedules)
        self.ending: tuple[int, str] | None = None
        self._next = first
        self._before = ""
        self._texts: list[tuple[str, int]] = []

    def build(self, items: list[Item]) -> None:
        """Append the nodes of the items.  Raises Opaque if they cannot be taken apart."""
        weights = self.emphasis.weights
        count, index = len(items), 0
        while index < count:
            item = items[index]
            stop = index + 1
            if item.kind == "text":
                weight = weights[item.context]
                while stop < count and items[stop].kind == "text" and weights[items[stop].context] == weight:
                    stop += 1
                simple = stop == index + 1 and len(item.text) == item.end - item.start
                if simple and not self.embeddings.names:
                    self._item(item)
                else:
                    self._segment(Segment(items[index:stop]))
            elif item.kind == "break":
                self._break(item)
            else:
                self.nodes.append(Syntax(item.text, item.start, item.end))
                self.seams.syntax(item)
                self._before = ""
            index = stop
        self._keep_names_apart()
        if not self.negative:
            self._spell_ending()

    def _break(self, item: Item) -> None:
        weight = self.emphasis.weights[item.context]
        if weight == 0 or (weight != 1 and abs(weight - 1) < 1e-6):
            raise Opaque("the word BREAK has a weight near 1, or 0")
        if not self.schedules:
            self._keep_names_apart()
        self.seams.take_break()
        self.nodes.append(Break(item.start, item.end, weight))
        self._before = ""

    def _item(self, item: Item) -> None:
        """A segment of one item, the usual case."""
        text, position, context = item.text, item.start, item.context
        if not text:
            self._empty()
            return
        weight, group = self.emphasis.weights[context], self.emphasis.groups[context]
        steering = self.emphasis.steering.get(context)
        special = SPECIAL.search(text) is not None
        nodes, first, index = self.nodes, len(self.nodes), self._next
        hidden = 1 if self._touches(text) else 0
        for word, comma, blank in PIECE.findall(text):
            piece = word or comma or blank
            end = position + len(piece)
            if blank:
                nodes.append(Blank(position, end, _side(item, position, end)))
            else:
                kind: Kind = "word" if word and (word.isalnum() or is_word(word)) else "punctuation"
                spelled = spell(piece, self.schedules, self.negative) if special else piece
                nodes.append(Word(index, piece, spelled, position, end, weight, kind, group, steering, hidden))
                index += 1
            position, hidden = end, 0
        self._next = index
        self.seams.segment(nodes[first], nodes[-1])
        last = nodes[-1]
        self._before = last.text if isinstance(last, Word) else ""

    def _segment(self, segment: Segment) -> None:
        """A segment of several items, or one that may hold the names of embeddings."""
        text = segment.text
        if not text:
            self._empty()
            return
        spans = cut(segment, self.embeddings)
        if self.embeddings.by_second:
            self._texts.append((text, len(self.nodes)))
        alone = len(spans) == 1 and spans[0].kind is None
        hidden, first = self._touches(text), len(self.nodes)
        for span in spans:
            if span.kind is None:
                self.nodes += make_blanks(segment, span, alone)
            else:
                spelled = spell(text[span.start : span.end], self.schedules, self.negative)
                self.nodes.append(make_word(self._next, segment, span, self.emphasis, spelled, hidden))
                self._next += 1
            hidden = False
        self.seams.segment(self.nodes[first], self.nodes[-1])
        last = self.nodes[-1]
        self._before = last.text if isinstance(last, Word) else ""

    def _touches(self, text: str) -> bool:
        """Whether a text would be glued to the one before if both had the same weight."""
        if not self._before:
            return False
        first = PIECE.match(text)
        assert first is not None
        return not parts_by_itself(self._before, first.group())

    def _empty(self) -> None:
        """A lone backslash of its own weight: it reads as nothing, but keeps its neighbours apart."""
        if self.schedules:
            raise Opaque("a backslash that escapes nothing stands beside a schedule")

    def _keep_names_apart(self) -> None:
        """Mark the words before which a glued text would read as an embedding's name."""
        texts = [text for text, _ in self._texts]
        places = [place for _, place in self._texts]
        self._texts.clear()
        if self.schedules:
            if texts and self.embeddings.scattered(texts):
                raise Opaque("a schedule may put the name of an embedding together")
            return
        for border in self.embeddings.crossed(texts) if len(texts) > 1 else ():
            for place in range(places[border + 1], len(self.nodes)):
                node = self.nodes[place]
                if isinstance(node, Word):
                    self.nodes[place] = node._replace(cut=2)
                    break

    def _spell_ending(self) -> None:
        """Find a number at the end that the host would take for the AND weight if no bracket closed after it."""
        words: list[Word] = []
        for node in reversed(self.nodes):
            if isinstance(node, (Syntax, Break)) or len(words) == 2:
                break
            if isinstance(node, Word) and not node.text.isspace():
                words.append(node)
        if words:
            hide = number_at_end(words[0].text, words[1].text if len(words) == 2 else "")
            if hide is not None:
                self.ending = words[0].number, spell(words[0].text, self.schedules, self.negative, hide)


def _side(item: Item, start: int, end: int) -> Literal["left", "right", "free"]:
    return "left" if start > item.start else "right" if end < item.end else "free"
