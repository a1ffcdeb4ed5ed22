"""Closed-form functions on the box [0, 2]^N of emphasis weights, for the benchmark of the search.

Every function has its minimum 0 at a known point, and takes many points at once: (M, N) to (M,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

NAMES = ("sphere", "ellipsoid", "rotated ellipsoid", "rosenbrock", "rastrigin")
PLACES = ("unbounded", "inside", "edge")
CONDITION = 1e4


@dataclass(frozen=True)
class Problem:
    """A function with its start (N,), its bounds and its minimiser (N,); the minimum is 0."""

    name: str
    place: str
    function: Function
    start: Array
    low: float
    high: float
    minimiser: Array


def problem(name: str, dimension: int, seed: int, place: str = "unbounded") -> Problem:
    """One instance, drawn from `seed`.

    place: "unbounded": no bounds; "inside": the minimiser lies in [0.3, 1.7]^N;
    "edge": half of its coordinates lie on a bound.
    """
    rng = np.random.Generator(np.random.PCG64([seed, dimension, NAMES.index(name)]))
    start = rng.uniform(0.5, 1.5, dimension)
    minimiser = rng.uniform(0.3, 1.7, dimension)
    if name == "rosenbrock":
        minimiser = rng.uniform(1.1, 1.7, dimension)
    if place == "edge":
        sides = 1 if name == "rosenbrock" else rng.integers(0, 2, dimension // 2)
        minimiser[rng.permutation(dimension)[: dimension // 2]] = 2.0 * sides
    if name == "rosenbrock":
        start = minimiser - 1.0  # its usual start, from which the valley leads to the minimum
    rotation = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    function = _shifted(name, dimension, minimiser, rotation)
    low, high = (-np.inf, np.inf) if place == "unbounded" else (0.0, 2.0)
    return Problem(name, place, function, start, low, high, minimiser)


def _shifted(name: str, dimension: int, minimiser: Array, rotation: Array) -> Function:
    axes = CONDITION ** (np.arange(dimension) / max(1, dimension - 1))
    shapes: dict[str, Function] = {
        "sphere": lambda z: (z**2).sum(axis=1),
        "ellipsoid": lambda z: z**2 @ axes,
        "rotated ellipsoid": lambda z: (z @ rotation) ** 2 @ axes,
        "rosenbrock": lambda z: _rosenbrock(z + 1.0),
        "rastrigin": lambda z: (10.0 * (1.0 - np.cos(10.0 * np.pi * z)) + 25.0 * z**2).sum(axis=1),
    }
    shape = shapes[name]
    return lambda points: np.asarray(shape(points - minimiser))


def _rosenbrock(z: Array) -> Array:
    return np.asarray((100.0 * (z[:, 1:] - z[:, :-1] ** 2) ** 2 + (1.0 - z[:, :-1]) ** 2).sum(axis=1))
