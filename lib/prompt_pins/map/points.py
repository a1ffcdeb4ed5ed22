"""What a map renders: points spread evenly round the original, or the candidates of a run.  Imports numpy and torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from ..config import MapOptions, RunConfig
from ..errors import OptionError
from ..host import Host
from ..run.scoring import candidate_id
from ..space import Space, build
from ..store import Record, RunFolder

LEAST = 2
Points = tuple[tuple[float, ...], ...]
"""Of each candidate the value of each axis, rounded as printed; the original first."""


@dataclasses.dataclass(frozen=True)
class Earlier:
    """The run whose candidates a map shows."""

    folder: RunFolder
    record: Record

    @classmethod
    def of(cls, folder: RunFolder) -> Earlier:
        """Raises `OptionError` for what is no run, and for one with fewer than two candidates."""
        record = folder.record()
        if record.task != "pin" or len(record.candidates) < LEAST:
            raise OptionError("run", folder.path.name, f"the number of a run with at least {LEAST} candidates")
        if record.target_counts:
            raise OptionError("run", folder.path.name, "a run without payloads: a map shows the pictures of one prompt")
        return cls(folder, record)


def space_of(config: RunConfig, host: Host) -> Space:
    """The space of a map.  Raises `PromptError` and `OptionError`."""
    if config.vary == "auto":
        raise OptionError("vary", config.vary, "words, phrases or groups; auto is for measuring words")
    if config.many:
        raise OptionError("payload", list(config.payload), "no payload and no piece: a map is of one prompt")
    if config.merge_with:
        raise OptionError("merge_with", config.merge_with, "none: a map is of one checkpoint")
    return build(config, host.embeddings(), host.settings(config))


def sampled(space: Space, options: MapOptions, seed: int) -> Points:
    """The original and points of a scrambled Sobol sequence: no axis further off than the radius, or its bounds.

    Raises `OptionError` where no two of them are printed differently.
    """
    original, scale = np.array(space.original), np.array(space.scale)
    sobol = torch.quasirandom.SobolEngine(space.size, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    unit = sobol.draw(options.map_candidates - 1, dtype=torch.float64).numpy()  # ~ U(0, 1)
    away = options.map_radius * scale
    low, high = np.maximum(original - away, space.low), np.minimum(original + away, space.high)
    found = _distinct(space, np.vstack([original, low + unit * (high - low)]), options.map_candidates)
    if len(found) < LEAST:
        raise OptionError("map_radius", options.map_radius, "a radius in which there is another weight")
    return found


def of_run(space: Space, earlier: Earlier, options: MapOptions) -> Points:
    """The candidates of a run: its original, its best, and the others as evenly over its generations as there is room.

    Raises `OptionError` where the run varied other words, or all of its candidates are the same.
    """
    record = earlier.record
    if [axis.label for axis in record.axes] != space.labels:
        raise OptionError("run", earlier.folder.path.name, f"a run whose weights are those of {space.labels}")
    rows = [candidate.weights for candidate in record.candidates]
    best = [] if record.best is None else [record.best.weights]
    room = options.map_candidates - 1 - len(best)
    some = [rows[place] for place in np.linspace(0, len(rows) - 1, min(len(rows), max(room, 0))).round().astype(int)]
    found = _distinct(space, [space.original, *best, *some, *rows], options.map_candidates)
    if len(found) < LEAST:
        raise OptionError("run", earlier.folder.path.name, f"a run with at least {LEAST} candidates that differ")
    return found


def _distinct(space: Space, rows: Sequence[Sequence[float]] | np.ndarray, most: int) -> Points:
    """The first `most` that are rendered differently."""
    found: dict[str, tuple[float, ...]] = {}
    for row in rows:
        vector = space.round([float(value) for value in row])
        found.setdefault(candidate_id([space.recipe(vector)], [()]), tuple(vector))
        if len(found) == most:
            break
    return tuple(found.values())
