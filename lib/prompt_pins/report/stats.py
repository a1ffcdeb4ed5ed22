"""`batch_stats.json`: what is known of one batch.  Reads the store; missing keys are empty, never errors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..store.files import read_json

Pairs = tuple[tuple[str, float], ...]

SIDES = {"prompt": "pos_weights", "negative": "neg_weights", "settings": "settings"}
"""The sides of a recipe, and where the file has them."""


@dataclasses.dataclass(frozen=True)
class LevelStats:
    """One level of the tree: its loss X_K, the weighted term, and the mean loss of pairs that part just below."""

    level: int
    x: float | None
    term: float | None
    parted: float | None


@dataclasses.dataclass(frozen=True)
class BatchStats:
    """fits, spreads: losses of the (image, target) and (image, image) pairs; per_image: (fit, spread) of each image.

    parts: (text, value) of what the batch was rendered from, in reading order: of each side that has any.
    """

    loss: float | None = None
    fit: float | None = None
    spread: float | None = None
    fits: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()
    per_image: tuple[tuple[float | None, float | None], ...] = ()
    per_level: tuple[LevelStats, ...] = ()
    parts: Mapping[str, Pairs] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    levels: tuple[tuple[int, ...], ...] = ()


def read_stats(folder: Path) -> BatchStats:
    """The stats in a candidate's folder; empty ones where there are none that can be read."""
    return parse_stats(read_json(folder / "batch_stats.json") or {})


def parse_stats(value: Mapping[str, Any]) -> BatchStats:
    """Stats from their JSON object; a list of plain pair losses counts as pairs of images and targets."""
    pairs = [pair for pair in _list(value, "pairs") if isinstance(pair, dict)]
    fits = [_number(pair.get("loss")) for pair in pairs if "target" in pair]
    spreads = [_number(pair.get("loss")) for pair in pairs if "other" in pair]
    if not pairs:
        fits = [_number(item) for item in _list(value, "calculated_loss_list")]
    images = [item for item in _list(value, "per_image") if isinstance(item, dict)]
    levels = [item for item in _list(value, "per_level") if isinstance(item, dict)]
    return BatchStats(
        _number(value.get("calculated_loss")),
        _number(value.get("fit")),
        _number(value.get("spread")),
        tuple(v for v in fits if v is not None),
        tuple(v for v in spreads if v is not None),
        tuple((_number(item.get("fit")), _number(item.get("spread"))) for item in images),
        tuple(_level(place, item) for place, item in enumerate(levels, 1)),
        {side: words for side, key in SIDES.items() if (words := _words(value, key))},
        tuple(seed for seed in _list(value, "seeds") if isinstance(seed, int)),
        tuple(_leaves(level) for level in _list(value, "levels")),
    )


def _leaves(level: Any) -> tuple[int, ...]:
    """The node of each leaf; empty, which is no level, for what is none."""
    return tuple(level) if isinstance(level, list) and all(isinstance(node, int) for node in level) else ()


def _level(place: int, item: Mapping[str, Any]) -> LevelStats:
    level = item.get("level")
    numbers = (_number(item.get(key)) for key in ("x", "term", "parted"))
    return LevelStats(level if isinstance(level, int) else place, *numbers)


def _words(value: Mapping[str, Any], key: str) -> Pairs:
    found = value.get(key)
    items = found.items() if isinstance(found, dict) else found if isinstance(found, list) else ()
    pairs = []
    for item in items:
        if isinstance(item, (list, tuple)) and len(item) == 2 and (weight := _number(item[1])) is not None:
            pairs.append((str(item[0]), weight))
    return tuple(pairs)


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
