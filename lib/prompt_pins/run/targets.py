"""The targets of a run: read once, fitted, kept in the folder of generation 0.

A run that goes on reads them from there, so it does not depend on the user's files any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..config import RunConfig
from ..errors import OptionError, TargetError
from ..host import Host
from ..loss import Target, batch_targets, fit_targets, list_images, load_target
from ..loss.images import PIPES
from ..store import Record, RunFolder
from ..store.folder import save_image

MASK = "mask-{}.png"


def read_targets(config: RunConfig, host: Host) -> tuple[Target, ...]:
    """The target images that the configuration names, fitted to the host's image size; () for the first batch.

    Raises `TargetError`, and `OptionError` where the weights do not match the targets.
    """
    if not config.target and config.mask.startswith(PIPES):
        raise OptionError("mask", config.mask, "the name of a file; only a mask for target images may be a pipe")
    if not config.target and config.mask and os.path.isdir(config.mask):
        raise OptionError("mask", config.mask, "an image; a folder of masks needs target images to go with")
    weights = config.target_weights or (1.0,) * len(config.target)
    if len(weights) != len(config.target):
        raise OptionError("target_weights", list(weights), f"none, or one for each of {len(config.target)} targets")
    masks = _masks(config)
    found = [
        load_target(source, masks(source), weight)
        for entry, weight in zip(config.target, weights, strict=True)
        for source in _images(Path(entry))
    ]
    return fit_targets(found, host.size(config), config.fit, _shared_mask(config))


def first_batch_targets(images: np.ndarray, config: RunConfig, host: Host) -> tuple[Target, ...]:
    """The prompt's own first batch (B x H x W x 3, uint8) as targets."""
    return fit_targets(batch_targets(images), host.size(config), config.fit, _shared_mask(config))


def _images(entry: Path) -> Iterator[Path]:
    """The image files that an entry stands for: an earlier run's best batch, a folder's images, or itself."""
    if os.path.isfile(entry / "journal.jsonl"):
        run = RunFolder(entry)
        best = run.record().best
        if best is None or not best.images:
            raise TargetError(f"{entry}: this run has no images to pin to")
        yield from (run.inside(f"{best.folder}/{name}") for name in best.images)
    elif os.path.isdir(entry):
        yield from list_images(entry)
    else:
        yield entry


def _shared_mask(config: RunConfig) -> Path | None:
    return Path(config.mask) if config.mask and not os.path.isdir(config.mask) else None


def _masks(config: RunConfig) -> Callable[[Path], Path | None]:
    """What finds a target's own mask in the folder of masks, where there is one."""
    if not config.mask or not os.path.isdir(config.mask):
        return lambda target: None
    known = {path.stem: path for path in list_images(Path(config.mask))}

    def of(target: Path) -> Path:
        if target.stem not in known:
            raise TargetError(f"{config.mask}: has no mask named {target.stem}; allowed: one for each target")
        return known[target.stem]

    return of


Read = tuple[tuple[Target, ...], ...]
"""The targets of each payload; of a plain run those of the one that it is."""


def ready_targets(
    jobs: Sequence[RunConfig],
    host: Host,
    folder: RunFolder,
    record: Record,
    first_batch: Callable[[int], np.ndarray],
    given: Read | None = None,
) -> tuple[str, tuple[str, ...], Read]:
    """(source, image paths relative to the run, targets of each job), saved in generation 0's folder or read from it.

    source: "images", or "batch" where `first_batch` renders the original prompt's own; "both" where payloads differ; ""
    by eye, where there is none.
    given: what `read_targets` found already: a pipe can be read only once.
    """
    if jobs[0].by_eye:
        return "", (), ((),)
    if record.target_source:
        return record.target_source, record.target_images, each_kept(folder, record)
    found = [read_targets(job, host) for job in jobs] if given is None else list(given)
    sources = {"images" if targets else "batch" for targets in found}
    for index, job in enumerate(jobs):
        found[index] = found[index] or first_batch_targets(first_batch(index), job, host)
    names = []
    for index, target in enumerate(target for targets in found for target in targets):
        name = f"target-{index:05d}.png"
        save_image(folder.generation(0) / name, target.pixels)
        if target.mask is not None:
            save_image(folder.generation(0) / MASK.format(f"{index:05d}"), target.mask)
        names.append(f"{folder.generation(0).name}/{name}")
    return sources.pop() if len(sources) == 1 else "both", tuple(names), tuple(found)


def target_line(source: str, names: Sequence[str], targets: Read, many: bool) -> dict[str, Any]:
    """Of the journal."""
    line: dict[str, Any] = {"kind": "target", "source": source, "images": list(names)}
    line |= {"weights": [target.weight for own in targets for target in own]}
    return line | ({"payloads": list(map(len, targets))} if many else {})


def each_kept(folder: RunFolder, record: Record) -> Read:
    """The targets of each payload that a run has kept.  Raises `TargetError` where one is missing."""
    kept = iter(kept_targets(folder, record))
    return tuple(tuple(islice(kept, count)) for count in record.target_counts or (len(record.target_images),))


def kept_targets(folder: RunFolder, record: Record) -> tuple[Target, ...]:
    """The targets that a run has kept, with their masks and weights.  Raises `TargetError` where one is missing."""
    targets = []
    for index, (name, weight) in enumerate(zip(record.target_images, record.target_weights, strict=True)):
        path = folder.inside(name)
        if not path.is_file():
            raise TargetError(f"{path}: is missing, so this run cannot go on")
        mask = folder.generation(0) / MASK.format(f"{index:05d}")
        targets.append(load_target(path, mask if mask.is_file() else None, weight))
    return tuple(targets)
