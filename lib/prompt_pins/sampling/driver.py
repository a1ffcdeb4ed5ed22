"""The one loop: walks the sigmas and forks the batch.  Every sampler, with every schedule, runs through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import OptionError
from .forking import Birth, Walk, landed
from .steppers import History, Level, Step, t_of


def walk(run: Walk, x: Tensor) -> Tensor:
    """From x at sigmas[0] (B x ..., every leaf's own start) to x at sigmas[-1] (B x ...)."""
    sizes, history = run.binding.schedule.sizes, History()
    births: tuple[Birth, ...] = ()
    x = x[: sizes[0]]
    extra_args = run.binding.take(range(sizes[0]))
    for i, size in enumerate(sizes):
        grown = sizes[min(i + 1, len(sizes) - 1)]
        denoise = _denoiser(run.model, extra_args, x.new_ones([size]))
        x, sigma_hat = _churned(run, x, i)
        step = _step(run, i, sigma_hat, size, denoise)
        denoised = denoise(x, sigma_hat)
        if run.callback is not None:
            seen = {"x": x, "i": i, "sigma": step.sigma, "sigma_hat": sigma_hat, "denoised": denoised}
            run.callback(seen)
        land = run.stepper(step, x, denoised, history, run.options)
        if run.depth:
            history = history.pushed(denoised, t_of(step.sigma_next) - t_of(step.sigma), run.depth)
        parents = None
        if grown > size:
            parents = torch.arange(grown, device=x.device) % size
            births = (*births, Birth(range(size, grown), i))
            history = history.rows(parents)
            extra_args = run.binding.take(range(grown))
        x = landed(run, step, land, i, parents, births)
    return x


def _denoiser(model: Callable[..., Tensor], extra_args: Any, ones: Tensor) -> Callable[[Tensor, Level], Tensor]:
    """The model for the nodes that exist.  `extra_args` is read anew at each call: a host may change it in one."""

    def denoise(x: Tensor, sigma: Level) -> Tensor:
        denoised = model(x, sigma * ones, **extra_args)
        if denoised.shape != x.shape:
            raise OptionError("model", tuple(denoised.shape), f"an answer of x's own shape, {tuple(x.shape)}")
        return denoised

    return denoise


def _churned(run: Walk, x: Tensor, i: int) -> tuple[Tensor, Level]:
    """x raised from sigma to sigma_hat by fresh noise.  Karras et al. 2022, algorithm 2, lines 4 to 6."""
    sigma, options = run.sigmas[i], run.options
    if not options.s_churn > 0:
        return x, sigma
    eps = run.binding.noise.churn(i, x.shape[0]) * options.s_noise
    if not options.s_tmin <= run.levels[i] <= options.s_tmax:
        return x, sigma
    gamma = min(options.s_churn / (len(run.sigmas) - 1), 2**0.5 - 1)
    sigma_hat = sigma * (gamma + 1)
    return x + eps * (sigma_hat**2 - sigma**2) ** 0.5, sigma_hat


def _step(run: Walk, i: int, sigma_hat: Level, size: int, denoise: Callable[[Tensor, Level], Tensor]) -> Step:
    return Step(
        sigma=run.sigmas[i],
        sigma_hat=sigma_hat,
        sigma_next=run.sigmas[i + 1],
        last=not run.levels[i + 1],
        denoise=denoise,
        half_noise=lambda sigma, middle: run.binding.noise.half(i, sigma, middle, size),
    )
