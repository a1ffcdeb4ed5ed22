"""What a host hands in is cut, never changed, and whole again on every way out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from prompt_pins.errors import OptionError
from prompt_pins.sampling import (
    SAMPLERS,
    Binding,
    ForkOptions,
    LeafNoise,
    cut,
    fork_schedule,
    karras_sigmas,
    make_hyperbatch,
)
from prompt_pins.sampling.binding import Call
from torch import Tensor

from tests.sampling.models import Mixture, start

SIGMAS = karras_sigmas(7, 0.03, 14.6)
BATCH = 8


class Interrupted(BaseException):
    """As a host's own: no Exception."""


class Recorder(dict):
    """A mapping that remembers every attempt to write to it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.writes: list[str] = []

    def _write(self, *args: Any, **kwargs: Any) -> Any:
        self.writes.append(repr(args))
        raise AssertionError("write to the caller's mapping")

    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _write  # type: ignore[assignment]


class Rows(list):
    """A list that remembers every attempt to write to it."""

    writes: list[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.writes = []

    def _write(self, *args: Any, **kwargs: Any) -> Any:
        self.writes.append(repr(args))
        raise AssertionError("write to the caller's list")

    __setitem__ = __delitem__ = __iadd__ = append = extend = insert = pop = remove = clear = sort = reverse = _write  # type: ignore[assignment]


def conditionings() -> Recorder:
    generator = torch.Generator().manual_seed(3)
    return Recorder(
        {
            "cond": torch.randn(BATCH, 5, generator=generator),
            "uncond": Rows(range(BATCH)),
            "image_cond": Recorder({"c": torch.randn(BATCH, 2, generator=generator), "scale": 3.0}),
            "cond_scale": 7.0,
            "mask": torch.ones(2, 3, 4),
        }
    )


class Interruptible(Mixture):
    """Checks that each conditioning has a row for each image, and stops at one call."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.stop_at = stop_at

    def __call__(self, x: Tensor, sigma: Tensor, **extra_args: Any) -> Tensor:
        size = len(x)
        assert torch.equal(extra_args["cond"], conditionings()["cond"][:size])
        assert list(extra_args["uncond"]) == list(range(size))
        assert len(extra_args["image_cond"]["c"]) == size and extra_args["image_cond"]["scale"] == 3.0
        assert extra_args["mask"].shape == (2, 3, 4) and extra_args["cond_scale"] == 7.0
        answer = super().__call__(x, sigma)
        if len(self.calls) - 1 == self.stop_at:
            raise Interrupted
        return answer


def unchanged(given: Recorder) -> bool:
    fresh = conditionings()
    same = torch.equal(given["cond"], fresh["cond"]) and torch.equal(given["image_cond"]["c"], fresh["image_cond"]["c"])
    return same and list(given["uncond"]) == list(range(BATCH)) and list(given) == list(fresh)


@pytest.mark.parametrize("name", SAMPLERS)
def test_interrupted_at_every_call_nothing_is_written(name: str) -> None:
    calls = Interruptible()
    make_hyperbatch(name)(calls, start(BATCH), SIGMAS, extra_args=conditionings())
    for stop_at in range(len(calls.calls)):
        given, model = conditionings(), Interruptible(stop_at)
        with pytest.raises(Interrupted):
            make_hyperbatch(name)(model, start(BATCH), SIGMAS, extra_args=given)
        assert len(model.calls) == stop_at + 1
        assert not given.writes and not given["uncond"].writes and not given["image_cond"].writes
        assert unchanged(given)


def test_the_recorder_records() -> None:
    given = conditionings()
    with pytest.raises(AssertionError):
        given["cond"] = None
    with pytest.raises(AssertionError):
        given["uncond"].pop()
    assert given.writes and given["uncond"].writes


class SwappingHost:
    """A host that keeps per-image state on its model and rewrites its own dictionary in mid-run, as a refiner does."""

    def __init__(self, swap_at: int, stop_at: int | None = None) -> None:
        self.init_latent = start(BATCH)
        self.arguments: dict[str, Any] = {"cond": torch.zeros(BATCH, 3)}
        self.whole = dict(self.arguments)
        self.rows, self.calls = range(BATCH), 0
        self.swap_at, self.stop_at = swap_at, stop_at
        self.last_latent: Tensor | None = None

    def __call__(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        if self.calls == self.swap_at:
            self.whole = {"cond": torch.ones(BATCH, 3)}
            self.take(self.rows)
            cond = self.arguments["cond"]
        self.calls += 1
        assert len(cond) == len(x) == len(self.init_latent)
        assert float(cond[0, 0]) == float(self.calls > self.swap_at)
        self.last_latent = x
        if self.calls - 1 == self.stop_at:
            raise Interrupted
        return Mixture()(x, sigma)

    def take(self, rows: range) -> dict[str, Any]:
        self.rows = rows
        self.init_latent = start(BATCH)[: len(rows)]
        self.arguments.update(cut(self.whole, rows, BATCH))
        return self.arguments

    @contextmanager
    def bind(self, call: Call) -> Iterator[Binding]:
        schedule = fork_schedule(call.batch_size, call.steps)
        try:
            yield Binding(schedule, 1.0, LeafNoise(range(BATCH), call.x), self.take)
        except Interrupted:
            assert self.last_latent is not None
            self.last_latent = self.last_latent[torch.arange(BATCH) % len(self.last_latent)]
            raise
        finally:
            self.init_latent = start(BATCH)
            self.arguments.update(self.whole)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_model_swap_in_mid_run(name: str) -> None:
    for swap_at in range(5):
        host = SwappingHost(swap_at)
        make_hyperbatch(name, binder=host.bind)(host, start(BATCH), SIGMAS, extra_args=host.arguments)
        assert len(host.init_latent) == BATCH and torch.equal(host.arguments["cond"], torch.ones(BATCH, 3))
        host = SwappingHost(swap_at, stop_at=3)
        with pytest.raises(Interrupted):
            make_hyperbatch(name, binder=host.bind)(host, start(BATCH), SIGMAS, extra_args=host.arguments)
        assert len(host.init_latent) == len(host.arguments["cond"]) == BATCH
        assert host.last_latent is not None and len(host.last_latent) == BATCH


def test_cut() -> None:
    value = {"a": torch.arange(4), "b": (1, 2, 3, 4), "c": [1, 2], "d": torch.tensor(4.0), "e": {"f": [[0]] * 4}}
    before = copy.deepcopy(value)
    got = cut(value, range(2), 4)
    assert got["a"].tolist() == [0, 1] and got["b"] == (1, 2) and got["c"] == [1, 2]
    assert got["d"] == 4.0 and got["e"] == {"f": [[0], [0]]}
    assert torch.equal(value["a"], before["a"]) and value["e"] == before["e"]


NAN = torch.tensor([3.0, float("nan"), 0.0])


@pytest.mark.parametrize(
    "x, sigmas, field",
    [
        (torch.zeros(0, 3), SIGMAS, "batch_size"),
        (torch.zeros(4), SIGMAS, "x"),
        (torch.zeros(4, 3), NAN, "sigmas"),
        (torch.zeros(4, 3), torch.tensor([float("inf"), 1.0]), "sigmas"),
        (torch.zeros(4, 3), torch.tensor([3.0, 4.0, 0.0]), "sigmas"),
        (torch.zeros(4, 3), torch.tensor([3.0, 3.0, 0.0]), "sigmas"),
        (torch.zeros(4, 3), torch.tensor([3.0, 0.0, -1.0]), "sigmas"),
        (torch.zeros(4, 3), torch.tensor([3.0]), "sigmas"),
        (torch.zeros(4, 3), torch.ones(2, 2), "sigmas"),
    ],
)
def test_wrong_input_is_one_clear_error(x: Tensor, sigmas: Tensor, field: str) -> None:
    for name in SAMPLERS:
        with pytest.raises(OptionError) as caught:
            make_hyperbatch(name)(Mixture(), x, sigmas)
        assert caught.value.field == field


def test_other_errors_name_their_field() -> None:
    x = start(4)
    with pytest.raises(OptionError, match="seeds"):
        make_hyperbatch("Euler", seeds=[1, 2])(Mixture(), x, SIGMAS)
    with pytest.raises(OptionError, match="sampler"):
        make_hyperbatch("DDIM")
    with pytest.raises(OptionError, match="model"):
        make_hyperbatch("Euler")(lambda x, sigma: x[:, :1], x, SIGMAS)
    with pytest.raises(OptionError, match="solver_type"):
        make_hyperbatch("DPM++ 2M SDE")(Mixture(), x, SIGMAS, solver_type="euler")
    with pytest.raises(OptionError, match="noise_sampler"):
        make_hyperbatch("Euler a")(Mixture(), x, SIGMAS, noise_sampler=lambda a, b: x[:1])
    with pytest.raises(TypeError):
        make_hyperbatch("DPM++ 2M")(Mixture(), x, SIGMAS, eta=1.0)


def test_labels_lead_to_the_samplers() -> None:
    for name, info in SAMPLERS.items():
        assert info.name == name and info.label == f"{name} - Hyperbatch"
        assert make_hyperbatch(info.label, ForkOptions()).__name__ == f"{info.function}_hyperbatch"
