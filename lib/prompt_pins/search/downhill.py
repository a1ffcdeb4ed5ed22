"""The way down before anything is searched: what each variable alone does to several measurements of a loss.

May import: numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .box import Vector


def effects(values: ArrayLike, steps: ArrayLike) -> tuple[Vector, Vector]:
    """(N,) how fast the loss rises with each variable, and its standard error.

    values: (1 + N, looks) of the original and of each variable moved alone.  steps: (N,) by how much; 0: not at all,
    and nothing is known of it.
    """
    rows, steps = np.asarray(values, dtype=np.float64), np.asarray(steps, dtype=np.float64)
    slopes = (rows[1:] - rows[:1]) / np.where(steps == 0.0, np.inf, steps)[:, None]
    return slopes.mean(axis=1), slopes.std(axis=1, ddof=1) / np.sqrt(slopes.shape[1])


def told(values: ArrayLike, steps: ArrayLike) -> Vector:
    """(N,) the slopes, each drawn towards zero by its standard error: most words of a long prompt do nothing."""
    slopes, errors = effects(values, steps)
    return np.asarray(np.sign(slopes) * np.maximum(np.abs(slopes) - errors, 0.0))


def downhill(values: ArrayLike, steps: ArrayLike, original: ArrayLike, reach: float) -> Vector:
    """(N,) a step of this length down from the original (N,); () where nothing can be told."""
    slopes = told(values, steps)
    length = float(np.linalg.norm(slopes))
    return np.asarray(original) - reach * slopes / length if length else np.array([])
