"""The search's answers: its centre, and the smallest change of the weights that is about as good.

Imports numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..search.surface import Surface
from ..store import Axis, Candidate

if TYPE_CHECKING:
    from ..config import RunConfig

MOST = 1000  # candidates that are fitted: the last ones
Array = NDArray[np.float64]


def count(config: RunConfig) -> int:
    """How many there are at most: the centre and, where there is a contest for it, the simplest finalist."""
    return 1 + (config.simplify and config.finalists > 0)


def simplest(candidates: Sequence[Candidate], centre: ArrayLike, axes: Sequence[Axis], rotated: bool) -> Array:
    """`Surface.nearest` of a run; its centre (N,) where there is nothing to fit.

    axes: (N,) of the space; rotated: whether each generation has image seeds of its own.
    """
    scored = [candidate for candidate in candidates if candidate.loss is not None][-MOST:]
    groups = [candidate.generation if rotated else 0 for candidate in scored]
    if len(scored) < len(set(groups)) + 3:
        return np.asarray(centre, dtype=np.float64)
    scale = np.array([axis.scale for axis in axes])
    weights, middle = (np.asarray(points) / scale for points in ([c.weights for c in scored], centre))
    surface = Surface(weights, [candidate.loss or 0.0 for candidate in scored], groups, middle)
    original, low, high = np.array([(axis.original, axis.low, axis.high) for axis in axes]).T / scale
    return np.asarray(surface.nearest(original, low, high) * scale)
