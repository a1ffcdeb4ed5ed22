"""The headless host: prompts become images without a WebUI, on the embedded model or a local checkpoint.

The only part that imports diffusers and transformers.  Nothing here ever uses the network.  The names below are
loaded when they are first asked for, because torch takes seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import HeadlessHost
    from .samplers import SamplerChoice, find_sampler, samplers

_HOMES = {
    "HeadlessHost": "engine",
    "SamplerChoice": "samplers",
    "find_sampler": "samplers",
    "samplers": "samplers",
}

__all__ = ["HeadlessHost", "SamplerChoice", "find_sampler", "samplers"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
