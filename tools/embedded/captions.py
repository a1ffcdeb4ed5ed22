"""Captions of scenes: words with emphasis weights, attributes left out at random, rival words, filler.

A caption says what is in the picture, never all of it: what it leaves out truly varies. Two deliberate extras
make the small model behave as large ones do under prompt weighting:

* *Rivals.* Some captions name two values of one attribute ("a red blue circle") and the picture shows one.
  The two words carry weights; the chance that the first is the one shown is sigmoid(RIVAL_SLOPE (w1 - w2)).
* *Decoys.* Some captions name a wrong value at a weight near 0, so that the picture owes it nothing.
* *Filler.* Some captions carry words that mean nothing here, so that unknown words change little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embedded_world import COLOURS, PLACES, SHAPES, Background, Scene, Thing

RIVAL_SLOPE = 6.0
RIVAL_CHANCE = 0.4
RIVALS = {"colour": 0.27, "place": 0.25, "background": 0.28, "shape": 0.12, "size": 0.08}
DECOY_CHANCE = 0.25
EMPHASIS_CHANCE = 0.15
FILLER_CHANCE = 0.25

FILLER_STARTS = ("a photo of", "a picture of", "a drawing of", "an image of", "a simple", "a nice", "a beautiful")
FILLER_TAGS = ("nice", "beautiful", "simple", "detailed", "best quality", "masterpiece", "flat design", "minimal")


@dataclass(frozen=True)
class Word:
    """A word, or a comma, with its emphasis weight (1 = plain)."""

    text: str
    weight: float = 1.0


Words = tuple[Word, ...]


def plain(text: str) -> Words:
    """Words of weight 1; commas become words of their own."""
    return tuple(Word(w) for w in text.replace(",", " , ").split())


def spoken(words: Words) -> str:
    """The caption without its weights, e.g. "red circle, left"."""
    return " ".join(w.text for w in words).replace(" ,", ",")


def rival_pair(shown: str, others: tuple[str, ...], rng: np.random.Generator) -> Words:
    """`shown` and another value in random order, weighted so that the heavier one is more often the shown one.

    Or a decoy: the other value alone, at a weight near 0.
    """
    other = str(rng.choice([o for o in others if o != shown]))
    if rng.random() < DECOY_CHANCE:
        return (Word(other, float(rng.uniform(0.0, 0.2))),)
    lead = float(rng.uniform(0.0, 0.8)) if rng.random() < 0.8 else 0.0
    if rng.random() > 1.0 / (1.0 + np.exp(-RIVAL_SLOPE * lead)):
        lead = -lead
    middle = float(rng.uniform(0.9, 1.1))
    pair = (Word(shown, middle + lead / 2), Word(other, middle - lead / 2))
    return pair if rng.random() < 0.5 else pair[::-1]


def thing_words(thing: Thing, rng: np.random.Generator, rival: str = "", full: bool = False) -> Words:
    """ "small red circle", any of the three possibly left out; `rival` names the attribute that gets a rival."""
    keep_shape = full or rival == "shape" or rng.random() < 0.92
    keep_colour = full or rival == "colour" or rng.random() < 0.88
    keep_size = thing.size != "medium" and (rival == "size" or rng.random() < 0.5)
    words: Words = ()
    if keep_size:
        words += rival_pair(thing.size, ("small", "large"), rng) if rival == "size" else (Word(thing.size),)
    if keep_colour:
        words += rival_pair(thing.colour, COLOURS, rng) if rival == "colour" else (Word(thing.colour),)
    if not keep_shape:
        return (*words, Word("shape"))
    return words + (rival_pair(thing.shape, SHAPES, rng) if rival == "shape" else (Word(thing.shape),))


def place_words(place: str, rng: np.random.Generator, tag: bool, rival: bool = False) -> Words:
    """ "on the left", "at the top", "in the center", or the bare word as a tag."""
    words = rival_pair(place, tuple(PLACES), rng) if rival else (Word(place),)
    if tag and rng.random() < 0.7:
        return words
    return plain({"center": "in the", "top": "at the", "bottom": "at the"}.get(place, "on the")) + words


def background_words(
    background: Background, rng: np.random.Generator, rival: bool = False, full: bool = False
) -> Words:
    """ "blue background", "striped red and blue background", "gradient red to blue background"."""
    end = (Word("background"),)
    if background.kind == "plain":
        start = plain("plain") if rng.random() < 0.1 else ()
        shown = background.colours[0]
        return start + (rival_pair(shown, COLOURS, rng) if rival else (Word(shown),)) + end
    if not full and rng.random() < 0.15:
        return (Word(background.kind), *end)
    first, second = background.colours
    if background.kind == "gradient":
        return plain(f"gradient {first} to {second}") + end
    if rng.random() < 0.5:
        first, second = second, first
    return plain(f"striped {first} and {second}") + end


def _joined(parts: list[Words], glue: str) -> Words:
    """The parts with `glue` between them; empty parts are left out."""
    kept = [p for p in parts if p]
    words = kept[0] if kept else ()
    for part in kept[1:]:
        words += plain(glue) + part
    return words


def _one_thing(scene: Scene, rng: np.random.Generator, full: bool) -> Words:
    thing, tag = scene.things[0], rng.random() < 0.4
    rival = str(rng.choice(list(RIVALS), p=list(RIVALS.values()))) if rng.random() < RIVAL_CHANCE else ""
    rival = "" if full else rival
    what = thing_words(thing, rng, rival, full)
    where = (
        place_words(thing.place, rng, tag, rival == "place") if full or rival == "place" or rng.random() < 0.65 else ()
    )
    behind = (
        background_words(scene.background, rng, rival == "background", full)
        if full or rival == "background" or rng.random() < 0.75
        else ()
    )
    if tag:
        parts = [what, where, behind]
        return _joined([parts[i] for i in (rng.permutation(3) if rng.random() < 0.5 else range(3))], ",")
    what = plain(_article(what)) + what
    return _on(_joined([what, where], ""), behind, rng)


def _article(words: Words) -> str:
    return "an" if words[0].text[0] in "aeiou" else "a"


def _on(words: Words, behind: Words, rng: np.random.Generator) -> Words:
    """Words, then the background in one of the usual ways of saying it."""
    if not behind:
        return words
    link = str(rng.choice((f"on {_article(behind)}", f"with {_article(behind)}", ",", "on")))
    return words + plain(link) + behind


def _two_things(scene: Scene, rng: np.random.Generator, full: bool) -> Words:
    tag, placed = rng.random() < 0.3, full or rng.random() < 0.6
    order = rng.permutation(2)
    parts = []
    for thing in (scene.things[int(i)] for i in order):
        what = thing_words(thing, rng, full=full)
        what = what if tag else plain(_article(what)) + what
        parts.append(what + (place_words(thing.place, rng, tag) if placed else ()))
    behind = background_words(scene.background, rng, full=full) if full or rng.random() < 0.75 else ()
    if tag:
        return _joined([*parts, behind], ",")
    return _on(_joined(parts, "and"), behind, rng)


def scene_words(scene: Scene, rng: np.random.Generator, full: bool = False) -> Words:
    """A caption of the scene; `full` names every attribute and leaves rivals out (for grading)."""
    return (_one_thing if len(scene.things) == 1 else _two_things)(scene, rng, full)


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """A full caption in plain words: colour, shape, place and background are all named."""
    return spoken(scene_words(scene, rng, full=True))


def with_filler(words: Words, unknown: tuple[str, ...], rng: np.random.Generator) -> Words:
    """Sometimes put a customary phrase before, or meaningless words before, within or after."""
    if rng.random() > FILLER_CHANCE:
        return words
    if rng.random() < 0.4:
        start = plain(str(rng.choice(FILLER_STARTS)))
        return start + (words[1:] if words and words[0].text in ("a", "an") else words)
    if rng.random() < 0.5:
        tag = plain(str(rng.choice(FILLER_TAGS)))
        return tag + plain(",") + words if rng.random() < 0.5 else words + plain(",") + tag
    for text in rng.choice(unknown, int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(words) + 1))
        words = (*words[:at], Word(str(text)), *words[at:])
    return words


def with_emphasis(words: Words, rng: np.random.Generator) -> Words:
    """Sometimes change single weights a little, which does not change the picture."""
    if rng.random() > EMPHASIS_CHANCE or any(w.weight != 1.0 for w in words):
        return words
    return tuple(Word(w.text, float(rng.uniform(0.75, 1.3))) if rng.random() < 0.4 else w for w in words)


def training_words(scene: Scene, unknown: tuple[str, ...], rng: np.random.Generator, drop: float = 0.1) -> Words:
    """The caption of one training example; empty with chance `drop`, for classifier-free guidance."""
    if rng.random() < drop:
        return ()
    return with_emphasis(with_filler(scene_words(scene, rng), unknown, rng), rng)


def known_words() -> tuple[str, ...]:
    """Every word that the captions are made of, filler phrases included, unknown words not."""
    text = " ".join((*COLOURS, *SHAPES, *PLACES, *FILLER_STARTS, *FILLER_TAGS))
    text += " small large shape a an on in at the with and to , plain striped gradient background"
    return tuple(dict.fromkeys(text.split()))
