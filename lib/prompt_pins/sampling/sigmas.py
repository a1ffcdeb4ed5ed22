"""Noise levels: the usual schedules, and the check of what a host hands in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import OptionError


def karras_sigmas(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """n falling noise levels and a final 0: float32, n + 1.

    Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", equation 5.
    """
    ramp = torch.linspace(0, 1, n)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    sigmas = (high + ramp * (low - high)) ** rho
    return torch.cat([sigmas, sigmas.new_zeros([1])])


def exponential_sigmas(n: int, sigma_min: float, sigma_max: float) -> Tensor:
    """n noise levels that fall in equal ratios, and a final 0: float32, n + 1."""
    sigmas = torch.linspace(math.log(sigma_max), math.log(sigma_min), n).exp()
    return torch.cat([sigmas, sigmas.new_zeros([1])])


def checked_sigmas(sigmas: Tensor) -> Tensor:
    """A copy on the CPU, so that the loop can branch on values without waiting for the device.

    Raises `OptionError` unless `sigmas` is a vector of at least two finite, strictly falling levels, positive
    but for the last, which may be 0.
    """
    if sigmas.ndim != 1 or len(sigmas) < 2:
        raise OptionError("sigmas", tuple(sigmas.shape), "a vector of at least two noise levels")
    values = sigmas.detach().to("cpu")
    if not bool(torch.isfinite(values).all()):
        raise OptionError("sigmas", values.tolist(), "finite numbers")
    if not bool((values[1:] < values[:-1]).all()) or values[-1] < 0:
        raise OptionError("sigmas", values.tolist(), "noise levels that fall at every step, down to 0 at the least")
    return values


def checked_start(x: Tensor, sigmas: Tensor) -> Tensor:
    """The sigmas as `checked_sigmas` gives them.  Raises `OptionError` too if x is not a batch of images."""
    if x.ndim < 2:
        raise OptionError("x", tuple(x.shape), "a batch: one image in each row")
    if x.shape[0] < 1:
        raise OptionError("batch_size", int(x.shape[0]), "a whole number of at least 1")
    return checked_sigmas(sigmas)
