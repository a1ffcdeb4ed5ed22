"""Where the targets are likely: what each weight does to how badly they are explained, before the first image.

A recipe costs one denoiser evaluation for each look at a target through noise; nothing is sampled or decoded.
(After the diffusion classifiers of Li et al. 2023, arXiv 2303.16203, and Clark & Jaini 2023, arXiv 2303.15233, who
compare squared errors; the angle is blind to how strongly a prompt guides, which the CFG scale says.)
Imports numpy; never torch.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config import RunConfig
from ..errors import HostError
from ..host import Host, Recipe, View
from ..search.warm import WarmStart
from ..space import Space
from ..store import Likely
from . import rendering

if TYPE_CHECKING:
    from ..loss import Target

log = logging.getLogger(__name__)

STEP = 0.3
"""How far each weight is moved alone, in the search's own units."""
REACH = 0.6
"""How far all of them together are moved from the original: its length as a vector."""
PARTS = (0.0, 0.2, 0.4, 0.6)
"""How much of the sampling lies behind the looks: there the content is settled, later only its detail."""
FIRST_SEED = 2**31 + 2**22  # no image has it
LEAST = 1e-3  # of the original's misfit, which the others are divided by


def views(targets: int, steps: int, pairs: int = 1) -> tuple[View, ...]:
    """The looks, the same for all recipes: `pairs` noises of each part, each with its opposite."""
    found = []
    for pair in range(pairs):
        for place, part in enumerate(PARTS):
            count = pair * len(PARTS) + place
            look = View(count % targets, min(int(part * steps), steps - 1), FIRST_SEED + count)
            found += [look, dataclasses.replace(look, sign=-1)]
    return tuple(found)


def measured(config: RunConfig, host: Host, space: Space, targets: Sequence[Target]) -> Likely | None:
    """Every weight moved alone.  None where the host cannot tell.  Raises `HostInterrupted`."""
    started = time.perf_counter()
    original, low, high, scale = (np.array(getattr(space, name)) for name in ("original", "low", "high", "scale"))
    steps = np.where(original + STEP * scale <= high, STEP, -STEP)
    moved = np.clip(original + np.diag(steps * scale), low, high)
    try:
        found = misfits(config, host, [space.recipe(point) for point in (original.tolist(), *moved.tolist())], targets)
    except HostError as error:  # the images may still come
        log.warning("the search starts at the original prompt: %s", error)
        return None
    if found is None:
        return None
    values, evaluations = found
    steps = np.diagonal(moved - original) / scale
    mean = downhill(values, steps, original / scale)
    table = tuple(map(tuple, values.tolist()))
    seconds = {"wall": time.perf_counter() - started}
    return Likely(table, tuple(steps.tolist()), evaluations, tuple(mean.tolist()), config.initial_std, seconds)


def start(found: Likely | None) -> WarmStart | None:
    """What the search of images begins with; None: at the original."""
    if found is None or not found.mean:
        return None
    return WarmStart(np.array(found.mean), found.step_size, tentative=True)


def misfits(
    config: RunConfig, host: Host, recipes: Sequence[Recipe], targets: Sequence[Target], pairs: int = 1
) -> tuple[NDArray[np.float64], int] | None:
    """(recipes, looks) misfits as shares of the first recipe's, and the evaluations; None where the host cannot tell.

    What a recipe sets besides its prompts has no part.  Raises `HostError`.
    """
    looks = views(len(targets), config.steps, pairs)
    plain = [dataclasses.replace(recipe, settings=()) for recipe in recipes]
    images, masks = [target.pixels for target in targets], [target.mask for target in targets]
    found = rendering.misfits(host, plain, images, masks, looks, config)
    if found is None:
        return None
    weights = np.array([targets[look.image].weight for look in looks])
    changes = found.values / np.maximum(found.values[:1], LEAST) - 1.0
    return 1.0 + changes * weights / weights.mean(), found.evaluations


def effects(misfits: ArrayLike, steps: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) how fast the misfit rises with each weight, in shares of the original's, and its standard error.

    misfits: (1 + N, looks); steps: (N,), as a `Likely` has them.
    """
    rows, steps = np.asarray(misfits), np.asarray(steps)
    slopes = (rows[1:] - rows[:1]) / np.where(steps == 0.0, np.inf, steps)[:, None]
    return slopes.mean(axis=1), slopes.std(axis=1, ddof=1) / np.sqrt(slopes.shape[1])


def downhill(misfits: ArrayLike, steps: ArrayLike, original: ArrayLike) -> NDArray[np.float64]:
    """(N,) a step of REACH from the original (N,), in the search's own units; () where nothing can be told.

    Each slope is drawn towards zero by its standard error: most words of a long prompt do nothing.
    """
    slopes, errors = effects(misfits, steps)
    down = -np.sign(slopes) * np.maximum(np.abs(slopes) - errors, 0.0)
    length = float(np.linalg.norm(down))
    return np.asarray(original) + REACH * down / length if length else np.array([])
