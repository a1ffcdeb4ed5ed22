"""The texts of all payloads over the same axes.  Standard library only.

What varies is what all payloads share: the units of the piece; without one the units of a prompt that is the same in
all payloads; always the units that carry a mark (a tie's tag ties them across payloads, too), and LoRAs where they are
to vary.  All other words stay as they are written.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import NamedTuple, cast

from ..config import RunConfig
from ..config.payloads import PIECE, filled
from ..errors import PromptError
from ..prompt.nodes import Prompt, Vary
from ..prompt.parser import parse
from ..prompt.units import Span, Unit, spans, units
from .text import SIDES, Builder, Placed, Text, check_bounds

Columns = tuple[tuple[int, int], ...]


class Side(NamedTuple):
    """One prompt of one payload.  pieces: where the piece stands; shared: whether all payloads have the same text."""

    text: str
    pieces: Columns
    shared: bool
    prompt: Prompt
    plan: list[Span]
    units: tuple[Unit, ...]


def build(config: RunConfig, embeddings: Collection[str] = ()) -> tuple[tuple[Text, ...], Text | None]:
    """Each payload's text, and the piece by itself; all over the same axes.

    Raises `PromptError` where the piece stands within a word, or is cut otherwise than in the first payload.
    """
    check_bounds(config.weight_low, config.weight_high)
    builder = Builder(config.weight_low, config.weight_high)
    cut: set[tuple[Hashable, ...]] = set()
    views = []
    for number, texts in enumerate(config.texts, 1):
        first, own = len(builder.units), set[Hashable]()
        sides = [_side(config, texts[place], place, embeddings) for place in range(2)]
        for place, side in enumerate(sides):
            for index, unit in enumerate(side.units):
                try:
                    tie = _tie(side, unit, SIDES[place], index, bool(config.piece))
                except PromptError as error:
                    raise PromptError(f"payload {number}: {error}") from error
                varies = config.vary_negative if place else config.vary_prompt
                builder.take(unit, SIDES[place], tie is not None and varies and not unit.fixed, tie)
                own |= {tie} if isinstance(tie, tuple) and tie[0] == PIECE else set()
        cut.add(tuple(sorted(own, key=str)))
        if len(cut) > 1:
            raise PromptError(f"payload {number}: {PIECE} is cut into other words there than in the payloads before")
        views.append((sides, tuple(builder.units[first:])))
    axes = builder.axes()
    found = [
        Text((sides[0].prompt, sides[1].prompt), axes, placed, (sides[0].plan, sides[1].plan))
        for sides, placed in views
    ]
    return tuple(found), _alone(config, found[0], builder, embeddings) if config.piece else None


def _side(config: RunConfig, raw: str, place: int, embeddings: Collection[str]) -> Side:
    text, pieces = filled(raw, config.piece)
    prompt = parse(text, embeddings, negative=bool(place))
    vary, loras = cast(Vary, config.vary), config.vary_loras and not place
    shared = len({texts[place] for texts in config.texts}) == 1
    return Side(text, pieces, shared, prompt, spans(prompt, vary, loras), units(prompt, vary, loras))


def _tie(side: Side, unit: Unit, name: str, index: int, has_piece: bool) -> Hashable:
    """What ties a unit to those of other payloads; None: it stays as it is written."""
    for start, end in side.pieces:
        if start <= unit.start and unit.end <= end:
            return PIECE, unit.start - start, unit.end - start
        if unit.start < end and start < unit.end and not unit.fixed:
            raise PromptError(
                f"{PIECE} is a part of {unit.text!r} there, which has one weight; put blanks, or commas where phrases "
                "vary, around it",
                unit.start + 1,
            )
    if unit.tie is not None:
        return unit.tie
    if unit.low is not None or (side.shared and not has_piece):
        return name, side.text, index
    return ("lora", unit.text) if unit.kind == "lora" else None


def _alone(config: RunConfig, text: Text, builder: Builder, embeddings: Collection[str]) -> Text:
    """The piece as a prompt of its own."""
    side = _side(config, PIECE, 0, embeddings)
    placed = []
    for unit in side.units:
        tie = unit.tie or (PIECE, unit.start, unit.end)
        placed.append(Placed(unit, SIDES[0], builder.ties.get(tie)))
    empty = parse("", embeddings, negative=True)
    return Text((side.prompt, empty), text.axes, tuple(placed), (side.plan, []))
