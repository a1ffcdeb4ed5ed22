"""Which image seeds serve what.  Standard library only.

The four ranges lie a quarter of all seeds apart, so the contest, the check on unseen seeds and an analysis never
meet a seed of the search (which would need a thousand million images to reach the next range).
"""

from __future__ import annotations

SEEDS = 2**32  # the WebUI's seeds are below this
_CONTEST, _HELD_OUT, _ANALYSIS = SEEDS // 4, SEEDS // 2, SEEDS // 4 * 3


def search_seeds(seed: int, batch_size: int, generation: int, policy: str) -> tuple[int, ...]:
    """Seeds of a generation (from 1): the same for all its candidates.  `policy` is "fixed" or "rotated"."""
    start = seed + (generation - 1) * batch_size if policy == "rotated" else seed
    return _row(start, batch_size)


def contest_seeds(seed: int, count: int) -> tuple[int, ...]:
    """Seeds on which the best candidates meet."""
    return _row(seed + _CONTEST, count)


def held_out_seeds(seed: int, count: int) -> tuple[int, ...]:
    """Seeds that neither the search nor the contest ever sees."""
    return _row(seed + _HELD_OUT, count)


def analysis_seeds(seed: int, count: int) -> tuple[int, ...]:
    """Seeds on which an analysis without a search measures every word."""
    return _row(seed + _ANALYSIS, count)


def _row(start: int, count: int) -> tuple[int, ...]:
    return tuple((start + index) % SEEDS for index in range(count))
