"""A quadratic fitted to a run's candidates, and the smallest change of the prompt that it cannot tell from the best.

A response surface (Box and Wilson, On the Experimental Attainment of Optimum Conditions, 1951):

    loss = offset of its group + g'z + z'Az + noise,    z: the weights less the centre, in units of their spread

with a normal prior on g and A, which makes it a Gaussian process with the kernel z·z' + (z·z')².  How strong the prior
is, and how large the noise, is what makes the losses most probable (Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006, ch. 2.2 and 5.4).  It needs no more candidates than weights.  Imports numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DOUBT = 0.5  # standard deviations by which a point may seem to be above the centre
LEAST_CHANGE = 0.05  # units of weight: smaller ones, of words that hardly matter, are not worth making
PRIORS = np.logspace(-5.0, 6.0, 45)  # of the kernel's mean variance, in units of the noise's
HALVINGS, SWEEPS = 40, 300
Array = NDArray[np.float64]


class Surface:
    """Fitted to weights (M x N) and losses (M,); losses are compared within their group (M,) only.

    centre: (N,) where `rise` is 0.  Only upward curvature is believed, so that there is one lowest point.
    """

    def __init__(self, weights: ArrayLike, losses: ArrayLike, groups: ArrayLike, centre: ArrayLike) -> None:
        self.centre = np.asarray(centre, dtype=np.float64)
        self._groups = np.asarray(groups)
        offsets = np.asarray(weights, dtype=np.float64) - self.centre
        spread = np.sqrt((offsets**2).mean(axis=0))
        self._spread = np.where(spread > 1e-6, spread, 1.0)
        self._points = offsets / self._spread
        residuals = within(np.asarray(losses, dtype=np.float64), self._groups)
        kernel = within(within(_kernel(self._points, self._points), self._groups).T, self._groups)
        values, vectors = np.linalg.eigh(kernel)
        values = np.maximum(values, 0.0)
        free = len(residuals) - np.unique(self._groups).size
        self._prior, self._noise = _most_probable(values, vectors.T @ residuals, free)
        self._inverse = (vectors * (self._prior / (self._prior * values + 1.0))) @ vectors.T
        shares = within(self._inverse @ residuals, self._groups)
        bends, axes = np.linalg.eigh((self._points.T * shares) @ self._points)
        self.slope = self._points.T @ shares / self._spread
        self.curvature = 2.0 * (axes * np.maximum(bends, 0.0)) @ axes.T / np.outer(self._spread, self._spread)

    def rises(self, points: ArrayLike) -> Array:
        """How far the loss at points (… x N) is above that at the centre."""
        offsets = np.asarray(points, dtype=np.float64) - self.centre
        return np.asarray(offsets @ self.slope + (offsets @ self.curvature * offsets).sum(axis=-1) / 2.0)

    def rise(self, point: ArrayLike) -> tuple[float, float]:
        """(how far the loss at a point (N,) is above that at the centre, its standard deviation)."""
        offset = np.asarray(point, dtype=np.float64) - self.centre
        scaled = (offset / self._spread)[None]
        seen = within(_kernel(self._points, scaled), self._groups)[:, 0]
        share = self._prior * (_kernel(scaled, scaled)[0, 0] - seen @ self._inverse @ seen)
        return float(self.rises(point)), float(np.sqrt(max(share, 0.0) * self._noise))

    def nearest(self, original: ArrayLike, low: ArrayLike, high: ArrayLike) -> Array:
        """The smallest change of `original` (N,) within the bounds whose rise is at most DOUBT standard deviations.

        A change d costs the sum of d²/2 + LEAST_CHANGE |d|, so that words that do not matter are left as they were.
        """
        start, bounds = np.asarray(original, dtype=np.float64), (np.asarray(low), np.asarray(high))
        found, least, most = self.centre, -4.0, 12.0  # logarithms of what a unit of loss is worth
        for _ in range(HALVINGS):
            middle = (least + most) / 2.0
            point = self._cheapest(start, *bounds, np.exp(middle))
            rise, doubt = self.rise(point)
            if rise <= DOUBT * doubt:
                found, most = point, middle
            else:
                least = middle
        return found

    def _cheapest(self, original: Array, low: Array, high: Array, worth: float) -> Array:
        """Lowest cost of change + worth * rise, by coordinate descent."""
        point, diagonal = self.centre.copy(), worth * np.diag(self.curvature)
        for _ in range(SWEEPS):
            before = point.copy()
            for i in range(point.size):
                slope = worth * (self.slope[i] + self.curvature[i] @ (point - self.centre))
                slope -= diagonal[i] * (point[i] - original[i])  # at the original's weight
                change = -np.sign(slope) * max(abs(slope) - LEAST_CHANGE, 0.0) / (1.0 + diagonal[i])
                point[i] = np.clip(original[i] + change, low[i], high[i])
            if np.abs(point - before).max(initial=0.0) < 1e-5:
                break
        return point


def within(values: Array, groups: NDArray[np.int64]) -> Array:
    """Values (M or M x K) less the mean of their group."""
    _, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    rows = values.reshape(len(values), -1)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, places, rows)
    return np.asarray((rows - (sums / counts[:, None])[places]).reshape(values.shape))


def _kernel(left: Array, right: Array) -> Array:
    products = left @ right.T
    return np.asarray(products + products**2)


def _most_probable(values: Array, shares: Array, free: int) -> tuple[float, float]:
    """(the prior's variance in units of the noise's, the noise's variance).

    values: eigenvalues (M,) of the kernel; shares: the losses along its eigenvectors (M,); free: degrees of freedom.
    """
    priors = PRIORS * free / max(float(values.sum()), 1e-300)
    growth = priors[:, None] * values + 1.0
    noise = np.maximum((shares**2 / growth).sum(axis=1) / free, 1e-300)
    place = int(np.argmin(free * np.log(noise) + np.log(growth).sum(axis=1)))
    return float(priors[place]), float(noise[place])
