"""What a loss is made of, validated once.  Standard library, errors, options and config only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from prompt_pins.config import LossGroup
from prompt_pins.errors import OptionError
from prompt_pins.options import checked

DEFAULT_PIXELS_PER_DEGREE: float = LossGroup.pixels_per_degree  # a 0.7 m wide screen of 3840 pixels seen from 0.7 m
_OBJECTIVES_ALLOWED = 'one or more of (name, weight), "name" or "name:weight"; each name once, weights above 0'


@dataclass(frozen=True)
class LossOptions(LossGroup):
    """Options of `score_batch`: those that the configuration declares, and the device.

    loss_objectives may be given as the configuration has it (texts "name" or "name:weight"), as (name, weight)
    pairs or as a mapping; it is kept as pairs, weights above 0, which are compared with one another.
    device: "auto" (CUDA where there is one and it has room, else the CPU), "cpu", "cuda" or "cuda:N".

    Raises OptionError for a value that is not allowed.
    """

    loss_objectives: Any = LossGroup.loss_objectives
    device: str = "auto"

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(LossGroup)}
        own: dict[str, Any] = {"loss_objectives": _objectives(values.pop("loss_objectives"))}
        own |= {name: _tags(name, values.pop(name)) for name in ("tags_wanted", "tags_unwanted")}
        for name, value in (checked(LossGroup, values) | own).items():
            object.__setattr__(self, name, value)
        if not _is_device(self.device):
            raise OptionError("device", self.device, "auto, cpu, cuda or cuda:N")


def check_pixels_per_degree(value: float) -> float:
    """The value, if the filters of ꟻLIP can be made for it; OptionError otherwise."""
    return float(checked(LossGroup, {"pixels_per_degree": value})["pixels_per_degree"])


def _is_device(value: object) -> bool:
    if not isinstance(value, str):
        return False
    kind, _, index = value.partition(":")
    return value in ("auto", "cpu", "cuda") or (kind == "cuda" and index.isdigit())


def _objectives(value: object) -> tuple[tuple[str, float], ...]:
    """(name, weight) pairs from any of the forms that are allowed."""
    items = value.items() if isinstance(value, Mapping) else value
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise OptionError("loss_objectives", value, _OBJECTIVES_ALLOWED)
    pairs = tuple(_objective(item) for item in items)
    if not pairs or len({name for name, _ in pairs}) != len(pairs):
        raise OptionError("loss_objectives", value, _OBJECTIVES_ALLOWED)
    return pairs


def _objective(item: object) -> tuple[str, float]:
    entry: tuple[object, ...] = ()
    if isinstance(item, str):
        name, colon, number = item.partition(":")
        try:
            entry = (name.strip(), float(number) if colon else 1.0)
        except ValueError:
            entry = ()
    elif isinstance(item, Iterable):
        entry = tuple(item)
    if len(entry) != 2 or not isinstance(entry[0], str) or not entry[0]:
        raise OptionError("loss_objectives", item, _OBJECTIVES_ALLOWED)
    weight = entry[1]
    if not isinstance(weight, (int, float)) or not math.isfinite(weight) or not 0.0 < weight <= 1e6:
        raise OptionError(f"loss_objectives: weight of {entry[0]}", weight, "a number above 0, up to 1000000")
    return entry[0], float(weight)


def _tags(field: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise OptionError(field, value, "a list of tags")
    tags = tuple(value)
    if not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise OptionError(field, value, "a list of tags, none of them empty")
    return tuple(tag.strip() for tag in tags)
