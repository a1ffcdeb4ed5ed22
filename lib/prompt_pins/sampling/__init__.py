"""Hyperbatch samplers: batches that start as one image and fork in a binary tree while they are sampled.

`schedule` is pure integers and imports only the standard library; the other modules import torch, so the
names below are loaded when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .binding import Binding, cut, slices
    from .noise import LeafNoise, NoiseSource, SamplerNoise
    from .registry import SAMPLERS, SamplerInfo, make_hyperbatch
    from .schedule import ForkOptions, ForkSchedule, fork_schedule, independent_levels
    from .sigmas import exponential_sigmas, karras_sigmas

_HOMES = {
    "Binding": "binding",
    "cut": "binding",
    "slices": "binding",
    "LeafNoise": "noise",
    "NoiseSource": "noise",
    "SamplerNoise": "noise",
    "SAMPLERS": "registry",
    "SamplerInfo": "registry",
    "make_hyperbatch": "registry",
    "ForkOptions": "schedule",
    "ForkSchedule": "schedule",
    "fork_schedule": "schedule",
    "independent_levels": "schedule",
    "exponential_sigmas": "sigmas",
    "karras_sigmas": "sigmas",
}

__all__ = [
    "SAMPLERS",
    "Binding",
    "ForkOptions",
    "ForkSchedule",
    "LeafNoise",
    "NoiseSource",
    "SamplerInfo",
    "SamplerNoise",
    "cut",
    "exponential_sigmas",
    "fork_schedule",
    "independent_levels",
    "karras_sigmas",
    "make_hyperbatch",
    "slices",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
