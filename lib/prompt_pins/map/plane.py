"""The candidates of a map as points of a plane, as far from one another as their images are.  Imports numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scaled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) points of an (n, n) table of distances by classical scaling (Torgerson, Psychometrika 17, 1952).

    The larger extent lies across; of each axis the end that lies further out is positive.  Without a second or a first
    extent, 0.
    """
    count = len(table)
    squares = table**2
    means = squares.mean(axis=0)
    inner = -0.5 * (squares - means - means[:, None] + means.mean())
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    points = np.zeros((count, 2))
    for place in range(min(2, count)):
        value, vector = values[-1 - place], vectors[:, -1 - place]
        if value > 1e-12:
            far = vector[np.argmax(np.abs(vector).round(9))]
            points[:, place] = vector * np.sqrt(value) * (-1 if far < 0 else 1)
    return points


def hull(points: NDArray[np.float64]) -> list[int]:
    """The places in (n, 2) points of their convex hull's corners, in order (Andrew's monotone chain)."""
    order = [int(place) for place in np.lexsort((points[:, 1], points[:, 0]))]
    found: list[int] = []
    for half in (order, order[::-1]):
        chain: list[int] = []
        for place in half:
            while len(chain) > 1 and _turn(points[chain[-2]], points[chain[-1]], points[place]) <= 0:
                chain.pop()
            chain.append(place)
        found += chain[:-1]
    return found or order[:1]


def _turn(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    """Above 0 for a turn to the left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
