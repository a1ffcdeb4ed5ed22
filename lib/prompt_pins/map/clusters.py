"""Which candidates of a map show the same picture: clusters of their distances, and how well they hold.

HDBSCAN (Campello, Moulavi and Sander, PAKDD 2013; McInnes, Healy and Astels, JOSS 2(11), 2017) in numpy, so that a map
is the same wherever it is drawn; the tests compare it with scikit-learn's.  The leaves of its tree are the clusters: a
colour may weigh less than a place, and is a picture of its own all the same.  Imports numpy.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .distances import Distances, averaged, squared

SMALLEST, SHARE = 3, 16
"""A cluster has at least so many candidates, and at least one in so many of them; as many make a place dense."""
ALIKE = 0.005
"""Mean ꟻLIP below which nobody sees a difference: what is nearer is alike."""
RESAMPLES = 20
FALL = 2.0
"""How fast a neighbour counts less, by the mean square of the weights' differences."""
Labels = NDArray[np.int64]
"""(n,) the cluster of each candidate, from 0, the largest first; -1 for one in none."""
Table = NDArray[np.float64]
"""(n, n) distances."""
PARTLY, MOSTLY = 0.25, 0.5
"""Shares of the seeds that hold two clusters to be one."""
BESIDE = 0.75
"""Of the distance to the next cluster: two that are one picture are no further apart."""
NEARER = 0.85
"""Of the distance to the second nearest cluster: who is no further off the nearest may belong to it."""


@dataclasses.dataclass(frozen=True)
class Clusters:
    """examples: of each cluster the candidate that shows its picture most surely.  stability: of each, how often two
    candidates of it share a cluster when seeds are drawn anew, 0 to 1; None where there is one seed only.
    """

    labels: Labels
    examples: tuple[int, ...]
    stability: tuple[float | None, ...]


def find(pairs: Distances, weights: NDArray[np.float64]) -> Clusters:
    """The clusters of (seeds, n (n - 1) / 2) distances of candidates with these weights (n, N)."""
    count, around = len(weights), neighbours(weights)
    alone = [_leaves(squared(row, count)) for row in pairs]
    table = averaged(pairs, count)
    labels = _largest_first(pictures(table, _leaves(table), alone, around))
    number = int(labels.max(initial=-1)) + 1
    examples = tuple(surest(around, labels, cluster) for cluster in range(number))
    return Clusters(labels, examples, _stability(pairs, alone, labels, around, number))


def neighbours(weights: NDArray[np.float64]) -> Table:
    """(n, n): how much of a neighbour each candidate is to each, 1 to itself, by their weights (n, N).

    It falls off with the squared distance, each weight in units of its deviation over the map.
    """
    if not weights.size:
        return np.ones((len(weights),) * 2)
    spread = weights.std(axis=0)
    points = (weights - weights.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0)
    lengths = (points**2).sum(axis=1)
    away = np.maximum(lengths[:, None] + lengths - 2.0 * points @ points.T, 0.0)
    return np.asarray(np.exp(-FALL * away / points.shape[1]))


def surest(around: Table, labels: Labels, cluster: int) -> int:
    """The candidate of a cluster among whose neighbours the most show its picture, too.

    It lies deepest within the picture, where other seeds show it as well; the one whose images are nearest to all
    others' may lie at its edge.
    """
    members = np.flatnonzero(labels == cluster)
    rows = around[members]
    return int(members[np.argmax(rows[:, members].sum(axis=1) / rows.sum(axis=1))])


def _leaves(table: Table) -> Labels:
    return leaves(table, _least(len(table)), _least(len(table)))


def pictures(table: Table, labels: Labels, alone: Sequence[Labels], around: Table) -> Labels:
    """Clusters of candidates (n,) as pictures: some are one together, and some are none.

    alone: the clusters of each seed by itself; around: `neighbours`.  A seed holds two clusters to be one as far as it
    puts their candidates together.  What half of the seeds hold to be one, and is nearer to each other than to any
    third, is one picture: on the other seeds they differ in a size, say.  If it is not nearer, the smaller one shows
    this picture on half of the seeds and a rare one on the others.  A cluster that some seeds put to a second one, and
    some to a third, which are apart, shows one picture on these seeds and another on those.  Both are mixtures, which
    are in no cluster.
    """
    number = int(labels.max(initial=-1)) + 1
    groups = [np.flatnonzero(labels == name) for name in range(number)]
    near = np.zeros((number, number))
    for one, other in itertools.combinations(range(number), 2):
        near[one, other] = np.mean([_together(row[groups[one]], row[groups[other]]) for row in alone])
    near += near.T
    beside = [np.flatnonzero(row >= PARTLY) for row in near]
    mixed = np.array([any(near[pair] < PARTLY for pair in itertools.combinations(those, 2)) for those in beside])
    apart = np.array([[table[np.ix_(one, other)].mean() for other in groups] for one in groups])
    pairs = [pair for pair in itertools.combinations(range(number), 2) if near[pair] >= MOSTLY]
    far = [pair for pair in pairs if not mixed[list(pair)].any() and not _beside(apart, *pair)]
    for one, other in far:
        mixed[min(one, other, key=lambda name: len(groups[name]))] = True
    found = labels.copy()
    for one, other in pairs:
        if not mixed[[one, other]].any():
            found[found == found[groups[other][0]]] = found[groups[one][0]]
    found = adopted(table, found, around)
    found[np.isin(found, np.flatnonzero(mixed))] = -1
    return found


def _beside(apart: Table, one: int, other: int) -> bool:
    """Whether two clusters are near each other, measured by the third that is nearest to one of them."""
    next_one = np.delete(apart[[one, other]], [one, other], axis=1).min(initial=np.inf)
    return bool(apart[one, other] <= BESIDE * next_one)


def _together(one: Labels, other: Labels) -> float:
    """Share of the pairs of candidates, each in some cluster, that are in the same one; 0 without any."""
    one, other = one[one >= 0], other[other >= 0]
    return float((one[:, None] == other).mean()) if one.size and other.size else 0.0


def adopted(table: Table, labels: Labels, around: Table) -> Labels:
    """Those in no cluster put into one, where its images are the nearest by far and most neighbours are in it."""
    names, found = np.unique(labels[labels >= 0]), labels.copy()
    if len(names) < 2:
        return found
    away = np.stack([table[:, labels == name].mean(axis=1) for name in names])
    beside = np.stack([around[:, labels == name].sum(axis=1) for name in names])
    nearest, next_one = np.partition(away, 1, axis=0)[:2]
    place = away.argmin(axis=0)
    clear = (labels < 0) & (place == beside.argmax(axis=0)) & (nearest <= NEARER * next_one)
    found[clear] = names[place[clear]]
    return found


def _least(count: int) -> int:
    return max(SMALLEST, math.ceil(count / SHARE))


def leaves(table: Table, least: int, neighbours: int) -> Labels:
    """The leaves of HDBSCAN's tree, with `least` candidates or more each, in any order.

    neighbours: so many candidates near one another, itself counted, make a place dense.
    Components grow as the distance does; where two or more large ones become one, each that has not come about so
    itself was a leaf.  What happens at one distance, happens at once; scikit-learn's takes it in some order.
    """
    count = len(table)
    found = np.full(count, -1, dtype=np.int64)
    if count < 2 * least:
        return found
    core = np.sort(table, axis=1)[:, neighbours - 1]
    reach = np.maximum(np.maximum(table, ALIKE), np.maximum(core[:, None], core))  # mutual reachability
    edges = _spanning_tree(reach)
    heights = reach[edges[:, 0], edges[:, 1]]
    order = np.argsort(heights, kind="stable")
    names = np.arange(count)  # of the component that each candidate is in
    split: set[int] = set()  # names of components that hold leaves
    for _, group in itertools.groupby(order, key=lambda edge: heights[edge]):
        before, joined = names.copy(), set[int]()
        for left, right in edges[list(group)]:
            into, gone = int(names[left]), names[right]
            names[names == gone] = into
            joined = (joined - {int(gone)}) | {into}
        for name in joined:
            parts, sizes = np.unique(before[names == name], return_counts=True)
            large = parts[sizes >= least].tolist()
            for part in large if len(large) > 1 else ():
                if part not in split:
                    found[before == part] = found.max() + 1
            if len(large) > 1 or split.intersection(parts.tolist()):
                split.add(name)
    return found


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


def _stability(
    pairs: Distances, alone: Sequence[Labels], labels: Labels, around: Table, number: int
) -> tuple[float | None, ...]:
    seeds = len(pairs)
    if seeds < 2 or not number:
        return (None,) * number
    rng = np.random.Generator(np.random.PCG64(0))
    shared = np.zeros(number)
    for _ in range(RESAMPLES):
        drawn = rng.integers(seeds, size=seeds)
        table = averaged(pairs[drawn], len(labels))
        again = pictures(table, _leaves(table), [alone[seed] for seed in drawn], around)
        for cluster in range(number):
            found = again[labels == cluster]
            sizes = np.unique(found[found >= 0], return_counts=True)[1]
            shared[cluster] += (sizes * (sizes - 1)).sum() / (len(found) * (len(found) - 1))
    return tuple(float(value) for value in shared / RESAMPLES)
