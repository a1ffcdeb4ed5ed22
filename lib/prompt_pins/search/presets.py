"""Named sets of options.  `docs/search.md` tells what each of them costs.

May import: the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..config.search import SearchOptions

CLASSIC: Mapping[str, Any] = MappingProxyType(
    {
        "initial_std": 0.05,
        "initial_radius": 0.25,
        "start": "random",
        "lambda_": 0,
        "mu": 0,
        "weights": "superlinear",
        "rates": "deap",
        "active": False,
        "patience": 0,
        "min_progress": 0.0,
    }
)
"""The seed's defaults: plain CMA-ES from a random centroid, for its whole budget."""

BALANCED: Mapping[str, Any] = MappingProxyType(
    {
        "initial_std": 0.15,
        "initial_radius": 0.25,
        "start": "original",
        "lambda_": 0,
        "mu": 0,
        "weights": "superlinear",
        "rates": "tutorial",
        "active": True,
        "patience": 12,
        "min_progress": 0.002,
    }
)
"""From the original prompt, with a step that reaches, and an end when nothing more is gained."""

QUICK: Mapping[str, Any] = MappingProxyType({**BALANCED, "lambda_": 6, "patience": 6, "min_progress": 0.01})
"""Small generations and little patience: a first answer for few images."""

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Classic": CLASSIC,
        "Balanced": BALANCED,
        "Quick": QUICK,
    }
)


def preset(name: str, **changes: Any) -> SearchOptions:
    """The options of a preset, with changes.  Raises KeyError for another name, `OptionError` for a bad change."""
    return SearchOptions(**{**PRESETS[name], **changes})
