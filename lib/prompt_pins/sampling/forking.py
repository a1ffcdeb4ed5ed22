"""How the nodes of a batch arrive at the end of a step: old ones as the plain sampler would, new ones apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .binding import Binding
from .noise import bridge
from .steppers import Half, Land, Landing, Step, StepOptions, Stepper

Callback = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Walk:
    """What stays the same through a run.  `levels` are the sigmas on the CPU, to branch on."""

    stepper: Stepper
    depth: int
    options: StepOptions
    binding: Binding
    model: Callable[..., Tensor]
    sigmas: Tensor
    levels: Tensor
    callback: Callback | None


@dataclass(frozen=True)
class Birth:
    """Nodes that parted from their parents in one step."""

    rows: range
    step: int


def landed(run: Walk, step: Step, land: Land, i: int, parents: Tensor | None, births: tuple[Birth, ...]) -> Tensor:
    """x at the end of step i.  If the step leaves a fork, row j continues row parents[j]; else parents is None."""
    landing = land(run.options.eta, run.options.s_noise)
    if landing.scaled is None or not run.options.s_noise:
        return _quiet(run, land, landing.mean, i, parents, births)
    size = int(landing.mean.shape[0])
    if parents is None:
        return _noisy(run, step, landing, i, size)
    if landing.half is None:
        return _noisy(run, step, landing.rows(parents), i, len(parents))
    return torch.cat([_noisy(run, step, landing, i, size), _bridged(run, landing, landing.half, i, parents)])


def _noisy(run: Walk, step: Step, landing: Landing, i: int, size: int) -> Tensor:
    """A sampler that adds noise: every node, old or new, adds its own."""
    half = landing.half
    sigma, middle, sigma_next = (step.sigma, None, step.sigma_next) if half is None else half[1:]
    return landing.noised(lambda: run.binding.noise.step(i, sigma, sigma_next, middle, size))


def _bridged(run: Walk, landing: Landing, half: Half, i: int, parents: Tensor) -> Tensor:
    """New nodes of a sampler that has used noise inside the step: the parent's path, and from there their own."""
    size = int(landing.mean.shape[0])
    first = half.noise.index_select(0, parents[size:])
    second = run.binding.noise.fork(i, range(size, len(parents)))
    path = bridge(first, second, half.sigma, half.middle, half.sigma_next)
    return landing.rows(parents[size:]).noised(lambda: path)


def _quiet(run: Walk, land: Land, mean: Tensor, i: int, parents: Tensor | None, births: tuple[Birth, ...]) -> Tensor:
    """A sampler that adds no noise: old nodes go straight on, young ones take the step as an ancestral one.

    The k-th step of a node's life, from 0, has eta = min(1, strength - k): a fork strength of 1 is one full
    ancestral step, 2.5 are two full ones and half a one.
    """
    strength, noise = run.binding.strength, run.binding.noise
    etas = [min(1.0, strength - (i - birth.step)) for birth in births]
    if not any(eta > 0 for eta in etas):
        return mean
    if parents is None:
        parents = torch.arange(mean.shape[0], device=mean.device)
    pieces = [mean.index_select(0, parents[: births[0].rows.start])]
    for birth, eta in zip(births, etas, strict=True):
        index = parents[birth.rows.start : birth.rows.stop]
        if eta > 0:
            pieces.append(land(eta, 1.0).rows(index).noised(partial(noise.fork, i, birth.rows)))
        else:
            pieces.append(mean.index_select(0, index))
    return torch.cat(pieces)
