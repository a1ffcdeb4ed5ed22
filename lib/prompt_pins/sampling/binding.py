"""How a hyperbatch is bound to its host for one run: its tree, its noise, and how `extra_args` are cut.

A host that needs more than slicing writes its own `Binder`: a context manager that is entered before the
first step and left after the last, on error and interruption too (`InterruptedException` of the WebUI is a
BaseException), so that whatever it swapped is put back in its `finally`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .noise import LeafNoise, NoiseSampler, NoiseSource, SamplerNoise
from .schedule import ForkOptions, ForkSchedule, fork_schedule

Take = Callable[[range], Mapping[str, Any]]


@dataclass(frozen=True)
class Binding:
    """One run as its host sees it.

    schedule: the batch size at every step; its steps and batch size are the run's.
    strength: rho, as in `ForkOptions`.
    noise: see `NoiseSource`.
    take: the `extra_args` for the leaves of a range, which always starts at 0; called before the first step
        and at each fork.  It may return one and the same mapping each time: it is read anew at every call of
        the model.
    """

    schedule: ForkSchedule
    strength: float
    noise: NoiseSource
    take: Take


@dataclass(frozen=True)
class Call:
    """What a host handed to the sampler."""

    model: Any
    x: Tensor
    sigmas: Tensor
    extra_args: Mapping[str, Any]
    noise_sampler: NoiseSampler | None

    @property
    def batch_size(self) -> int:
        """B."""
        return int(self.x.shape[0])

    @property
    def steps(self) -> int:
        """S."""
        return len(self.sigmas) - 1


Binder = Callable[[Call], AbstractContextManager[Binding]]


def cut(value: Any, rows: range, batch_size: int) -> Any:
    """`value` for these rows, as a new object; what is not one item per image is returned as it is.

    One item per image: a tensor whose first dimension is the batch size, and a list or tuple of that length.
    A mapping is cut item by item.
    """
    if isinstance(value, Tensor):
        return value[rows.start : rows.stop] if value.ndim and value.shape[0] == batch_size else value
    if isinstance(value, Mapping):
        return {key: cut(item, rows, batch_size) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and len(value) == batch_size:
        return type(value)(value[row] for row in rows)
    return value


def slices(forks: ForkOptions, seeds: Sequence[int] | None = None) -> Binder:
    """The binder of a host whose `extra_args` are plain tensors, lists and mappings.

    seeds: one for each image, 0 .. B - 1 if there are none.
    """

    @contextmanager
    def bind(call: Call) -> Iterator[Binding]:
        size = call.batch_size
        leaves = LeafNoise(range(size) if seeds is None else seeds, call.x)
        yield Binding(
            schedule=fork_schedule(size, call.steps, forks.policy),
            strength=forks.strength,
            noise=leaves if call.noise_sampler is None else SamplerNoise(call.noise_sampler, leaves),
            take=lambda rows: cut(call.extra_args, rows, size),
        )

    return bind
