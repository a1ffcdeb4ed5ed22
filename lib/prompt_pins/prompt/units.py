"""Units: the spans of a prompt that carry one weight each.  Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import OptionError, PromptError
from .nodes import Blank, Break, Kind, Part, Prompt, Steering, Syntax, Vary, Word
from .parser import parse

VARY: tuple[Vary, ...] = ("words", "phrases", "groups")
SAME_WORDS = "the prompt's own words with other weights"


@dataclass(frozen=True, slots=True)
class Unit:
    """A span of a prompt that carries one weight.

    weight: the original weight, multiplied out.  fixed: the weight never changes (punctuation, frozen units, ranges of
    one weight, and negative weights).  low, high: the range that the prompt asks for, multiplied out, or None.
    tie: the tag of the units that share one weight, or None.  start, end: columns of the source, from 0.
    """

    index: int
    text: str
    kind: Kind
    weight: float
    fixed: bool
    low: float | None
    high: float | None
    tie: str | None
    start: int
    end: int


class Span(NamedTuple):
    """What one unit moves: words, or one multiplier of a LoRA tag (by number; None for words)."""

    words: tuple[int, ...]
    multiplier: int | None
    fixed: bool


def units(prompt: Prompt, vary: Vary = "words", loras: bool = False) -> tuple[Unit, ...]:
    """The units of a prompt, in order of appearance.

    words: every word, comma and embedding name.  phrases: the words between two commas, a bracket of a schedule,
    AND or BREAK, as long as they have the same original weight and steering mark.  groups: what the user put into
    brackets, without what inner brackets hold.  loras: LoRA multipliers are units too.
    """
    return tuple(_unit(prompt, index, span) for index, span in enumerate(spans(prompt, vary, loras)))


def spans(prompt: Prompt, vary: Vary = "words", loras: bool = False) -> list[Span]:
    """What each unit moves, in the order of the units.  Raises OptionError for an unknown `vary`."""
    if vary not in VARY:
        raise OptionError("vary", vary, ", ".join(VARY))
    words = prompt.words
    if vary == "words":
        groups: list[tuple[int, ...]] = [(number,) for number in range(len(words))]
    elif vary == "phrases":
        groups = [members for part in prompt.parts for members in _phrases(part)]
    else:
        groups = _groups(prompt)
    groups = _join(groups, [pair for part in prompt.parts for pair in part.joins])
    found = [Span(members, None, _fixed(words, members)) for members in groups]
    if loras and prompt.multipliers:
        column = prompt.source.column
        placed = [(column(words[span.words[0]].start), span) for span in found]
        placed += [(tag.insert.start + tag.start, Span((), i, False)) for i, tag in enumerate(prompt.multipliers)]
        found = [span for _, span in sorted(placed, key=lambda item: item[0])]
    return found


def read_weights(
    prompt: Prompt, text: str, embeddings: Collection[str] = (), vary: Vary = "words", loras: bool = False
) -> list[float]:
    """The weight that each of `units(prompt, vary, loras)` has in a text of the same words with other weights.

    Raises PromptError where the text has other words, schedules or LoRA multipliers, where words of one unit have
    several weights, and where a word that no unit moves has another weight.  Punctuation may have any.
    """
    other = parse(text, embeddings, prompt.negative)
    plan = spans(prompt, vary, loras)
    names = [[tag.name for tag in one.multipliers] if loras else [] for one in (prompt, other)]
    if _shape(prompt) != _shape(other) or names[0] != names[1]:
        raise PromptError(SAME_WORDS)
    found: list[float] = []
    free = {word.number for word in prompt.words if word.kind != "punctuation"}
    for span in plan:
        if span.multiplier is not None:
            found.append(other.multipliers[span.multiplier].weight)
            continue
        spoken = [number for number in span.words if number in free] or list(span.words)
        weight = other.words[spoken[0]].weight
        if not all(_alike(other.words[number].weight, weight) for number in spoken):
            raise PromptError(f"one weight for {_unit(prompt, len(found), span).text!r}, which varies as a whole")
        found.append(weight)
        if not span.fixed:
            free.difference_update(span.words)
    for number in sorted(free):
        before, after = prompt.words[number], other.words[number]
        if not _alike(before.weight, after.weight):
            raise PromptError(f"{before.text!r} at {before.weight:.7g}, where it stays")
    return found


def _shape(prompt: Prompt) -> list[list[str]]:
    """The words and the syntax of each part, without blanks and brackets of emphasis; opaque parts as they are."""
    text = prompt.source.text
    return [
        [text[part.start : part.end].strip()]
        if part.opaque
        else ["" if isinstance(node, Break) else node.text for node in part.nodes if not isinstance(node, Blank)]
        for part in prompt.parts
    ]


def _alike(left: float, right: float) -> bool:
    """Whether two weights are the same as printed."""
    return abs(left - right) < 0.0005


def _fixed(words: tuple[Word, ...], members: tuple[int, ...]) -> bool:
    mute = True
    for number in members:
        word = words[number]
        if word.weight < 0 or (word.steering is not None and _frozen(word.steering)):
            return True
        mute = mute and word.kind == "punctuation"
    return mute


def _frozen(steering: Steering) -> bool:
    return steering.fixed or (steering.low is not None and steering.low == steering.high)


def _groups(prompt: Prompt) -> list[tuple[int, ...]]:
    groups: dict[tuple[int, int, float], list[int]] = {}
    for place, part in enumerate(prompt.parts):
        for node in part.nodes:
            if isinstance(node, Word) and node.group:
                groups.setdefault((place, node.group, node.weight), []).append(node.number)
    return [tuple(members) for members in groups.values()]


def _phrases(part: Part) -> Iterable[tuple[int, ...]]:
    """Runs of words; commas stand alone, other punctuation goes with the words around it."""
    run: list[Word] = []
    for node in part.nodes:
        if isinstance(node, Blank):
            continue
        comma = isinstance(node, Word) and node.kind == "punctuation" and node.text.strip(",，、،") == ""
        alike = isinstance(node, Word) and run and (node.weight, node.steering) == (run[-1].weight, run[-1].steering)
        if run and (comma or not alike):
            yield tuple(word.number for word in run)
            run = []
        if isinstance(node, (Syntax, Break)):
            continue
        if comma:
            yield (node.number,)
        else:
            run.append(node)
    if run:
        yield tuple(word.number for word in run)


def _join(groups: list[tuple[int, ...]], joins: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Unite the groups that are glued to one another, and take in words of no group that are glued to them."""
    if not joins:
        return groups
    owner = {index: number for number, members in enumerate(groups) for index in members}
    lone = sorted({index for pair in joins for index in pair} - owner.keys())
    owner.update((index, len(groups) + number) for number, index in enumerate(lone))
    root = list(range(len(groups) + len(lone)))

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    for left, right in joins:
        low, high = sorted((find(owner[left]), find(owner[right])))
        root[high] = low
    united: dict[int, list[int]] = {}
    for number, members in enumerate([*groups, *((index,) for index in lone)]):
        united.setdefault(find(number), []).extend(members)
    return sorted(tuple(sorted(members)) for number, members in united.items() if number < len(groups))


def _unit(prompt: Prompt, index: int, span: Span) -> Unit:
    if span.multiplier is not None:
        tag = prompt.multipliers[span.multiplier]
        start, end = tag.insert.start + tag.start, tag.insert.start + tag.end
        return Unit(index, tag.name, "lora", tag.weight, False, None, None, None, start, end)
    first = prompt.words[span.words[0]]
    source = prompt.source
    text, kind, steering, last = first.text, first.kind, first.steering, first
    if len(span.words) > 1:
        chosen = [prompt.words[number] for number in span.words]
        last = max(chosen, key=lambda word: word.end)
        kinds = {word.kind for word in chosen}
        kind = kinds.pop() if len(kinds) == 1 else "word"
        steering = next((word.steering for word in chosen if word.steering is not None), None)
        text = _label(source.text, first.start, last.end)
    start, end = source.column(first.start), source.column(last.end - 1) + 1
    if steering is None or span.fixed:
        return Unit(index, text, kind, first.weight, span.fixed, None, None, None, start, end)
    return Unit(index, text, kind, first.weight, False, steering.low, steering.high, steering.tie, start, end)


def _label(text: str, start: int, end: int) -> str:
    """text[start:end] with the brackets of a schedule that it cuts through."""
    label = text[start:end]
    while label.count("]") > label.count("[") and start > 0:
        start = max(text.rfind("[", 0, start), 0)
        label = text[start:end]
    while label.count("[") > label.count("]") and end < len(text):
        end = text.find("]", end) + 1 or len(text)
        label = text[start:end]
    return label
