"""The samplers: the update of one step each, on batch-first tensors.

A stepper gets x and the denoiser's answer at the step's start, makes its own second call where it has one, and
returns how the step lands: a function of eta.  With eta = 0 the step goes straight to sigma_next; with
eta > 0 it goes below it and the noise that is added brings it back, so that the same step can be taken by
old nodes and, with the fork strength for eta, by new ones.  Nothing here knows of trees.

Time is t = -log sigma.  The arithmetic, down to its order, is that of k-diffusion's functions of the same
names, so that results agree to the bit; sigmas are 0-dim tensors, which never promote x.

Sources: Karras et al. 2022 (arXiv 2206.00364); Lu et al. 2022, "DPM-Solver++" (arXiv 2211.01095).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Level = Tensor


@dataclass(frozen=True)
class StepOptions:
    """k-diffusion's noise options under its own names; a sampler shows only those that it has."""

    eta: float = 0.0
    s_noise: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = float("inf")
    r: float = 1 / 2
    solver_type: str = "midpoint"


@dataclass(frozen=True)
class History:
    """What multi-step samplers remember, newest first: denoised images (B x ...) and steps in log sigma."""

    denoised: tuple[Tensor, ...] = ()
    h: tuple[Tensor, ...] = ()

    def pushed(self, denoised: Tensor, h: Tensor, depth: int) -> History:
        """With one more step, and the oldest forgotten beyond `depth`."""
        return History((denoised, *self.denoised)[:depth], (h, *self.h)[:depth])

    def rows(self, index: Tensor) -> History:
        """For the nodes that come from the rows `index`."""
        return History(tuple(d.index_select(0, index) for d in self.denoised), self.h)


@dataclass(frozen=True)
class Step:
    """One step, from sigma_hat (sigma, or above it after churn) to sigma_next; `last` if that is 0."""

    sigma: Level
    sigma_hat: Level
    sigma_next: Level
    last: bool
    denoise: Callable[[Tensor, Level], Tensor]
    half_noise: Callable[[Level, Level], Tensor]


class Half(NamedTuple):
    """A step's path [sigma, sigma_next] of which the stepper has already used the noise up to `middle`."""

    noise: Tensor
    sigma: Level
    middle: Level
    sigma_next: Level


class Landing(NamedTuple):
    """x at the end of a step but for its noise: x = mean + scaled(unit noise); `scaled` is None if there is none."""

    mean: Tensor
    scaled: Callable[[Tensor], Tensor] | None = None
    half: Half | None = None

    def rows(self, index: Tensor) -> Landing:
        """For the nodes that come from the rows `index`."""
        return self._replace(mean=self.mean.index_select(0, index))

    def noised(self, draw: Callable[[], Tensor]) -> Tensor:
        """x with the unit noise of `draw`, which is called only if there is noise to add."""
        return self.mean if self.scaled is None else self.mean + self.scaled(draw())


Land = Callable[[float, float], Landing]
Stepper = Callable[[Step, Tensor, Tensor, History, StepOptions], Land]


def to_d(x: Tensor, sigma: Level, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability flow.  Karras et al. 2022, equation 3."""
    return (x - denoised) / sigma


def sigma_of(t: Tensor) -> Tensor:
    """sigma(t) = exp(-t)."""
    return t.neg().exp()


def t_of(sigma: Level) -> Tensor:
    """t(sigma) = -log sigma."""
    return sigma.log().neg()


def ancestral_step(sigma: Level, sigma_next: Level, eta: float) -> tuple[Level, Level | None]:
    """(sigma_down, sigma_up): go down to sigma_down, add noise of sigma_up, and be at sigma_next.

    sigma_down^2 + sigma_up^2 = sigma_next^2; for eta = 1 the noise is that of the reverse SDE's marginal.
    """
    if not eta:
        return sigma_next, None
    sigma_up = torch.minimum(sigma_next, eta * (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5)
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up


def _ancestral(step: Step, to: Callable[[Level], Tensor]) -> Land:
    """Landing of a sampler that can go to any level: `to(sigma_down)`, then noise of sigma_up."""

    def land(eta: float, s_noise: float) -> Landing:
        sigma_down, sigma_up = ancestral_step(step.sigma_hat, step.sigma_next, eta)
        if step.last or sigma_up is None:
            return Landing(to(sigma_down))
        return Landing(to(sigma_down), lambda noise: noise * s_noise * sigma_up)

    return land


def euler(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """Euler, and with eta Euler ancestral.  Karras et al. 2022, algorithm 2 without its correction."""
    d = to_d(x, step.sigma_hat, denoised)
    return _ancestral(step, lambda sigma: x + d * (sigma - step.sigma_hat))


def heun(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """Heun.  Karras et al. 2022, algorithm 2.

    The slope is taken at sigma_next for every node; beyond it, it is continued as a straight line (w > 1).
    """
    d = to_d(x, step.sigma_hat, denoised)
    dt = step.sigma_next - step.sigma_hat
    if step.last:
        return lambda eta, s_noise: Landing(x + d * dt)
    x_2 = x + d * dt
    d_2 = to_d(x_2, step.sigma_next, step.denoise(x_2, step.sigma_next))

    def to(sigma: Level) -> Tensor:
        w = (sigma - step.sigma_hat) / dt
        return x + (d * (1 - w / 2) + d_2 * (w / 2)) * (sigma - step.sigma_hat)

    return _ancestral(step, to)


def dpmpp_2s(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """DPM-Solver++(2S), ancestral.  Lu et al. 2022, algorithm 1, with its midpoint at r = 1/2."""
    sigma_down, _ = ancestral_step(step.sigma, step.sigma_next, options.eta)
    if sigma_down == 0:
        d = to_d(x, step.sigma, denoised)
        return _ancestral(step, lambda sigma: x + d * (sigma - step.sigma))
    t, t_next = t_of(step.sigma), t_of(sigma_down)
    r = 1 / 2
    h = t_next - t
    s = t + r * h
    x_2 = (sigma_of(s) / sigma_of(t)) * x - (-h * r).expm1() * denoised
    denoised_2 = step.denoise(x_2, sigma_of(s))

    def to(sigma: Level) -> Tensor:
        h_to = t_of(sigma) - t
        middle = denoised_2 + (h_to / h - 1) * (denoised_2 - denoised)
        return (sigma_of(t_of(sigma)) / sigma_of(t)) * x - (-h_to).expm1() * middle

    return _ancestral(step, to)


def dpmpp_sde(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """DPM-Solver++ (stochastic): an ancestral step to the middle, and one over the whole along the same path."""
    if step.last:
        d = to_d(x, step.sigma, denoised)
        return lambda eta, s_noise: Landing(x + d * (step.sigma_next - step.sigma))
    t, t_next = t_of(step.sigma), t_of(step.sigma_next)
    h = t_next - t
    s = t + h * options.r
    fac = 1 / (2 * options.r)

    sd, su = ancestral_step(sigma_of(t), sigma_of(s), options.eta)
    s_ = t_of(sd)
    x_2 = (sigma_of(s_) / sigma_of(t)) * x - (t - s_).expm1() * denoised
    half = None
    if su is not None:
        half = Half(step.half_noise(sigma_of(t), sigma_of(s)), sigma_of(t), sigma_of(s), sigma_of(t_next))
        x_2 = x_2 + half.noise * options.s_noise * su
    denoised_d = (1 - fac) * denoised + fac * step.denoise(x_2, sigma_of(s))

    def land(eta: float, s_noise: float) -> Landing:
        sd, su = ancestral_step(sigma_of(t), sigma_of(t_next), eta)
        t_down = t_of(sd)
        mean = (sigma_of(t_down) / sigma_of(t)) * x - (t - t_down).expm1() * denoised_d
        return Landing(mean) if su is None else Landing(mean, lambda noise: noise * s_noise * su, half)

    return land


def dpmpp_2m(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """DPM-Solver++(2M).  Lu et al. 2022, algorithm 2.

    The slope's share is that of the step to sigma_next, wherever the node lands: a node that goes further
    down comes back by noise, which carries no slope.  With eta = 1 this is the midpoint SDE solver's step.
    """
    t = t_of(step.sigma)
    denoised_d = denoised
    if history.h and not step.last:
        r = history.h[0] / (t_of(step.sigma_next) - t)
        denoised_d = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * history.denoised[0]

    def to(sigma: Level) -> Tensor:
        t_next = t_of(sigma)
        return (sigma_of(t_next) / sigma_of(t)) * x - (t - t_next).expm1() * denoised_d

    return _ancestral(step, to)


def dpmpp_2m_sde(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """DPM-Solver++(2M) SDE, midpoint or heun."""
    if step.last:
        return lambda eta, s_noise: Landing(denoised)
    h = t_of(step.sigma_next) - t_of(step.sigma)

    def land(eta: float, s_noise: float) -> Landing:
        eta_h = eta * h
        gain = (-h - eta_h).expm1().neg()
        mean = step.sigma_next / step.sigma * (-eta_h).exp() * x + gain * denoised
        if history.h:
            r = history.h[0] / h
            share = gain / (-h - eta_h) + 1 if options.solver_type == "heun" else 0.5 * gain
            mean = mean + share * (1 / r) * (denoised - history.denoised[0])
        return Landing(mean, _sde_noise(step, eta_h, s_noise) if eta else None)

    return land


def dpmpp_3m_sde(step: Step, x: Tensor, denoised: Tensor, history: History, options: StepOptions) -> Land:
    """DPM-Solver++(3M) SDE."""
    if step.last:
        return lambda eta, s_noise: Landing(denoised)
    h = t_of(step.sigma_next) - t_of(step.sigma)

    def land(eta: float, s_noise: float) -> Landing:
        h_eta = h * (eta + 1)
        mean = torch.exp(-h_eta) * x + (-h_eta).expm1().neg() * denoised
        phi_2 = h_eta.neg().expm1() / h_eta + 1
        if len(history.h) > 1:
            r0, r1 = history.h[0] / h, history.h[1] / h
            d1_0 = (denoised - history.denoised[0]) / r0
            d1_1 = (history.denoised[0] - history.denoised[1]) / r1
            d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
            d2 = (d1_0 - d1_1) / (r0 + r1)
            mean = mean + phi_2 * d1 - (phi_2 / h_eta - 0.5) * d2
        elif history.h:
            mean = mean + phi_2 * ((denoised - history.denoised[0]) / (history.h[0] / h))
        return Landing(mean, _sde_noise(step, h * eta, s_noise) if eta else None)

    return land


def _sde_noise(step: Step, eta_h: Tensor, s_noise: float) -> Callable[[Tensor], Tensor]:
    """Noise of the SDE over eta h in log sigma: sigma_next sqrt(1 - exp(-2 eta h)) xi."""
    return lambda noise: noise * step.sigma_next * (-2 * eta_h).expm1().neg().sqrt() * s_noise
