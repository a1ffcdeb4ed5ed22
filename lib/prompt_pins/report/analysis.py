"""Which words hold the image, and which let it drift: read from the evaluated candidates of a finished run.

The loss near its lowest point is modelled as  loss = c + Σ_i (b_i x_i + a_i x_i²) + ε,  x the weights relative to the
run's best.  The tightness of word i is the curvature 2 a_i: how fast the loss rises when its weight moves away.
Ordinary least squares; intervals by the pairs bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, ch. 9.5), which stays honest where the noise is not equal everywhere.  Where each generation renders its own
seeds its losses share what these seeds do, so candidates are compared within their generation only.  Imports numpy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..search.surface import within
from ..store import Candidate, Record

RESAMPLES = 400
CONFIDENCE = 0.95
MOST = 1000  # candidates that are looked at: the last ones, near the end of the search
WORK = 4e9  # multiplications that an analysis may cost; larger ones are resampled less often
RIDGE = 1e-6
Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Tightness:
    """One axis's curvature of the loss (loss per squared unit of its scale) and its 95 % interval.

    std: the search's own standard deviation of it at the end; small for words that it holds tightly.
    held: whether the curvature is above zero by more than the errors of all axes together allow (Bonferroni).
    """

    label: str
    curvature: float
    low: float
    high: float
    std: float | None
    held: bool


def curvature_intervals(
    weights: ArrayLike,
    losses: ArrayLike,
    centre: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    groups: ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """(curvatures, low, high), each (N,): the estimate and its 95 % percentile interval over resampled candidates.

    weights: M x N.  losses: (M,), M > 2 N.

    groups: (M,) whole numbers; candidates are compared within their group only, as where each has seeds of its own.
    """
    design, target = _design(np.asarray(weights, float), np.asarray(losses, float), np.asarray(centre, float))
    if groups is not None:
        design, target = within(design, np.asarray(groups)), within(target, np.asarray(groups))
    drawn = []
    for _ in range(resamples):
        rows = rng.integers(len(target), size=len(target))
        drawn.append(_solve(design[rows], target[rows]))
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(np.array(drawn), (tail, 100.0 - tail), axis=0)
    return _solve(design, target), low, high


def _design(weights: Array, losses: Array, centre: Array) -> tuple[Array, Array]:
    x = weights - centre
    return np.concatenate([np.ones((len(x), 1)), x, x**2], axis=1), losses


def _groups(record: Record, candidates: Sequence[Candidate]) -> NDArray[np.int64] | None:
    """The generation of each candidate where each generation has its own seeds; otherwise None."""
    if not record.rotated:
        return None
    return np.array([candidate.generation for candidate in candidates], dtype=np.int64)


def _solve(design: Array, target: Array) -> Array:
    """Curvatures of the least squares fit; columns are scaled first, so that the small ridge is fair to all."""
    scale = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
    scaled = design / scale
    gram = scaled.T @ scaled
    gram[np.diag_indices_from(gram)] += RIDGE * len(target)
    coefficients = np.linalg.solve(gram, scaled.T @ target) / scale
    return np.asarray(2.0 * coefficients[1 + (design.shape[1] - 1) // 2 :])


def enough(candidates: int, size: int) -> bool:
    """Whether that many candidates can tell `size` words apart."""
    return size > 0 and candidates >= max(3 * size + 3, 12)


def tightness(record: Record, labels: Sequence[str], std: Sequence[float | None]) -> tuple[Tightness, ...]:
    """The words of a run, tightest first; empty where the run is too short to tell.  The same for the same journal."""
    done = [c for c in record.candidates if c.loss is not None][-MOST:]
    best = record.winner
    if best is None or not enough(len(done), len(best.weights)):
        return ()
    scale = np.array([axis.scale for axis in record.axes])
    weights = np.array([c.weights for c in done]) / scale
    losses = np.array([c.loss for c in done], dtype=float)
    rng = np.random.Generator(np.random.PCG64(0))
    resamples = int(min(RESAMPLES, max(60, WORK / (len(done) * (2 * len(labels) + 1) ** 2))))
    curvature, low, high = curvature_intervals(
        weights, losses, np.array(best.weights) / scale, rng, resamples, _groups(record, done)
    )
    tail = (1.0 - CONFIDENCE) / 2.0
    errors = (high - low) / (2.0 * NormalDist().inv_cdf(1.0 - tail))
    sure = curvature > errors * NormalDist().inv_cdf(1.0 - tail / len(labels))
    rows = [
        Tightness(label, float(curvature[i]), float(low[i]), float(high[i]), std[i], bool(sure[i]))
        for i, label in enumerate(labels)
    ]
    return tuple(sorted(rows, key=lambda row: -row.curvature))


def correlations(record: Record, share: float = 0.5) -> Array | None:
    """(N, N) correlations between the weights of the better share of the candidates of the second half of the run.

    What the search selected together; None where there are too few.  Words that never moved correlate 0 with others.
    """
    half = [c for c in record.candidates if c.loss is not None and 2 * c.generation > len(record.generations)]
    losses, groups = np.array([c.loss for c in half], dtype=float), _groups(record, half)
    order = np.argsort(losses if groups is None or not half else within(losses, groups), kind="stable")
    chosen = [half[place] for place in order[: max(int(len(half) * share), 1)]]
    if not chosen or len(chosen) < len(chosen[0].weights) + 3:
        return None
    weights = np.array([c.weights for c in chosen])
    centred = weights - weights.mean(axis=0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    safe = np.where(lengths > 1e-9, lengths, np.inf)
    matrix = (centred / safe).T @ (centred / safe)
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix)
