"""Where a search may start from: an earlier run.

May import: numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError
from .box import Vector


@dataclass(frozen=True)
class WarmStart:
    """A distribution to start from.

    mean: (N,) weights; step_size > 0; shape: (N, N) symmetric, positive definite, `cmatrix` of the seed's table;
    `None` is the identity.  tentative: only a hint; the first generation compares its mean with the original, and
    the search starts again from there unless the mean is better.  proven: its mean is a wording that is known to be
    good, not only the middle of some: it is a candidate, and meets the finalists.
    """

    mean: Vector
    step_size: float
    shape: Vector | None = None
    tentative: bool = False
    proven: bool = False

    def __post_init__(self) -> None:
        mean = np.asarray(self.mean, dtype=np.float64)
        object.__setattr__(self, "mean", mean)
        if mean.ndim != 1 or not np.isfinite(mean).all():
            raise OptionError("mean", self.mean, "a list of finite numbers")
        if not (np.isfinite(self.step_size) and self.step_size > 0):
            raise OptionError("step_size", self.step_size, "above 0")
        if self.shape is None:
            return
        shape = np.asarray(self.shape, dtype=np.float64)
        object.__setattr__(self, "shape", shape)
        if shape.shape != (mean.size, mean.size) or not np.allclose(shape, shape.T):
            raise OptionError("shape", self.shape, f"a symmetric {mean.size} x {mean.size} matrix")
        if not np.isfinite(shape).all() or np.linalg.eigvalsh(shape)[0] <= 0:
            raise OptionError("shape", self.shape, "a positive definite matrix")

    @classmethod
    def from_candidates(
        cls, vectors: ArrayLike, losses: ArrayLike, share: float = 0.1, spread: float = 0.05
    ) -> WarmStart:
        """From an earlier run's candidates (M, N) and their losses (M,), NaN for a failed one.

        The best `share` of them, each a normal distribution of width `spread`; mean and covariance of that
        mixture (Nomura et al., Warm Starting CMA-ES, AAAI 2021, eqs. 4 and 5).
        """
        points, values = np.asarray(vectors, dtype=np.float64), np.asarray(losses, dtype=np.float64)
        if points.ndim != 2 or values.shape != points.shape[:1] or not np.isfinite(values).any():
            raise OptionError("vectors", points.shape, "a table with a loss for each row, one of them finite")
        count = max(1, int(share * np.isfinite(values).sum()))
        chosen = points[np.argsort(values, kind="stable")[:count]]
        mean = chosen.mean(axis=0)
        away = chosen - mean
        covariance = spread**2 * np.eye(mean.size) + away.T @ away / count
        step = float(np.exp(np.linalg.slogdet(covariance)[1] / (2 * mean.size)))
        return cls(mean, step, covariance / step**2)
