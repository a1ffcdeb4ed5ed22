"""How far merges of the same checkpoints are from one another, and where they lie in the plane.  Imports numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def coefficients(weights: Mapping[str, float], add_difference: bool) -> Array:
    """(blocks, 1 or 2): a merge as shares of B - A and C - A in each block."""
    column = np.array(list(weights.values()))[:, None]
    return np.hstack([column, -column]) if add_difference else column


def corners(blocks: int, count: int) -> list[Array]:
    """A, B and, of three models, C in the same way."""
    found = [np.zeros((blocks, count - 1))]
    for place in range(count - 1):
        found.append(np.zeros((blocks, count - 1)))
        found[-1][:, place] = 1.0
    return found


def distances(points: Sequence[Array], gram: ArrayLike) -> Array:
    """(points, points) L2 distances of all their weights.  gram: (blocks, k, k), of `Sources.gram`."""
    stacked, inner = np.stack(points), np.asarray(gram, dtype=np.float64)
    gaps = stacked[:, None] - stacked[None]
    squares = np.einsum("ijbk,bkl,ijbl->ij", gaps, inner, gaps)
    found: Array = np.sqrt(np.maximum(squares, 0.0))
    return found


def plane(found: Array) -> Array:
    """(points, 2): classical scaling (Torgerson 1952) of (points, points) distances; the first axis shows the most.

    The eigenvectors' signs are fixed by their largest entries.
    """
    count = len(found)
    centring = np.eye(count) - 1.0 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ found**2 @ centring)
    values, vectors = values[::-1][:2], vectors[:, ::-1][:, :2]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), range(vectors.shape[1])])
    placed: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return placed
