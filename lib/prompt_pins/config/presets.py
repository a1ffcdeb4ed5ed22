"""Named sets of search options.  `docs/search.md` tells what each of them costs.  Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

STARTS = ("original", "random", "anywhere")
LIKELY = "likely"
TASTE = "taste"
"""The objective of the loss that is the user's own eye."""
WITH_TWO: Mapping[str, tuple[Any, ...]] = MappingProxyType({"seed_policy": ("fixed",), "start": STARTS})
"""What is allowed with two objectives."""
BY_EYE: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {"seed_policy": ("rotated",), "start": STARTS, "patience": (0,), "objectives": (1,), "restarts": (0,)}
)
"""The same where the user ranks: there is no target, and ranks of two generations cannot be compared."""

CLASSIC: Mapping[str, Any] = MappingProxyType(
    {
        "initial_std": 0.05,
        "start": "random",
        "lambda_": 0,
        "rates": "deap",
        "active": False,
        "draws": "independent",
        "patience": 0,
        "min_progress": 0.0,
        "seed_policy": "fixed",
        "early_generations": 0,
        "quarter_generations": 0,
    }
)
"""The seed's defaults: plain CMA-ES from a random centroid, for its whole budget."""

BALANCED: Mapping[str, Any] = MappingProxyType(
    {
        "initial_std": 0.2,
        "start": "likely",
        "lambda_": 0,
        "rates": "tutorial",
        "active": True,
        "draws": "pairs",
        "patience": 12,
        "min_progress": 0.002,
        "seed_policy": "rotated",
        "early_generations": 8,
        "quarter_generations": 4,
    }
)
"""From where the targets are likely, a step that reaches, new image seeds each generation, an end after no progress."""

QUICK: Mapping[str, Any] = MappingProxyType(
    {
        **BALANCED,
        "lambda_": 6,
        "patience": 6,
        "min_progress": 0.01,
        "seed_policy": "fixed",
        "early_generations": 0,
        "quarter_generations": 0,
    }
)
"""Small generations and little patience: a first answer for few images."""

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Classic": CLASSIC,
        "Balanced": BALANCED,
        "Quick": QUICK,
    }
)


def is_by_eye(objectives: Any) -> bool:
    """Whether the objectives of a loss, as a configuration has them, are the user's eye alone."""
    return isinstance(objectives, (list, tuple)) and list(objectives) == [TASTE]


def limits(options: Any) -> tuple[Mapping[str, tuple[Any, ...]], str]:
    """What other options leave of some; of those that the preset gives, the first is taken.  And when, in words."""
    if is_by_eye(getattr(options, "loss_objectives", ())):
        return BY_EYE, f"with the objective {TASTE}"
    return (WITH_TWO, "with two objectives") if options.objectives == 2 else ({}, "")


def chosen(values: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration's values without those that its preset gives anyway."""
    given = PRESETS.get(str(values.get("preset")), {})
    return {name: value for name, value in values.items() if name not in given or given[name] != value}
