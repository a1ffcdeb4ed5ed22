"""Options that the tests of the search start from."""

from __future__ import annotations

from typing import Any

from prompt_pins.search import SearchOptions


def plain(**options: Any) -> SearchOptions:
    """Step 0.05 from the original prompt, DEAP's rates, active update, no patience; with changes."""
    return SearchOptions(**{"preset": "Classic", "start": "original", "active": True, **options})
