"""How far the candidates of a map lie from one another: mean ꟻLIP of their images of the same seed.  Imports numpy.

Worked out once, from the images as their files hold them, and kept beside the journal; where that file is missing or
of other candidates, it is made again, to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..config import RunConfig
from ..errors import StoreError
from ..loss import load_target
from ..loss.grid import grid_distances, grid_features
from ..store import Record, RunFolder
from ..store.files import whole_file
from ..store.folder import DISTANCES

Distances = NDArray[np.float32]
"""(seeds, n (n - 1) / 2): of each seed all pairs of candidates i < j in order, 0 to 1."""


def distances(folder: RunFolder, record: Record, tell: Callable[[float], None] = lambda share: None) -> Distances:
    """Those of a map's candidates.  tell: called with the share that is done.  Raises `StoreError`."""
    count = len(record.candidates)
    seeds = len(record.candidates[0].images) if count else 0
    for place, candidate in enumerate(record.candidates):
        if candidate.index != place or not len(candidate.images) == seeds > 0:
            raise StoreError(f"{folder.path}: candidate {candidate.index} is not what this map has in place {place}")
    kept = _kept(folder, (seeds, count * (count - 1) // 2))
    if kept is not None:
        return kept
    config = RunConfig.from_record(record.config)
    found = []
    for seed in range(seeds):
        features = np.concatenate(
            [grid_features(image[None], config.pixels_per_degree) for image in _images(folder, record, seed)], axis=1
        )
        found.append(grid_distances(features, lambda done, seed=seed: tell((seed + done / count) / seeds)))  # type: ignore[misc]
    whole = np.stack(found) if found else np.zeros((0, 0), np.float32)
    with whole_file(folder.path / DISTANCES) as beside:
        np.save(beside, whole, allow_pickle=False)
    return whole


def _images(folder: RunFolder, record: Record, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Of each candidate the image of a seed."""
    shape: tuple[int, ...] = ()
    for candidate in record.candidates:
        path = folder.inside(f"{candidate.folder}/{candidate.images[seed]}")
        if not path.is_file():
            raise StoreError(f"{path}: is missing, so this map cannot be drawn")
        image = load_target(path).pixels
        shape = shape or image.shape
        if image.shape != shape:
            raise StoreError(f"{path}: has another size than the others, so this map cannot be drawn")
        yield image


def _kept(folder: RunFolder, shape: tuple[int, int]) -> Distances | None:
    """What an earlier call wrote; None where there is nothing that fits."""
    path = folder.inside(DISTANCES)
    try:
        found = np.load(path, allow_pickle=False) if path.is_file() else None
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(found, np.ndarray) or found.shape != shape or found.dtype != np.float32:
        return None
    return found if bool(((found >= 0) & (found <= 1)).all()) else None


def squared(pairs: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """(n, n) symmetric table of (n (n - 1) / 2,) pairs, its diagonal 0."""
    table = np.zeros((count, count))
    table[np.triu_indices(count, 1)] = pairs
    return table + table.T


def averaged(pairs: Distances, count: int) -> NDArray[np.float64]:
    """(n, n) mean over the seeds; zeros where there is none."""
    return squared(pairs.mean(axis=0, dtype=np.float64), count) if len(pairs) else np.zeros((count, count))
