"""What an analysis measures as one: words, phrases or settings, each alone at another value.  Standard library only.

With `vary` at auto that is decided in two passes: phrases first, lowered on the first quarter of the seeds; then, in
the order of how far they move the image, the words of those that fit into a third of what all words would cost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ..config import AnalysisOptions, RunConfig
from ..errors import OptionError, PromptError
from ..host import Host, Recipe
from ..space import Space, build
from ..space.text import Text
from ..store import Measured

AUTO = "auto"
SHARE = 1 / 3
"""Of the wordings that measuring every word would take: so much may be spent."""
SHORT = 12
"""Words of a prompt that is measured word by word in any case."""
FIRST = 4
"""The first pass takes so small a part of the seeds: more would leave less for the words."""
LEAST = 4  # seeds of the first pass, from which a spread can be told


@dataclasses.dataclass(frozen=True)
class Place:
    """One side of a part: its value there, and what is rendered."""

    weight: float
    recipe: Recipe


@dataclasses.dataclass(frozen=True)
class Part:
    """A word, a phrase or a setting.

    places: its sides, "lowered" and "raised", those that there are.  words: what a phrase of several can be split into.
    phrase: what a word was split from.  seeds: how many of the first ones it is measured on, 0 for all.
    """

    label: str
    side: str
    weight: float
    places: Mapping[str, Place]
    words: tuple[Part, ...] = ()
    phrase: str = ""
    seeds: int = 0


@dataclasses.dataclass(frozen=True)
class Parts:
    """What is measured.  space: of all words.  whole: every part at all of its sides.  phrases: the first pass of auto,
    () without one."""

    space: Space
    whole: tuple[Part, ...]
    phrases: tuple[Part, ...] = ()


def find(config: RunConfig, options: AnalysisOptions, host: Host) -> Parts:
    """The parts of a prompt.  Raises `PromptError` where nothing can be moved, `OptionError`."""
    by_word = _space(config, host, "words" if config.vary == AUTO else config.vary)
    whole = _parts(by_word, options)
    if not any(part.places for part in whole):
        settings = options.by == "likelihood" and any(axis.side == "settings" for axis in by_word.axes)
        why = "; by likelihood settings have no part" if settings else ""
        raise PromptError(f"no word can be raised or lowered: its range holds no other weight that can be printed{why}")
    phrases: tuple[Part, ...] = ()
    if config.vary == AUTO and len(whole) > SHORT:
        phrases = _phrases(by_word, whole, _space(config, host, "phrases"), options)
    return Parts(by_word, tuple(part for part in whole if part.places), phrases)


def _space(config: RunConfig, host: Host, vary: str) -> Space:
    return build(dataclasses.replace(config, vary=vary), host.embeddings(), host.settings(config))


def _parts(space: Space, options: AnalysisOptions) -> list[Part]:
    """(N,) one for each axis; one that cannot be moved has no places."""
    return [
        Part(axis.label, axis.side, axis.original, _places(space, index, options))
        for index, axis in enumerate(space.axes)
    ]


def _places(space: Space, index: int, options: AnalysisOptions) -> dict[str, Place]:
    """One axis lowered and raised by the step in its scale, within its range, if that changes it.

    None for a setting by likelihood: it has no part in that.
    """
    axis = space.axes[index]
    if options.by == "likelihood" and axis.side == "settings":
        return {}
    step = options.analysis_step * axis.scale
    values = {"lowered": max(axis.original - step, axis.low), "raised": min(axis.original + step, axis.high)}
    found = {}
    for name, value in values.items():
        vector = list(space.original)
        vector[index] = value
        vector = space.round(vector)
        if vector[index] != axis.original:
            found[name] = Place(vector[index], space.recipe(vector))
    return found


def _phrases(by_word: Space, whole: Sequence[Part], by_phrase: Space, options: AnalysisOptions) -> tuple[Part, ...]:
    """The first pass: every phrase with its words, and the words that are in none; () where no phrase has several."""
    words, phrases = (_columns(space) for space in (by_word, by_phrase))
    homes: dict[int, list[int]] = {}
    for word, places in enumerate(words):
        home = next((index for index, spans in enumerate(phrases) if _within(places, spans)), -1 - word)
        homes.setdefault(home, []).append(word)
    if all(len(members) == 1 for members in homes.values()):
        return ()
    first = max(LEAST, options.analysis_seeds // FIRST) if options.by == "images" else 0
    found, parts = [], _parts(by_phrase, options)
    for home, members in sorted(homes.items(), key=lambda item: item[1][0]):
        part = parts[home] if len(members) > 1 else whole[members[0]]
        inside = tuple(dataclasses.replace(whole[word], phrase=part.label) for word in members if whole[word].places)
        if part.places:
            name = next(iter(part.places))  # lowered, where it can be
            place = {name: part.places[name]}
            found.append(dataclasses.replace(part, places=place, words=inside, seeds=first))
    return tuple(found)


def _columns(space: Space) -> list[list[tuple[str, int, int]]]:
    """(N,) where each axis stands in the prompts; a setting at a place of its own."""
    text = space.groups[0]
    assert isinstance(text, Text)
    found = text.places()
    return [*found, *([(axis.label, 0, 0)] for axis in space.axes[len(found) :])]


def _within(places: Sequence[tuple[str, int, int]], spans: Sequence[tuple[str, int, int]]) -> bool:
    return any(
        side == other and low <= start and end <= high for side, start, end in places for other, low, high in spans
    )


def split(
    parts: Parts, measured: Sequence[Measured], options: AnalysisOptions, wanted: Sequence[str] = ()
) -> list[Part]:
    """The second pass: the words of the phrases that move the image most, as many as may be spent.

    measured: the phrases, in their order.  wanted: these phrases instead, by their labels, as an earlier analysis has
    split them.  A phrase of one word is measured again, at both sides on all seeds.
    """
    budget = SHARE * (1 + _cost(parts.whole, options)) - 1 - _cost(parts.phrases, options)
    order = sorted(zip(parts.phrases, measured), key=lambda pair: -pair[1].mean)
    chosen: list[Part] = []
    for rank, (phrase, _) in enumerate(order):
        inside = [dataclasses.replace(word, phrase=phrase.label) for word in phrase.words]
        if len(inside) == 1:
            inside = [dataclasses.replace(inside[0], phrase="")]
        cost = _cost(inside, options)
        if phrase.label in wanted if wanted else rank == 0 or cost <= budget:
            chosen += inside
            budget -= cost
    return chosen


def planned(parts: Parts, options: AnalysisOptions) -> float:
    """Wordings on all seeds that an analysis takes, the unchanged one with them."""
    return (SHARE if parts.phrases else 1) * (1 + _cost(parts.whole, options))


def _cost(parts: Sequence[Part], options: AnalysisOptions) -> float:
    """In wordings on all seeds."""
    return sum(len(part.places) * ((part.seeds or options.analysis_seeds) / options.analysis_seeds) for part in parts)


def check_same(part: Part, known: Measured) -> None:
    """Raises `OptionError` where a journal's word is not what is measured in its place."""
    if part.label != known.label or set(known.sides) != set(part.places):
        raise OptionError("word", known.label, f"{part.label!r}: this analysis was begun with another version")
