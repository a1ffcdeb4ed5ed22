"""The tree of a batch as an SVG drawing: where siblings part, and how far.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .stats import LevelStats

WIDTH, ROW, MARGIN = 640.0, 46.0, 16.0


@dataclasses.dataclass(frozen=True)
class Branch:
    """A line from a node to the node below it; share: 0 to 1, how much variation arises where it parts."""

    x1: float
    y1: float
    x2: float
    y2: float
    share: float


@dataclasses.dataclass(frozen=True)
class Node:
    """A node and the leaves under it, counted from 1."""

    x: float
    y: float
    leaves: str


@dataclasses.dataclass(frozen=True)
class Tree:
    """A drawing of `width` x `height` units."""

    width: float
    height: float
    branches: tuple[Branch, ...]
    nodes: tuple[Node, ...]


def draw_tree(levels: Sequence[Sequence[int]], stats: Sequence[LevelStats]) -> Tree | None:
    """The drawing of levels (levels[K - 1][leaf] is the leaf's node at level K); None where there is no tree."""
    if not levels or not levels[0] or any(len(level) != len(levels[0]) for level in levels):
        return None
    order = sorted(range(len(levels[0])), key=lambda leaf: [level[leaf] for level in levels])
    place = {leaf: MARGIN + (WIDTH - 2 * MARGIN) * (i + 0.5) / len(order) for i, leaf in enumerate(order)}
    parted = {entry.level: entry.parted for entry in stats if entry.parted is not None}
    most = max(parted.values(), default=0.0)
    nodes: dict[tuple[int, int], Node] = {}
    branches = []
    for depth, level in enumerate(levels):
        for node in sorted(set(level)):
            leaves = [leaf for leaf in order if level[leaf] == node]
            x = sum(place[leaf] for leaf in leaves) / len(leaves)
            nodes[depth, node] = Node(round(x, 1), MARGIN + depth * ROW, ", ".join(str(leaf + 1) for leaf in leaves))
            if depth:
                up, here = nodes[depth - 1, levels[depth - 1][leaves[0]]], nodes[depth, node]
                share = (parted.get(depth) or 0.0) / most if most > 0 else 0.0
                branches.append(Branch(up.x, up.y, here.x, here.y, round(share, 3)))
    return Tree(WIDTH, 2 * MARGIN + (len(levels) - 1) * ROW, tuple(branches), tuple(nodes.values()))
