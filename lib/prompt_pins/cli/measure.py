"""What a hyperbatch is worth on a model: its diversity against that of independent images."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import torch

from ..config import RunConfig
from ..host import Batch, Host, Recipe
from ..loss.ldrflip import mean_errors
from ..sampling import fork_schedule
from ..sampling.meter import Meter

ROUNDS = 4


def measured(config: RunConfig, host: Host, rounds: int = ROUNDS) -> Meter:
    """The meter of a configuration's batch, with diversity: the mean ꟻLIP over all pairs of a batch's images.

    Means over `rounds` batches, each on its own seeds, once as a tree and once independent.
    """
    prompt = Recipe(config.prompt, config.negative_prompt)
    size = config.batch_size
    spreads: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds):
        seeds = range(config.seed + turn * size, config.seed + (turn + 1) * size)
        for forked, found in spreads.items():
            found.append(spread(host.render(prompt, seeds, config, forked), config.pixels_per_degree))
    means = (float(np.mean(spreads[True])), float(np.mean(spreads[False])))
    return dataclasses.replace(planned(config), diversity=means)


def planned(config: RunConfig) -> Meter:
    """The meter of a configuration's batch without a model."""
    return Meter(fork_schedule(config.batch_size, config.steps, config.fork_policy))


def spread(batch: Batch, pixels_per_degree: float) -> float:
    """Mean ꟻLIP over all pairs of a batch's images; 0 for one image."""
    pairs = list(itertools.combinations(range(len(batch.images)), 2))
    if not pairs:
        return 0.0
    images = torch.from_numpy(np.ascontiguousarray(batch.images.transpose(0, 3, 1, 2)))
    return float(mean_errors(images, pairs, pixels_per_degree).mean())
