"""What the run page shows of each payload.  Reads the store and the declarations of the options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from ..config import payloads as lines
from ..errors import OptionError, shorten
from ..store import Candidate, Record

T = TypeVar("T")
LONGEST = 90  # characters of a name


@dataclasses.dataclass(frozen=True)
class Shown:
    """One payload.  weight: its share of all.  Of images the paths; before, after: original and pinned on the search's
    seeds, unseen_before and unseen_after on others.  share: the pinned prompt's loss as one of the original's.

    gain: (improvement, low, high) on unseen seeds, None before the check.
    """

    number: int
    name: str
    weight: float
    checkpoint: str
    prompt: str
    negative_prompt: str
    targets: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    share: float | None
    unseen_before: tuple[str, ...]
    unseen_after: tuple[str, ...]
    gain: tuple[float, ...] | None


def payloads(record: Record) -> tuple[Shown, ...]:
    """Every payload of a run, in its order; () of a plain run."""
    count, winner, held = len(record.target_counts), record.winner, record.held
    best, first, found, start = record.best, record.original, [], 0
    own = _own(record, count)
    total = sum(one.weight for one in own)
    for place, (one, targets) in enumerate(zip(own, record.target_counts)):
        prompt, negative = best.prompts[place] if best and place < len(best.prompts) else ("", "")
        written = str(record.config.get("prompt", "")) if one.prompt is None else one.prompt
        found.append(
            Shown(
                place + 1,
                shorten(" ".join(written.split()), LONGEST)[1:-1] + _told(one, written, record),
                one.weight / total,
                str(one.checkpoint or record.config.get("checkpoint") or ""),
                prompt,
                negative,
                record.target_images[start : start + targets],
                _images(first, place, count),
                _images(winner, place, count),
                winner.shares[place] if winner and place < len(winner.shares) else None,
                part(held.images_original, place, count) if held else (),
                part(held.images_pinned, place, count) if held else (),
                held.payload_gains[place] if held and place < len(held.payload_gains) else None,
            )
        )
        start += targets
    return tuple(found)


def _own(record: Record, count: int) -> tuple[lines.Payload, ...]:
    """What the configuration says of each; of a damaged one nothing."""
    given = record.config.get("payload")
    try:
        found = lines.read_all(map(str, given if isinstance(given, list) else ()))
    except OptionError:
        found = ()
    return (found + (lines.Payload(),) * count)[:count]


def _told(one: lines.Payload, written: str, record: Record) -> str:
    """What else tells it from others with the same prompt."""
    told = [f"seed {one.seed}"] if one.seed is not None else []
    told += [f"negative: {shorten(one.negative_prompt, 40)[1:-1]}"] if one.negative_prompt else []
    return f" ({', '.join(told)})" if told else ""


def part(items: Sequence[T], place: int, count: int) -> tuple[T, ...]:
    """The share of one of `count` payloads in what is in their order, the same number of each."""
    each = len(items) // count
    return tuple(items[place * each : (place + 1) * each])


def _images(candidate: Candidate | None, place: int, count: int) -> tuple[str, ...]:
    if candidate is None:
        return ()
    return tuple(f"{candidate.folder}/{name}" for name in part(candidate.images, place, count))
