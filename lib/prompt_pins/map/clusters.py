"""Which candidates of a map show the same picture: clusters of their distances, and how well they hold.

scikit-learn's HDBSCAN (McInnes, Healy and Astels, JOSS 2(11), 2017) where it is installed, else a single linkage of the
same mutual reachability, in numpy.  Both give the same answer for the same distances.  Imports numpy and, late,
scikit-learn.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math

import numpy as np
from numpy.typing import NDArray

from .distances import Distances, squared

SMALLEST, SHARE = 3, 16
"""A cluster has at least so many candidates, and at least one in so many of them; as many make a place dense."""
ALIKE = 0.005
"""Mean ꟻLIP below which nobody sees a difference: where all candidates are so near, there is one picture."""
RESAMPLES = 20
HDBSCAN, LINKAGE = "HDBSCAN", "single linkage"
Labels = NDArray[np.int64]
"""(n,) the cluster of each candidate, from 0, the largest first; -1 for one in none."""
Table = NDArray[np.float64]
"""(n, n) distances."""


@dataclasses.dataclass(frozen=True)
class Clusters:
    """medoids: of each cluster the candidate nearest to all others of it.  stability: of each, how often two candidates
    of it share a cluster when seeds are drawn anew, 0 to 1; None where there is one seed only.
    """

    method: str
    labels: Labels
    medoids: tuple[int, ...]
    stability: tuple[float | None, ...]


def find(pairs: Distances, count: int, method: str = "") -> Clusters:
    """The clusters of (seeds, n (n - 1) / 2) distances.  method: empty for the better one that is installed."""
    method = method or (HDBSCAN if importlib.util.find_spec("sklearn") else LINKAGE)
    table = squared(pairs.mean(axis=0, dtype=np.float64), count) if len(pairs) else np.zeros((count, count))
    labels = _largest_first(_labels(table, method))
    number = int(labels.max(initial=-1)) + 1
    medoids = tuple(_medoid(table, np.flatnonzero(labels == cluster)) for cluster in range(number))
    return Clusters(method, labels, medoids, _stability(pairs, labels, number, method))


def _labels(table: Table, method: str) -> Labels:
    count = len(table)
    least = max(SMALLEST, math.ceil(count / SHARE))
    if count < 2 * least or table.max() < ALIKE:
        return np.full(count, -1, dtype=np.int64)
    if method == LINKAGE:
        return linked(table, least)
    from sklearn import cluster

    # leaves of the tree: a colour may weigh less than a place, and is a picture of its own all the same
    found = cluster.HDBSCAN(
        metric="precomputed",
        min_cluster_size=least,
        min_samples=least,
        cluster_selection_method="leaf",
        copy=True,
    )
    return _joined(table, np.asarray(found.fit(table).labels_, dtype=np.int64))


def _joined(table: Table, labels: Labels) -> Labels:
    """Clusters that nobody can tell apart as one: equal distances may part what is the same."""
    for cluster in range(int(labels.max(initial=-1)), 0, -1):
        for other in range(cluster):
            members = np.flatnonzero(labels == cluster), np.flatnonzero(labels == other)
            if table[np.ix_(*members)].mean() < ALIKE:
                labels = np.where(labels == cluster, other, labels)
                break
    return labels


def linked(table: Table, least: int) -> Labels:
    """Single linkage of the mutual reachability (Campello, Moulavi and Sander, PAKDD 2013), cut at one height.

    Heights with the same number of clusters of at least `least` candidates are one answer; the answer that lasts over
    the widest range of heights, as a ratio, is taken, where it holds most candidates.
    """
    count = len(table)
    core = np.sort(table, axis=1)[:, least - 1]
    reach = np.maximum(table, np.maximum(core[:, None], core))
    edges = _spanning_tree(reach)
    heights = np.maximum(reach[edges[:, 0], edges[:, 1]], ALIKE)
    order = np.argsort(heights, kind="stable")
    names = np.arange(count)  # of the component that each candidate is in
    sizes = np.ones(count, dtype=np.int64)
    widths: dict[int, float] = {}
    best: dict[int, tuple[int, Labels]] = {}
    for place, edge in enumerate(order):
        left, right = names[edges[edge]]
        names[names == right] = left
        sizes[left] += sizes[right]
        sizes[right] = 0
        large = np.flatnonzero(sizes >= least)
        if len(large) < 2 or place + 1 == count - 1:
            continue
        widths[len(large)] = widths.get(len(large), 0.0) + math.log(heights[order[place + 1]] / heights[edge])
        held = int(sizes[large].sum())
        if held >= best.get(len(large), (0, names))[0]:
            best[len(large)] = held, np.where(sizes[names] >= least, names, -1)
    if not widths:
        return np.full(count, -1, dtype=np.int64)
    return best[max(widths, key=lambda number: widths[number])][1]


def _spanning_tree(table: Table) -> NDArray[np.int64]:
    """(n - 1, 2) edges of a minimum spanning tree (Prim)."""
    count = len(table)
    near, source = table[0].copy(), np.zeros(count, dtype=np.int64)
    near[0] = np.inf
    inside = np.zeros(count, dtype=bool)
    inside[0] = True
    edges = []
    for _ in range(count - 1):
        new = int(np.argmin(near))
        edges.append((int(source[new]), new))
        inside[new] = True
        nearer = ~inside & (table[new] < near)
        near[nearer], source[nearer] = table[new][nearer], new
        near[new] = np.inf
    return np.array(edges, dtype=np.int64).reshape(-1, 2)


def _largest_first(labels: Labels) -> Labels:
    """Named anew: by size, then by the first candidate."""
    names, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = names[np.lexsort((first, -sizes))]
    found = np.full(len(labels), -1, dtype=np.int64)
    for number, name in enumerate(order):
        found[labels == name] = number
    return found


def _medoid(table: Table, members: NDArray[np.int64]) -> int:
    return int(members[np.argmin(table[np.ix_(members, members)].sum(axis=1))])


def _stability(pairs: Distances, labels: Labels, number: int, method: str) -> tuple[float | None, ...]:
    seeds = len(pairs)
    if seeds < 2 or not number:
        return (None,) * number
    rng = np.random.Generator(np.random.PCG64(0))
    shared = np.zeros(number)
    for _ in range(RESAMPLES):
        drawn = pairs[rng.integers(seeds, size=seeds)].mean(axis=0, dtype=np.float64)
        again = _labels(squared(drawn, len(labels)), method)
        for cluster in range(number):
            found = again[labels == cluster]
            sizes = np.unique(found[found >= 0], return_counts=True)[1]
            shared[cluster] += (sizes * (sizes - 1)).sum() / (len(found) * (len(found) - 1))
    return tuple(float(value) for value in shared / RESAMPLES)
