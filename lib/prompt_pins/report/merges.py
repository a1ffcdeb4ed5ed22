"""What a report shows of a run that pinned a merge: its block weights, and the map of models.  Imports numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..merge.blocks import as_list, weights_of
from ..merge.distances import coefficients, corners, distances, plane
from ..merge.presets import PRESETS, preset
from ..store import Record
from .canvas import BLUE, GREY, INK, RED, canvas_of, label, plain, save_canvas

MAP = "merge_map.png"


class Block(NamedTuple):
    """A block's weight in the merge where the search began, and in the pinned one."""

    name: str
    before: float
    after: float


def blocks(record: Record) -> tuple[Block, ...]:
    """Every block of the pinned merge, BASE first; () for a run that merged nothing."""
    best, original = record.best, record.original
    if best is None or original is None:
        return ()
    before = weights_of(original.settings)
    return tuple(Block(name, before.get(name, weight), weight) for name, weight in weights_of(best.settings).items())


def section(root: Path, record: Record) -> dict[str, Any]:
    """The values of a run page's part about its merge.  root: the run's folder."""
    found = blocks(record)
    return {
        "blocks": found,
        "blocks_text": as_list({block.name: block.after for block in found}),
        "percent_of": lambda weight: round(100 * min(max(weight, 0.0), 1.0), 2),
        "merge_map": (root / MAP).is_file(),
    }


def models(record: Record) -> tuple[list[str], np.ndarray] | None:
    """(names, distances) of A, B, C, the presets, the merge at the start and the pinned one; None where none is known.

    Distances are L2, over all merged weights.
    """
    known, found = record.host.get("merge") or {}, blocks(record)
    names, gram = tuple(known.get("blocks") or ()), np.array(known.get("gram") or (), dtype=np.float64)
    count = gram.shape[1] + 1 if gram.ndim == 3 else 0
    if not found or tuple(block.name for block in found) != names or gram.shape != (len(names), count - 1, count - 1):
        return None
    three = count == 3
    merges = {name: preset(name, names) for name in PRESETS}
    merges |= {"start": {b.name: b.before for b in found}, "pinned": {b.name: b.after for b in found}}
    points = [*corners(len(names), count), *(coefficients(weights, three) for weights in merges.values())]
    return [*"ABC"[:count], *merges], distances(points, gram)


def draw_map(path: Path, record: Record) -> None:
    """`merge_map.png`: the models and merges as points in the plane, as far apart as their weights are."""
    told = models(record)
    if told is None:
        return
    names, gaps = told
    places = plane(gaps)
    figure, canvas = canvas_of(7.2, 4.8)
    axes = figure.add_axes((0.1, 0.12, 0.86, 0.79))
    plain(axes)
    axes.set_aspect("equal", adjustable="datalim")
    loud = {"A": BLUE, "B": BLUE, "C": BLUE, "start": INK, "pinned": RED}
    for name, (x, y) in zip(names, places):
        colour = loud.get(name, GREY)
        axes.plot([x], [y], "o" if name in loud else ".", color=colour, markersize=7 if name in loud else 5)
    _name(axes, names, places, loud)
    label(axes, "The models and their merges", "L2 distance of the weights", "")
    canvas.draw()
    save_canvas(canvas, path)


def _name(axes: Any, names: Sequence[str], places: np.ndarray, loud: dict[str, str]) -> None:
    """Write each name beside its point, where no other name is: the models and the run's own merges first."""
    span = max(float(np.ptp(places, axis=0).max()), 1e-12)
    taken: list[tuple[float, float]] = []
    for place in sorted(range(len(names)), key=lambda index: names[index] not in loud):
        name, (x, y) = names[place], places[place]
        free = [step for step in (0.0, 0.035, -0.035, 0.07, -0.07, 0.105, -0.105)
                if all(abs(y / span + step - v) > 0.03 or abs(x / span - u) > 0.24 for u, v in taken)]  # fmt: skip
        if not free:
            continue
        taken.append((x / span, y / span + free[0]))
        style = (
            {"fontsize": 9, "weight": "bold", "color": loud[name]} if name in loud else {"fontsize": 6, "color": GREY}
        )
        at = (x, y + free[0] * span)
        axes.annotate(name, at, xytext=(6, 0), textcoords="offset points", va="center", **style)
