"""How a hyperbatch is bound to a WebUI's denoiser: what is cut to the running size, and put back afterwards.

Imports torch and `prompt_pins.sampling`, and nothing of the host: its objects are known here by their attributes,
which are the same in every host.  None of them is ever changed in place, except the dictionary of extra arguments,
which the host itself rewrites when a refiner takes over: the prompt's conditionings are cached by the host and shared
by later jobs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..sampling import Binding, ForkOptions, LeafNoise, SamplerNoise, cut, fork_schedule
from ..sampling.binding import Call

PER_IMAGE = ("init_latent", "mask", "nmask")
"""Attributes of the denoiser that hold one row for each image where they have four dimensions."""


@dataclass(frozen=True)
class WebuiBinder:
    """The binder of AUTOMATIC1111's denoiser and its descendants'.

    decide: how this call forks; it is asked once, before the first step.
    interruption: the exception with which the host ends a sampler.
    """

    decide: Callable[[Call], ForkOptions]
    interruption: type[BaseException]

    @contextlib.contextmanager
    def __call__(self, call: Call) -> Iterator[Binding]:
        """The binding of one call; on leaving, the host has its own objects back, on every way out."""
        forks = self.decide(call)
        schedule = fork_schedule(call.batch_size, call.steps, forks.policy)
        state = _Cut(call)
        try:
            yield Binding(schedule, forks.strength, noise_of(call), state.take)
        except self.interruption:
            state.grow_last_latent()
            raise
        finally:
            state.restore()


def leaf_seeds(p: Any, batch_size: int) -> list[int]:
    """One seed for each image of the running batch: with variation seeds, of both together."""
    seeds = [int(seed) for seed in p.rng.seeds]
    subseeds = p.rng.subseeds
    if p.rng.subseed_strength and subseeds:
        seeds = [seed + (int(subseed) << 32) for seed, subseed in zip(seeds, subseeds, strict=False)]
    if len(seeds) != batch_size:
        return list(range(batch_size))
    return seeds


def noise_of(call: Call) -> SamplerNoise:
    """The host's own noise, so that image 0 is the plain sampler's; siblings part by noise of their own seeds.

    The host's generators always draw all B rows, so every image's noise is that of a plain batch.
    """
    p = call.model.p
    leaves = LeafNoise(leaf_seeds(p, call.batch_size), call.x)
    return SamplerNoise(call.noise_sampler or (lambda *_: p.rng.next()), leaves, p.rng.next)


class _Cut:
    """The extra arguments and the denoiser's own tensors, cut to the images that exist."""

    def __init__(self, call: Call) -> None:
        self.model, self.size = call.model, call.batch_size
        self.arguments: Any = call.extra_args
        self.whole: dict[str, Any] = dict(call.extra_args)
        self.rows = range(self.size)
        self.tensors = {
            name: value
            for name in PER_IMAGE
            if isinstance(value := getattr(self.model, name, None), Tensor)
            and value.ndim == 4
            and value.shape[0] == self.size
        }
        self.update = getattr(self.model, "update_inner_model", None)
        if self.update is not None:
            self.model.update_inner_model = self._refined

    def take(self, rows: range) -> Mapping[str, Any]:
        """The host's own dictionary, with new values for these rows."""
        self.rows = rows
        for name, value in self.whole.items():
            self.arguments[name] = cut_conditioning(value, rows, self.size)
        for name, tensor in self.tensors.items():
            setattr(self.model, name, tensor[rows.start : rows.stop])
        return self.arguments  # type: ignore[no-any-return]

    def _refined(self) -> None:
        """The refiner takes over in mid-run: the host writes whole new conditionings, which are cut here."""
        assert self.update is not None
        before = dict(self.arguments)
        self.update()
        self.whole |= {name: value for name, value in self.arguments.items() if value is not before.get(name)}
        self.take(self.rows)

    def grow_last_latent(self) -> None:
        """What the host goes on with after an interruption must have a row for each image."""
        sampler = getattr(self.model, "sampler", None)
        latent = getattr(sampler, "last_latent", None)
        if isinstance(latent, Tensor) and 0 < latent.shape[0] < self.size:
            ancestors = torch.arange(self.size, device=latent.device) % latent.shape[0]
            sampler.last_latent = latent.index_select(0, ancestors)  # type: ignore[union-attr]

    def restore(self) -> None:
        """The host's objects, whole again."""
        for name, value in self.whole.items():
            self.arguments[name] = value
        for name, tensor in self.tensors.items():
            setattr(self.model, name, tensor)
        if self.update is not None:
            del self.model.update_inner_model


def cut_conditioning(value: Any, rows: range, batch_size: int) -> Any:
    """As `cut`, and also for a prompt with AND parts: an object with one list of them for each image in `batch`.

    The conditionings inside are passed on untouched: other extensions mark them.
    """
    batch = getattr(value, "batch", None)
    if isinstance(batch, list) and len(batch) == batch_size:
        return type(value)(shape=(len(rows), *value.shape[1:]), batch=[batch[row] for row in rows])
    return cut(value, rows, batch_size)
