"""The targets of a run: read once, fitted, kept in the folder of generation 0.

A run that goes on reads them from there, so it does not depend on the user's files any more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .config import RunConfig
from .errors import TargetError
from .host import Host
from .loss import Target, batch_targets, fit_targets, load_target, load_targets
from .store import Record, RunFolder
from .store.folder import save_image

MASK = "mask-{}.png"


def read_targets(config: RunConfig, host: Host) -> tuple[Target, ...]:
    """The target images that the configuration names, fitted to the host's image size; () for the first batch.

    Raises `TargetError`.
    """
    if not config.target:
        return ()
    mask = config.mask or None
    return fit_targets(load_targets(list(config.target)), host.size(config), config.fit, mask)


def ready_targets(
    config: RunConfig, host: Host, folder: RunFolder, record: Record, first_batch: Callable[[], np.ndarray]
) -> tuple[str, tuple[str, ...], tuple[Target, ...]]:
    """(source, image paths relative to the run, targets), saved in generation 0's folder or read from it.

    source: "images", or "batch" where `first_batch` renders the original prompt's own.
    """
    if record.target_source:
        return record.target_source, record.target_images, _reread(folder, record.target_images)
    targets = read_targets(config, host)
    source = "images" if targets else "batch"
    if not targets:
        targets = fit_targets(batch_targets(first_batch()), host.size(config), config.fit, config.mask or None)
    place = folder.generation(0)
    names = []
    for index, target in enumerate(targets):
        name = f"target-{index:05d}.png"
        save_image(place / name, target.pixels)
        if target.mask is not None:
            save_image(place / MASK.format(f"{index:05d}"), target.mask)
        names.append(f"{place.name}/{name}")
    return source, tuple(names), targets


def _reread(folder: RunFolder, names: tuple[str, ...]) -> tuple[Target, ...]:
    targets = []
    for index, name in enumerate(names):
        path = folder.path / name
        if not path.is_file():
            raise TargetError(f"{path}: is missing, so this run cannot go on")
        mask = folder.generation(0) / MASK.format(f"{index:05d}")
        targets.append(load_target(path, mask if mask.is_file() else None))
    return tuple(targets)
