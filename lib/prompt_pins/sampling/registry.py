"""The family by name, and the functions that a host calls: k-diffusion's signatures, forks included."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ..errors import OptionError
from . import steppers
from .binding import Binder, Call, slices
from .driver import walk
from .forking import Walk
from .schedule import ForkOptions
from .sigmas import checked_start
from .steppers import StepOptions, Stepper

Sampler = Callable[..., Tensor]

_CHURN = {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": float("inf"), "s_noise": 1.0}
_ANCESTRAL = {"eta": 1.0, "s_noise": 1.0, "noise_sampler": None}


@dataclass(frozen=True)
class SamplerInfo:
    """One sampler.

    function: k-diffusion's name of it; label: its name in a host's list.
    options: k-diffusion's noise options and their defaults, in k-diffusion's order.
    depth: how many earlier steps it remembers.
    stochastic: it adds noise by itself.  second_order: two model calls a step.
    brownian: a host should hand in Brownian noise.  scheduler: the sigmas it is at its best with.
    host_options: what AUTOMATIC1111's list says of it beyond that.
    """

    name: str
    function: str
    stepper: Stepper
    options: Mapping[str, Any]
    depth: int = 0
    second_order: bool = False
    brownian: bool = False
    scheduler: str | None = None
    host_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.name} - Hyperbatch"

    @property
    def stochastic(self) -> bool:
        return "eta" in self.options


def _sde(**more: Any) -> dict[str, Any]:
    return {**_ANCESTRAL, **more}


_FAMILY = (
    SamplerInfo("Euler", "sample_euler", steppers.euler, _CHURN),
    SamplerInfo(
        "Euler a", "sample_euler_ancestral", steppers.euler, _ANCESTRAL, host_options={"uses_ensd": True}
    ),
    SamplerInfo("Heun", "sample_heun", steppers.heun, _CHURN, second_order=True),
    SamplerInfo(
        "DPM++ 2S a", "sample_dpmpp_2s_ancestral", steppers.dpmpp_2s, _ANCESTRAL,
        second_order=True, scheduler="karras", host_options={"uses_ensd": True},
    ),
    SamplerInfo("DPM++ 2M", "sample_dpmpp_2m", steppers.dpmpp_2m, {}, depth=1, scheduler="karras"),
    SamplerInfo(
        "DPM++ SDE", "sample_dpmpp_sde", steppers.dpmpp_sde, _sde(r=1 / 2),
        second_order=True, brownian=True, scheduler="karras",
    ),
    SamplerInfo(
        "DPM++ 2M SDE", "sample_dpmpp_2m_sde", steppers.dpmpp_2m_sde, _sde(solver_type="midpoint"),
        depth=1, brownian=True, scheduler="exponential",
    ),
    SamplerInfo(
        "DPM++ 2M SDE Heun", "sample_dpmpp_2m_sde", steppers.dpmpp_2m_sde, _sde(solver_type="heun"),
        depth=1, brownian=True, scheduler="exponential", host_options={"solver_type": "heun"},
    ),
    SamplerInfo(
        "DPM++ 3M SDE", "sample_dpmpp_3m_sde", steppers.dpmpp_3m_sde, _ANCESTRAL,
        depth=2, brownian=True, scheduler="exponential", host_options={"discard_next_to_last_sigma": True},
    ),
)  # fmt: skip

SAMPLERS: Mapping[str, SamplerInfo] = MappingProxyType({info.name: info for info in _FAMILY})


def sampler_info(name: str) -> SamplerInfo:
    """The sampler of this name or label.  Raises `OptionError`."""
    for info in _FAMILY:
        if name in (info.name, info.label):
            return info
    raise OptionError("sampler", name, ", ".join(SAMPLERS))


def _common(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any] | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    disable: bool | None = None,
) -> None:
    """The parameters that all of k-diffusion's samplers share."""


def _signature(info: SamplerInfo) -> inspect.Signature:
    """k-diffusion's own, since hosts look at it to decide what they pass."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    shared = [p.replace(annotation=p.empty) for p in inspect.signature(_common).parameters.values()]
    own = [inspect.Parameter(name, kind, default=value) for name, value in info.options.items()]
    return inspect.Signature([*shared, *own])


def make_hyperbatch(
    name: str,
    forks: ForkOptions | None = None,
    *,
    seeds: Sequence[int] | None = None,
    binder: Binder | None = None,
) -> Sampler:
    """The sampler of this name as a function with k-diffusion's signature, for any host that takes one.

    forks, seeds: how the batch forks and one seed for each image, for a host whose `extra_args` are plain
        tensors, lists and mappings.
    binder: instead of both, a host's own way to decide them and to cut `extra_args`; see `binding`.

    The function takes x (B x ..., each leaf's own initial noise times sigmas[0]) and sigmas (S + 1, falling)
    and returns the B leaves.  Without a `noise_sampler` all noise comes from the seeds.  `disable` is accepted
    and means nothing: progress is shown by `callback`, which is called once a step with k-diffusion's dict.

    Raises `OptionError`.
    """
    info = sampler_info(name)
    bind = binder if binder is not None else slices(forks or ForkOptions(), seeds)
    signature = _signature(info)

    def sample(*args: Any, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return _run(info, bind, given.arguments)

    sample.__name__ = sample.__qualname__ = f"{info.function}_hyperbatch"
    sample.__doc__ = f"{info.name}, forking."
    sample.__signature__ = signature  # type: ignore[attr-defined]
    return sample


@torch.no_grad()
def _run(info: SamplerInfo, bind: Binder, given: Mapping[str, Any]) -> Tensor:
    x, sigmas, model = given["x"], given["sigmas"], given["model"]
    levels = checked_start(x, sigmas)
    options = StepOptions(**{key: given[key] for key in info.options if key != "noise_sampler"})
    if options.solver_type not in ("midpoint", "heun"):
        raise OptionError("solver_type", options.solver_type, "midpoint, heun")
    call = Call(model, x, sigmas, given["extra_args"] or {}, given.get("noise_sampler"))
    with bind(call) as binding:
        run = Walk(info.stepper, info.depth, options, binding, model, sigmas, levels, given["callback"])
        return walk(run, x)
