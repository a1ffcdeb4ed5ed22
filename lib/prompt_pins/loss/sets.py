"""Set losses: from a table of pair losses to one number, level by level of the tree.  Imports numpy only.

A batch of B images and T targets has the pairs (image, target) and (image, image); pairs of two targets are
constants and are left out.  The loss of a set of pairs is its mean plus its dispersion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from prompt_pins.errors import OptionError
from prompt_pins.loss.options import LossOptions

Array = NDArray[np.float64]
Levels = Sequence[Sequence[int]]


@dataclass(frozen=True)
class PairTable:
    """Pair losses: `fit` B x T, image against target; `spread` B x B, symmetric, its diagonal unused;
    `target_weights` T, not negative, not all zero."""

    fit: Array
    spread: Array
    target_weights: Array

    @property
    def size(self) -> int:
        """B, the number of images."""
        return int(self.fit.shape[0])

    def values(self) -> Array:
        """All pair losses, P = B·T + B(B-1)/2: fit row by row, then spread above the diagonal."""
        return np.concatenate([self.fit.ravel(), self.spread[np.triu_indices(self.size, 1)]])


@dataclass(frozen=True)
class LevelLoss:
    """One level of the tree: X_K, its weighted term w(X_K), and the set loss of each node.

    `parted` is the mean loss of the pairs of images whose branches part just below this level
    (None where none do): it shows where in the tree variation arises.
    """

    level: int
    x: float
    term: float
    nodes: tuple[float, ...]
    parted: float | None


def set_losses(table: PairTable, members: NDArray[np.bool_], consistency: float | None, dispersion: str) -> Array:
    """Set loss of all pairs that touch a leaf of each node.

    `members`: V x B, the leaves under each of V nodes.  Returns V values: weighted mean plus weighted
    population dispersion.  Raises OptionError where a node touches no pair.
    """
    weights = _pair_weights(table, members, consistency)
    values = table.values()
    mean = weights @ values
    deviation = values[None, :] - mean[:, None]
    if dispersion == "upper":
        np.maximum(deviation, 0.0, out=deviation)
    return np.asarray(mean + np.sqrt((weights * deviation * deviation).sum(axis=1)))


def _pair_weights(table: PairTable, members: NDArray[np.bool_], consistency: float | None) -> Array:
    """V x P, each row sums to 1: the weight of every pair in each node's set."""
    size, targets = table.fit.shape
    first, second = np.triu_indices(size, 1)
    total = table.target_weights.sum()
    shares = table.target_weights * (targets / total) if targets else table.target_weights
    fit = np.repeat(members, targets, axis=1) * np.tile(shares, size)
    spread = (members[:, first] | members[:, second]).astype(np.float64)
    if consistency is not None:
        fit, spread = _share_out(fit, spread, consistency)
    weights = np.concatenate([fit, spread], axis=1)
    sums = weights.sum(axis=1, keepdims=True)
    if not weights.shape[1] or (sums <= 0.0).any():
        raise OptionError("targets", targets, "at least one target, or a batch of two or more images")
    return np.asarray(weights / sums)


def _share_out(fit: Array, spread: Array, consistency: float) -> tuple[Array, Array]:
    """Rows scaled so that `spread` sums to c and `fit` to 1 - c; a class without pairs leaves all to the other."""
    fits, spreads = fit.sum(axis=1, keepdims=True), spread.sum(axis=1, keepdims=True)
    share = np.where(fits <= 0.0, 1.0, np.where(spreads <= 0.0, 0.0, consistency))
    return (
        fit * (1.0 - share) / np.where(fits > 0.0, fits, 1.0),
        spread * share / np.where(spreads > 0.0, spreads, 1.0),
    )


def level_weight(x: float, level: int, kind: str, scale: float) -> float:
    """w(X_K) for K = `level` ≥ 1 and s = `scale`: X^(s/K), X·(0.5+s)^K or (1+X)^(s·K); rises with X ≥ 0."""
    if kind == "Geometric":
        return float(x ** (scale / level))
    if kind == "Exponential":
        return float(x * (0.5 + scale) ** level)
    return float((1.0 + x) ** (scale * level))


def plain_levels(size: int) -> tuple[tuple[int, ...], ...]:
    """Levels of a batch that was not forked: the root, then every image its own branch."""
    root = (0,) * size
    return (root,) if size == 1 else (root, tuple(range(size)))


def check_levels(levels: Levels, size: int) -> tuple[tuple[int, ...], ...]:
    """The levels as tuples; raises OptionError unless they are those of a tree over `size` leaves."""
    rows = tuple(tuple(int(node) for node in level) for level in levels)
    if not rows or any(len(row) != size for row in rows) or len(set(rows[0])) != 1:
        raise OptionError("levels", rows, f"one node for each of {size} images at every level, all alike at the first")
    for upper, lower in pairwise(rows):
        if len(set(zip(upper, lower))) != len(set(lower)):
            raise OptionError("levels", rows, "levels that each divide the nodes of the level before")
    return rows


def tree_loss(table: PairTable, levels: Levels | None, options: LossOptions) -> tuple[float, tuple[LevelLoss, ...]]:
    """Final loss and its terms: Σ_K w(X_K), X_K the mean of the set losses of level K's nodes.

    `levels`: node of each leaf at each level, root first; None for a batch that was not forked.  Where the
    weights are off, or not forced for a plain batch, the loss is the set loss of the root.
    """
    rows = plain_levels(table.size) if levels is None else check_levels(levels, table.size)
    weighted = options.hyperbatch_weights and (levels is not None or options.hyperbatch_force)
    found = []
    for level, row in enumerate(rows, 1):
        members = np.array(row)[None, :] == np.array(sorted(set(row)))[:, None]
        nodes = set_losses(table, members, options.consistency, options.dispersion)
        x = float(nodes.mean())
        term = level_weight(x, level, options.hyperbatch_type, options.hyperbatch_scale)
        parted = _parted(table, row, rows[level] if level < len(rows) else None)
        found.append(LevelLoss(level, x, term, tuple(nodes.tolist()), parted))
    loss = sum(entry.term for entry in found) if weighted else found[0].x
    return float(loss), tuple(found)


def _parted(table: PairTable, row: Sequence[int], lower: Sequence[int] | None) -> float | None:
    if lower is None:
        return None
    upper, below = np.array(row), np.array(lower)
    parts = (upper[:, None] == upper[None, :]) & (below[:, None] != below[None, :])
    return float(table.spread[parts].mean()) if parts.any() else None
