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
from numpy.typing import NDArray

from ..config import RunConfig
from ..config.presets import LIKELY
from ..errors import HostError, shorten
from ..host import Host, Recipe, View
from ..search.downhill import downhill, told
from ..search.warm import WarmStart
from ..space import Space
from ..store import Likely
from . import rendering
from .panel import Panel

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
ASKING = "asking the model which words explain the target"
LEAST = 1e-3  # of the original's misfit, which the others are divided by


def asked(config: RunConfig) -> bool:
    """Whether a run begins with it."""
    return config.start == LIKELY and not config.warm_start


def planned(config: RunConfig, space: Space) -> int:
    """Denoiser evaluations that it takes, at most."""
    count = sum(moved(space)) if asked(config) else 0
    return len(views(1, config.steps)) * (1 + count) if count else 0


def moved(space: Space) -> list[bool]:
    """(N,) which axes it can tell anything of: settings have no part."""
    return [axis.side != "settings" for axis in space.axes]


def views(targets: int, steps: int, pairs: int = 1) -> tuple[View, ...]:
    """The looks, the same for all recipes: `pairs` noises of each part, each with its opposite."""
    found = []
    for pair in range(pairs):
        for place, part in enumerate(PARTS):
            count = pair * len(PARTS) + place
            look = View(count % targets, min(int(part * steps), steps - 1), FIRST_SEED + count)
            found += [look, dataclasses.replace(look, sign=-1)]
    return tuple(found)


def measured(config: RunConfig, host: Host, panel: Panel, targets: Sequence[Sequence[Target]]) -> Likely | None:
    """Every weight moved alone.  None where the host cannot tell, or where only settings vary.

    targets: of each payload, whose looks count by its weight.  Raises `HostInterrupted`.
    """
    space = panel.spaces[0]
    if not any(moved(space)):
        return None
    started = time.perf_counter()
    scale = np.array(space.scale)
    original, low, high = (np.array(getattr(space, name)) / scale for name in ("original", "low", "high"))
    up, down = np.minimum(high - original, STEP), np.minimum(original - low, STEP)
    steps = np.where(up >= down, up, -down) * moved(space)
    points = (original + np.vstack([0.0 * steps, np.diag(steps)])) * scale
    try:
        found = _of_all(host, panel, points.tolist(), targets)
    except HostError as error:  # the images may still come
        log.warning("the search begins at the original prompt, as the denoiser could not be asked first: %s", error)
        return None
    if found is None:
        return None
    values, evaluations = found
    mean = downhill(values, steps, original, min(REACH, config.size_limit or REACH))
    mean = np.clip(mean, low, high) if len(mean) else mean
    mean = mean if not np.array_equal(mean, original) else mean[:0]  # every bound in the way
    recipe = space.recipe((mean * scale).tolist()) if len(mean) else Recipe("")
    return Likely(
        tuple(map(tuple, values.tolist())),
        tuple(steps.tolist()),
        evaluations,
        tuple(mean.tolist()),
        config.initial_std,
        recipe.prompt,
        recipe.negative_prompt,
        {"wall": time.perf_counter() - started},
    )


def _of_all(
    host: Host, panel: Panel, points: Sequence[Sequence[float]], targets: Sequence[Sequence[Target]]
) -> tuple[NDArray[np.float64], int] | None:
    """`misfits` of the recipes at these points, the looks of all payloads one after the other."""
    found = []
    for job, own, aims in zip(panel.jobs, panel.spaces, targets, strict=True):
        one = misfits(job, host, [own.recipe(point) for point in points], aims)
        if one is None:
            return None
        found.append(one)
    weights = np.array(panel.weights) / np.mean(panel.weights)
    changes = [weight * (values - 1.0) for weight, (values, _) in zip(weights, found, strict=True)]
    values = found[0][0] if len(found) == 1 else 1.0 + np.hstack(changes)
    return values, sum(cost for _, cost in found)


def in_words(found: Likely) -> str:
    """`3 of 10 words tell; starting at 'a (red:1.4) circle'`."""
    count = sum(step != 0.0 for step in found.steps)
    telling = int(np.count_nonzero(told(found.misfits, found.steps)))
    words = f"{telling or 'none'} of {count} word{'s' * (count != 1)} tell{'s' * (telling < 2)}"
    return f"{words}; starting at " + (shorten(found.prompt, 120) if found.mean else "the original prompt")


def start(found: Likely | None) -> WarmStart | None:
    """What the search of images begins with; None: at the original."""
    if found is None or not found.mean:
        return None
    return WarmStart(np.array(found.mean), found.step_size, tentative=True)


def misfits(
    config: RunConfig, host: Host, recipes: Sequence[Recipe], targets: Sequence[Target], pairs: int = 1
) -> tuple[NDArray[np.float64], int] | None:
    """(recipes, looks) misfits as shares of the first recipe's, and the evaluations; None where the host cannot tell.

    What a recipe sets besides its prompts has no part.  Equal recipes are asked for once: they tell exactly the same.
    Raises `HostError`.
    """
    looks = views(len(targets), config.steps, pairs)
    plain = [dataclasses.replace(recipe, settings=()) for recipe in recipes]
    unlike = list(dict.fromkeys(plain))
    images, masks = [target.pixels for target in targets], [target.mask for target in targets]
    found = rendering.misfits(host, unlike, images, masks, looks, config)
    if found is None:
        return None
    values = found.values[[unlike.index(recipe) for recipe in plain]]
    weights = np.array([targets[look.image].weight for look in looks])
    changes = values / np.maximum(values[:1], LEAST) - 1.0
    return 1.0 + changes * weights / weights.mean(), found.evaluations
