"""Printing a prompt with other weights.

A weight that is that of the source (to 5e-7) is printed as it is, with up to 7 decimals; any other is rounded to 3
decimals.  Both in fixed notation, without trailing zeros.  Parentheses stand only round text whose weight is not 1,
and neighbours of equal weight share them.  Brackets of the source are not kept: their weights are multiplied out.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import OptionError
from .nodes import Blank, Break, Part, Prompt, Vary, Word
from .units import Span, spans
from .writer import Writer

SAME = 5e-7
DECIMALS = 3


def render(prompt: Prompt, weights: Sequence[float] | None = None, vary: Vary = "words", loras: bool = False) -> str:
    """The prompt in plain host syntax, with a weight for each of `units.units(prompt, vary, loras)`.

    weights: as many as there are units; None for the original ones.  Those of fixed units are not read.
    Raises OptionError for another number of weights, and for one that is not finite or, but for a LoRA, negative.
    """
    if weights is None:
        return _print(prompt, [word.weight for word in prompt.words], {})
    return apply(prompt, spans(prompt, vary, loras), weights)


def weigh(prompt: Prompt, weights: Sequence[float] | None, vary: Vary, loras: bool) -> list[str]:
    """The weight of each word as printed, empty for 1; arguments and errors as for `render`."""
    if weights is None:
        return _show_all(prompt, [word.weight for word in prompt.words])
    return _show_all(prompt, _spread(prompt, spans(prompt, vary, loras), weights)[0])


def apply(prompt: Prompt, plan: Sequence[Span], weights: Sequence[float]) -> str:
    """As `render`, with the spans of the units made before."""
    return _print(prompt, *_spread(prompt, plan, weights))


def mark(prompt: Prompt, plan: Sequence[Span], marks: Sequence[str]) -> str:
    """The prompt with a steering mark such as `0.8~1.2` for each unit, "" for one that stays as it is.

    plan: the spans of the units; a LoRA's multiplier takes no mark.
    """
    shown = _show_all(prompt, [word.weight for word in prompt.words])
    for span, text in zip(plan, marks, strict=True):
        for number in span.words if text else ():
            shown[number] = text
    return _print_shown(prompt, shown, {})


def _spread(prompt: Prompt, plan: Sequence[Span], weights: Sequence[float]) -> tuple[list[float], dict[int, float]]:
    """The weight of every word, and the new multipliers by number."""
    if len(weights) != len(plan):
        raise OptionError("weights", len(weights), f"as many as there are units, {len(plan)}")
    words = [word.weight for word in prompt.words]
    numbers: dict[int, float] = {}
    for span, given in zip(plan, weights):
        if span.fixed:
            continue
        weight = float(given)
        if not math.isfinite(weight) or (weight <= -0.5 * 10**-DECIMALS and span.multiplier is None):
            raise OptionError("weights", weight, "finite numbers that are not negative")
        if span.multiplier is not None:
            numbers[span.multiplier] = weight
        for number in span.words:
            words[number] = weight
    return words, numbers


def show(weight: float, original: float, decimals: int = DECIMALS) -> str:
    """A weight as printed: exact if it is the original one, else rounded."""
    text = f"{original:.7f}" if abs(weight - original) <= SAME else f"{weight:.{decimals}f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _print(prompt: Prompt, words: Sequence[float], numbers: dict[int, float]) -> str:
    return _print_shown(prompt, _show_all(prompt, words), numbers)


def _print_shown(prompt: Prompt, shown: list[str], numbers: dict[int, float]) -> str:
    writer = Writer(prompt.source, _print_tags(prompt, numbers))
    for number, part in enumerate(prompt.parts):
        if number:
            writer.put("AND", "", part.start - len("AND"), whole_word=True)
        if part.opaque:
            writer.verbatim(part.start, part.end)
        else:
            _print_part(part, shown, writer)
            writer.verbatim(part.stop, part.end)
    return writer.finish()


def _show_all(prompt: Prompt, weights: Sequence[float]) -> list[str]:
    """Each word's weight as printed; empty for 1."""
    known: dict[tuple[float, float], str] = {(1.0, 1.0): ""}
    shown: list[str] = []
    for word, weight in zip(prompt.words, weights):
        key = (weight, word.weight)
        text = known.get(key)
        if text is None:
            text = show(weight, word.weight)
            text = known[key] = "" if text == "1" else text
        shown.append(text)
    return shown


def _print_tags(prompt: Prompt, numbers: dict[int, float]) -> dict[int, str]:
    """The texts of the tags that change, by the column where the tag starts."""
    texts: dict[int, str] = {}
    for number in sorted(numbers, reverse=True):
        multiplier, value = prompt.multipliers[number], numbers[number]
        if abs(value - multiplier.weight) > SAME:
            insert, start, end = multiplier.insert, multiplier.start, multiplier.end
            text = texts.get(insert.start, insert.text)
            colon = ":" if start == end else ""
            texts[insert.start] = text[:start] + colon + show(value, multiplier.weight) + text[end:]
    return texts


def _print_part(part: Part, shown: list[str], writer: Writer) -> None:
    touching = [seam for seam in part.seams if shown[seam.before] == shown[seam.after]]
    after = {seam.before for seam in touching if seam.blank == "after"}
    before = {seam.after for seam in touching if seam.blank == "before"}
    ending, spelled = part.ending or (-1, "")
    for node in part.nodes:
        if isinstance(node, Word):
            index = node.number
            text = spelled if index == ending and not shown[index] else node.spelled
            if touching:
                text = " " * (index in before) + text + " " * (index in after)
            writer.put(text, shown[index], node.start, node.cut)
        elif isinstance(node, Blank):
            writer.blank(node)
        elif isinstance(node, Break):
            weight = "" if node.weight == 1 else show(node.weight, node.weight)
            writer.put("BREAK", weight, node.start, whole_word=True)
        else:
            writer.syntax(node)
