"""After the search: the contest that names the pinned prompt, and the check on unseen seeds.

The images of both are independent of each other (no forks), so that their fits are too.
May import numpy; never torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..host import Recipe
from ..store import Candidate

if TYPE_CHECKING:
    from ..config import RunConfig

ABOUT = 0.5
RESAMPLES = 10_000
CONFIDENCE = 0.95

Fits = tuple[float, ...]


def recipe(candidate: Candidate) -> Recipe:
    """What a candidate was rendered from."""
    return Recipe(candidate.prompt, candidate.negative_prompt, tuple(candidate.settings.items()))


def recipes(candidate: Candidate) -> tuple[Recipe, ...]:
    """The same of each payload; of a plain run one."""
    settings = tuple(candidate.settings.items())
    return tuple(Recipe(texts[0], texts[1], settings) for texts in candidate.prompts) or (recipe(candidate),)


def finalists(
    candidates: Sequence[Candidate], config: RunConfig, early: Sequence[Sequence[float]] = ()
) -> list[Candidate]:
    """The original (the first candidate), the search's answers (the last generation) and `config.finalists` others.

    These are the best: the lowest loss.  Where each generation has image seeds of its own, the furthest below the
    centre that was scored on the same seeds, in the later half of the search; those of the weights `early` come on top.
    Each recipe once; candidates that failed are left out.
    """
    scored = [candidate for candidate in candidates if candidate.loss is not None]
    chosen: dict[tuple[Recipe, ...], Candidate] = {}
    rotated = config.seed_policy == "rotated"
    searched = [candidate for candidate in candidates if candidate.generation < candidates[-1].generation]
    kept = set(map(tuple, early)) if rotated else set()
    for candidate in [*candidates[:1], *candidates[len(searched) :], *(c for c in scored if c.weights in kept)]:
        if candidate.loss is not None:
            chosen[recipes(candidate)] = candidate
    most = len(chosen) + config.finalists
    merits = advantages(searched) if rotated else []
    if not rotated or not (chosen or merits):
        merits = [(candidate.loss or 0.0, candidate) for candidate in scored]
    for _, candidate in sorted(merits, key=lambda pair: pair[0]):
        if len(chosen) < most:
            chosen.setdefault(recipes(candidate), candidate)
    return list(chosen.values())


def advantages(candidates: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
    """(loss less that of the centre on the same seeds, candidate), of the later half of the generations.

    There the centre moves little, so that advantages can be compared.  A generation's first row is its centre; in the
    first generation it is the original.
    """
    centres = {candidate.generation: candidate.loss for candidate in reversed(candidates)}
    found = []
    for candidate in candidates:
        centre = centres[candidate.generation]
        if candidate.loss is not None and centre is not None and 2 * candidate.generation > max(centres):
            found.append((candidate.loss - centre, candidate))
    return found


def simplest(contestants: Sequence[Candidate], generation: int) -> int | None:
    """Index of the simplest finalist: the second of the search's answers, which are of this generation."""
    return next((i for i, c in enumerate(contestants) if (c.generation, c.index) == (generation, 1)), None)


def winner(fits: ArrayLike, simplest: int | None = None) -> int:
    """Index of the lowest mean, the earliest of equals; or `simplest`, if it is about as low.

    fits: (contestants, S) on the same S seeds, those of the original first.  About as low: no more than ABOUT standard
    errors of the paired difference above the lowest.  Not where the original is the lowest.
    """
    rows = np.asarray(fits, dtype=np.float64)
    lowest = int(np.argmin(rows.mean(axis=1)))
    if simplest is None or lowest == 0:
        return lowest
    above = rows[simplest] - rows[lowest]
    error = above.std(ddof=1) / np.sqrt(above.size) if above.size > 1 else 0.0
    return simplest if above.mean() <= ABOUT * error else lowest


def improvement(original: ArrayLike, pinned: ArrayLike, seed: int) -> tuple[float, float, float]:
    """(1 - mean(pinned) / mean(original), and its 95 % percentile bootstrap interval) of paired fits.

    original, pinned: (S,) losses of at least 0 on the same S seeds; pairs are resampled together
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13).  0 where the original's mean is 0.  One pair
    proves nothing: its interval is as wide as can be, from -1, or the improvement where that is less, to 1.
    """
    pairs = np.stack([np.asarray(original, dtype=np.float64), np.asarray(pinned, dtype=np.float64)])
    centre = float(_ratio(pairs[0].mean(), pairs[1].mean()))
    if pairs.shape[1] == 1:
        return centre, min(centre, -1.0), 1.0
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = rng.integers(pairs.shape[1], size=(RESAMPLES, pairs.shape[1]))
    means = pairs[:, rows].mean(axis=2)
    low, high = interval(_ratio(means[0], means[1]))
    return centre, low, high


def interval(drawn: ArrayLike) -> tuple[float, float]:
    """The percentile interval of what resampling has drawn, (RESAMPLES,)."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.asarray(drawn, dtype=np.float64), [tail, 100 - tail])
    return float(low), float(high)


def _ratio(original: ArrayLike, pinned: ArrayLike) -> np.ndarray:
    base = np.asarray(original, dtype=np.float64)
    return np.where(base > 0, 1.0 - np.asarray(pinned) / np.where(base > 0, base, 1.0), 0.0)
