"""Score a batch: images and targets in, one loss and all its parts out.  Imports torch."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prompt_pins.errors import OptionError, TargetError
from prompt_pins.loss.images import Pixels
from prompt_pins.loss.objectives import NEUTRAL, OBJECTIVES, Context, Objective, Tagger, choose
from prompt_pins.loss.options import LossOptions
from prompt_pins.loss.result import BatchLoss, build_result
from prompt_pins.loss.sets import Levels, PairTable, set_losses
from prompt_pins.loss.targets import Target, compared

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """One mask, the targets that use it, and whether the pairs of images use it too."""

    mask: Pixels | None
    targets: tuple[int, ...]
    spread: bool


def score_batch(
    images: NDArray[np.uint8],
    targets: Sequence[Target],
    levels: Levels | None,
    options: LossOptions,
    *,
    normalisers: Mapping[str, float] | None = None,
    registry: Mapping[str, Objective] = OBJECTIVES,
    tagger: Tagger | None = None,
) -> BatchLoss:
    """The loss of one batch.

    `images`: B x H x W x 3 uint8 sRGB; `targets`: already fitted to H x W (`fit_targets`); `levels`: node of
    each image at each level of its tree, root first, or None if the batch was not forked; `normalisers`: those
    of the run's first batch (`BatchLoss.normalisers`), None for that first batch itself; `registry`: objectives
    by name; `tagger`: the host's interrogator, for the objective "tags".

    An (image, target) pair is seen through the target's mask, an (image, image) pair through the brightest of
    all targets' masks.  Raises OptionError or TargetError.
    """
    batch = _check_images(images)
    chosen = choose(options, registry)
    _check_targets(targets, batch, any(objective.pairwise for objective, _ in chosen))
    try:
        tables = _tables(chosen, batch, targets, options, tagger, chosen_device(options.device))
    except RuntimeError as error:  # a model beside it may hold nearly all of the GPU's memory
        if options.device != "auto" or "out of memory" not in str(error):
            raise
        _tell_of_memory()
        tables = _tables(chosen, batch, targets, options, tagger, torch.device("cpu"))
    if normalisers is None:
        normalisers = _normalisers(tables, options)
    shares = _shares(chosen, normalisers)
    return build_result(_combine(tables, shares), tables, shares, normalisers, levels, options)


def _tables(
    chosen: Sequence[tuple[Objective, float]],
    batch: NDArray[np.uint8],
    targets: Sequence[Target],
    options: LossOptions,
    tagger: Tagger | None,
    device: torch.device,
) -> dict[str, PairTable]:
    """The pair losses of each objective."""
    jobs = _jobs(targets)
    weights = np.array([target.weight for target in targets], dtype=np.float64)
    if not targets:
        weights = np.ones(1)
    tables: dict[str, PairTable] = {}
    for objective, _ in chosen:
        fit, spread = _measure(objective, batch, targets, jobs, options, tagger, device)
        tables[objective.name] = PairTable(fit, spread, weights)
    return tables


@lru_cache(maxsize=1)
def _tell_of_memory() -> None:
    """Once a process."""
    log.warning("the GPU has too little memory left to compare the images, so the CPU does it, which takes longer")


def _combine(tables: Mapping[str, PairTable], shares: Mapping[str, float]) -> PairTable:
    """Weighted sum of the objectives' pair losses."""
    fit = np.sum([shares[name] * table.fit for name, table in tables.items()], axis=0)
    spread = np.sum([shares[name] * table.spread for name, table in tables.items()], axis=0)
    return PairTable(fit, spread, next(iter(tables.values())).target_weights)


def _check_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    batch = np.asarray(images)
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[3] != 3 or not batch.size:
        raise OptionError("images", f"{batch.dtype} {batch.shape}", "a uint8 array, images x height x width x 3")
    return batch


def _check_targets(targets: Sequence[Target], batch: NDArray[np.uint8], needed: bool) -> None:
    if needed and not targets:
        raise OptionError("targets", "none", "at least one target image")
    height, width = batch.shape[1:3]
    for target in targets:
        if target.size != (width, height):
            found = f"{target.size[0]} x {target.size[1]}"
            raise TargetError(f"{target.name}: {found} pixels; allowed: the size of the batch, {width} x {height}")


def chosen_device(name: str) -> torch.device:
    """What `LossOptions.device` stands for here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise OptionError("device", name, "auto or cpu: this machine has no CUDA device")
    return torch.device(name)


def _jobs(targets: Sequence[Target]) -> tuple[_Job, ...]:
    """Targets grouped by mask; the first job that uses the brightest of the masks takes the pairs of images."""
    masks = [compared(target.mask, target.name) for target in targets]
    drawn = [mask for mask in masks if mask is not None]
    union = compared(np.max(drawn, axis=0), "targets") if drawn and len(drawn) == len(masks) else None
    groups: dict[bytes, list[int]] = {_key(union): []}
    shapes = {_key(union): union}
    for index, mask in enumerate(masks):
        groups.setdefault(_key(mask), []).append(index)
        shapes[_key(mask)] = mask
    return tuple(_Job(shapes[key], tuple(found), key == _key(union)) for key, found in groups.items())


def _key(mask: Pixels | None) -> bytes:
    return b"" if mask is None else mask.tobytes()


def _measure(
    objective: Objective,
    batch: NDArray[np.uint8],
    targets: Sequence[Target],
    jobs: Sequence[_Job],
    options: LossOptions,
    tagger: Tagger | None,
    device: torch.device,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(fit B x T, spread B x B) of one objective.

    A score of single images stands for pairs thus: a target is at score 0, and two images differ by the
    difference of their scores.
    """
    size = len(batch)
    fit = np.zeros((size, max(1, len(targets))))
    spread = np.zeros((size, size))
    for job in jobs:
        stack = _stack(batch, [targets[index].pixels for index in job.targets], job.mask, device)
        weight = None if job.mask is None else torch.from_numpy(job.mask.copy()).to(device).float().div_(255.0)
        context = Context(options, weight, tagger)
        if objective.pairwise:
            _measure_pairs(objective, stack, job, context, fit, spread)
            continue
        scores = _numbers(objective, objective.function(stack[:size], context), size)
        fit[:, list(job.targets) if targets else [0]] = scores[:, None]
        if job.spread:
            spread[:] = abs(scores[:, None] - scores[None, :])
    return fit, spread


def _measure_pairs(
    objective: Objective,
    stack: Tensor,
    job: _Job,
    context: Context,
    fit: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> None:
    size = len(spread)
    pairs = [(left, right) for left in range(size) for right in range(left + 1 if job.spread else size, len(stack))]
    if not pairs:
        return
    found = _numbers(objective, objective.function(stack, torch.tensor(pairs), context), len(pairs))
    for (left, right), value in zip(pairs, found):
        if right < size:
            spread[left, right] = spread[right, left] = value
        else:
            fit[left, job.targets[right - size]] = value


def _stack(batch: NDArray[np.uint8], targets: Sequence[Pixels], mask: Pixels | None, device: torch.device) -> Tensor:
    """N x 3 x H x W uint8: images, then targets, neutral grey where the mask is black."""
    joined = np.concatenate([batch, np.stack(targets)]) if targets else batch
    if mask is not None:
        joined = np.where((mask == 0)[None, :, :, None], np.uint8(NEUTRAL), joined)
    return torch.from_numpy(np.ascontiguousarray(joined.transpose(0, 3, 1, 2))).to(device)


def _numbers(objective: Objective, found: object, count: int) -> NDArray[np.float64]:
    """An objective's answer as `count` finite numbers from 0; OptionError for anything else."""
    values = found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)
    values = values.astype(np.float64).reshape(-1)
    if len(values) != count or not np.isfinite(values).all() or (values < 0.0).any():
        allowed = f"{count} finite numbers from 0"
        raise OptionError(f"objective {objective.name}", values.tolist(), allowed)
    return values


def _normalisers(tables: Mapping[str, PairTable], options: LossOptions) -> dict[str, float]:
    """What each objective is divided by: the set loss of this batch under it alone; 1 for a single objective,
    and where that loss is 0."""
    if len(tables) == 1:
        return dict.fromkeys(tables, 1.0)
    found = {}
    for name, table in tables.items():
        root = np.ones((1, table.size), dtype=bool)
        value = float(set_losses(table, root, options.consistency, options.dispersion)[0])
        found[name] = value if value > 0.0 else 1.0
    return found


def _shares(chosen: Sequence[tuple[Objective, float]], normalisers: Mapping[str, float]) -> dict[str, float]:
    """Factor of each objective's pair losses: weight / sum of weights / normaliser."""
    total = math.fsum(weight for _, weight in chosen)
    shares = {}
    for objective, weight in chosen:
        value = normalisers.get(objective.name)
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0.0:
            raise OptionError("normalisers", dict(normalisers), f"a number above 0 for {objective.name}")
        shares[objective.name] = weight / total / value
    return shares
