"""After the search: the contest that names the pinned prompt, and the check on unseen seeds.

The images of both are independent of each other (no forks), so that their fits are too.
May import numpy; never torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .store import Candidate

RESAMPLES = 10_000
CONFIDENCE = 0.95

Fits = tuple[float, ...]
Measure = Callable[[Candidate], Fits]


def finalists(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The original (the first candidate), the last one (the centre of the search) and the `count` lowest losses.

    Each prompt once; candidates that failed are left out.  A prompt that was scored on several rows of seeds has the
    mean of its losses, and comes before those that had only one chance to be lucky.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for candidate in candidates:
        if candidate.loss is not None:
            key = (candidate.prompt, candidate.negative_prompt)
            rows.setdefault(key, {})[candidate.id] = candidate.loss

    def rank(candidate: Candidate) -> tuple[bool, float]:
        losses = list(rows[candidate.prompt, candidate.negative_prompt].values())
        return len(losses) == 1, float(np.mean(losses))

    ranked = sorted((c for c in candidates if c.loss is not None), key=rank)
    chosen: dict[tuple[str, str], Candidate] = {}
    for candidate in [*candidates[:1], *candidates[-1:]]:
        if candidate.loss is not None:
            chosen[candidate.prompt, candidate.negative_prompt] = candidate
    taken = 0
    for candidate in ranked:
        key = (candidate.prompt, candidate.negative_prompt)
        if taken == count:
            break
        if key not in chosen:
            chosen[key] = candidate
            taken += 1
    return list(chosen.values())


def lowest(fits: Sequence[Fits]) -> int:
    """Index of the lowest mean; the earliest of equals."""
    return int(np.argmin([np.mean(row) for row in fits]))


def improvement(original: ArrayLike, pinned: ArrayLike, seed: int) -> tuple[float, float, float]:
    """(1 - mean(pinned) / mean(original), and its 95 % percentile bootstrap interval) of paired fits.

    original, pinned: (S,) losses of at least 0 on the same S seeds; pairs are resampled together
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13).  0 where the original's mean is 0.
    """
    pairs = np.stack([np.asarray(original, dtype=np.float64), np.asarray(pinned, dtype=np.float64)])
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = rng.integers(pairs.shape[1], size=(RESAMPLES, pairs.shape[1]))
    means = pairs[:, rows].mean(axis=2)
    low, high = interval(_ratio(means[0], means[1]))
    centre = _ratio(pairs[0].mean(), pairs[1].mean())
    return float(centre), low, high


def interval(drawn: ArrayLike) -> tuple[float, float]:
    """The percentile interval of what resampling has drawn, (RESAMPLES,)."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.asarray(drawn, dtype=np.float64), [tail, 100 - tail])
    return float(low), float(high)


def _ratio(original: ArrayLike, pinned: ArrayLike) -> np.ndarray:
    base = np.asarray(original, dtype=np.float64)
    return np.where(base > 0, 1.0 - np.asarray(pinned) / np.where(base > 0, base, 1.0), 0.0)
