"""Without forks every sampler is k-diffusion's function of the same name."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from prompt_pins.sampling import (
    SAMPLERS,
    ForkOptions,
    LeafNoise,
    SamplerNoise,
    exponential_sigmas,
    fork_schedule,
    karras_sigmas,
    make_hyperbatch,
)
from prompt_pins.sampling.binding import Binding, Call
from prompt_pins.sampling.schedule import POLICIES
from torch import Tensor

from tests.sampling import oracle
from tests.sampling.models import Mixture, RecordedNoise, start

PLAIN = ForkOptions("none")
NOISY = [name for name, info in SAMPLERS.items() if info.stochastic]


def noise_arguments(name: str, x: Tensor) -> dict[str, Any]:
    return {"noise_sampler": RecordedNoise(x)} if SAMPLERS[name].stochastic else {}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("batch, steps, dtype", [(1, 1, torch.float64), (3, 7, torch.float64), (2, 12, torch.float32)])
def test_equals_k_diffusion(name: str, batch: int, steps: int, dtype: torch.dtype) -> None:
    if steps == 1 and SAMPLERS[name].depth and SAMPLERS[name].stochastic:
        steps = 2  # k-diffusion's own multi-step SDE samplers fail at one step
    x, sigmas = start(batch).to(dtype), karras_sigmas(steps, 0.03, 14.6)
    seen: list[dict[str, Any]] = []
    expected_seen: list[dict[str, Any]] = []
    model, expected_model = Mixture(), Mixture()
    got = make_hyperbatch(name, PLAIN)(model, x, sigmas, callback=seen.append, **noise_arguments(name, x))
    expected = oracle.plain(name, expected_model, x, sigmas, callback=expected_seen.append, **noise_arguments(name, x))
    assert torch.equal(got, expected)
    assert model.calls == expected_model.calls
    assert [set(d) for d in seen] == [set(d) for d in expected_seen] and len(seen) == steps
    for ours, theirs in zip(seen, expected_seen, strict=True):
        assert all(torch.equal(torch.as_tensor(ours[k]), torch.as_tensor(theirs[k])) for k in theirs)


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("eta, s_noise", [(0.0, 1.0), (0.6, 1.0), (1.0, 0.9)])
def test_noise_options_mean_the_same(name: str, eta: float, s_noise: float) -> None:
    x, sigmas = start(2), exponential_sigmas(6, 0.1, 9.0)
    options = {"eta": eta, "s_noise": s_noise, "noise_sampler": RecordedNoise(x)}
    got = make_hyperbatch(name, PLAIN)(Mixture(), x, sigmas, **options)
    assert torch.equal(got, oracle.plain(name, Mixture(), x, sigmas, **options))


@pytest.mark.parametrize("name", ["DPM++ 2M SDE", "DPM++ 2M SDE Heun"])
@pytest.mark.parametrize("solver", ["midpoint", "heun"])
def test_solver_type(name: str, solver: str) -> None:
    x, sigmas = start(2), karras_sigmas(6, 0.1, 9.0)
    options = {"solver_type": solver, "noise_sampler": RecordedNoise(x)}
    got = make_hyperbatch(name, PLAIN)(Mixture(), x, sigmas, **options)
    assert torch.equal(got, oracle.plain(name, Mixture(), x, sigmas, **options))


def test_middle_of_dpmpp_sde() -> None:
    x, sigmas = start(2), karras_sigmas(6, 0.1, 9.0)
    options = {"r": 0.3, "noise_sampler": RecordedNoise(x)}
    got = make_hyperbatch("DPM++ SDE", PLAIN)(Mixture(), x, sigmas, **options)
    assert torch.equal(got, oracle.plain("DPM++ SDE", Mixture(), x, sigmas, **options))


@pytest.mark.parametrize("name", ["Euler", "Heun"])
def test_churn(name: str) -> None:
    x, sigmas = start(3), karras_sigmas(9, 0.05, 14.6)
    churn = {"s_churn": 3.0, "s_tmin": 0.2, "s_tmax": 8.0, "s_noise": 1.01}
    draws = [torch.randn(x.shape, generator=torch.Generator().manual_seed(i), dtype=x.dtype) for i in range(9)]

    class ChurnNoise(LeafNoise):
        def churn(self, i: int, size: int) -> Tensor:
            return draws[i][:size]

    @contextlib.contextmanager
    def bind(call: Call) -> Iterator[Binding]:
        schedule = fork_schedule(3, call.steps, "none")
        yield Binding(schedule, 1.0, ChurnNoise(range(3), call.x), lambda rows: {})

    got = make_hyperbatch(name, binder=bind)(Mixture(), x, sigmas, **churn)
    queue = iter(draws)
    expected = oracle.plain(name, Mixture(), x, sigmas, churn_noise=lambda x: next(queue), **churn)
    assert torch.equal(got, expected)
    source = iter(draws)
    host = SamplerNoise(RecordedNoise(x), LeafNoise(range(3), x), churn=lambda: next(source))

    @contextlib.contextmanager
    def host_bind(call: Call) -> Iterator[Binding]:
        yield Binding(fork_schedule(3, call.steps, "even"), 1.0, host, lambda rows: {})

    forked = make_hyperbatch(name, binder=host_bind)(Mixture(), x, sigmas, **churn)
    queue = iter(draw[:1] for draw in draws)
    alone = oracle.plain(name, Mixture(), x[:1], sigmas, churn_noise=lambda x: next(queue), **churn)
    assert torch.equal(forked[:1], alone)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_leaf_0_is_the_plain_image(name: str, policy: str, dtype: torch.dtype) -> None:
    x, sigmas = start(8).to(dtype), karras_sigmas(11, 0.03, 14.6)
    full = RecordedNoise(x)
    noises: list[dict[str, Any]] = [{}, {}]
    if SAMPLERS[name].stochastic:
        noises = [{"noise_sampler": full}, {"noise_sampler": lambda a, b: full(a, b)[:1]}]
    tree = make_hyperbatch(name, ForkOptions(policy, 3.0))(Mixture(by_row=True), x, sigmas, **noises[0])
    alone = oracle.plain(name, Mixture(), x[:1], sigmas, **noises[1])
    assert torch.equal(tree[:1], alone)
    tree = make_hyperbatch(name, ForkOptions(policy))(Mixture(), x, sigmas, **noises[0])
    torch.testing.assert_close(tree[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
def test_signature_is_k_diffusions(name: str) -> None:
    ours = inspect.signature(make_hyperbatch(name)).parameters
    theirs = inspect.signature(getattr(oracle.load(), SAMPLERS[name].function)).parameters
    assert list(ours) == list(theirs)
    for mine, other in zip(ours.values(), theirs.values(), strict=True):
        if mine.name != "solver_type":
            assert mine.default == other.default and mine.kind == other.kind


@pytest.mark.parametrize("name", [name for name, info in SAMPLERS.items() if info.brownian])
def test_brownian_tree_of_k_diffusion(name: str) -> None:
    x, sigmas = start(4, (2, 2)), karras_sigmas(6, 0.1, 9.0)
    tree = oracle.load().BrownianTreeNoiseSampler(x, 0.05, 9.5, seed=[3, 4, 5, 6])
    forked = make_hyperbatch(name)(Mixture(), x, sigmas, noise_sampler=tree)
    one = oracle.load().BrownianTreeNoiseSampler(x[:1], 0.05, 9.5, seed=[3])
    alone = oracle.plain(name, Mixture(), x[:1], sigmas, noise_sampler=one)
    torch.testing.assert_close(forked[:1], alone, rtol=1e-9, atol=1e-9)
    assert (forked[0] - forked[1]).abs().max() > 1e-3


def test_sigma_schedules_are_k_diffusions() -> None:
    module = oracle.load()
    assert torch.equal(karras_sigmas(20, 0.03, 14.6), module.get_sigmas_karras(20, 0.03, 14.6))
    assert torch.equal(exponential_sigmas(20, 0.03, 14.6), module.get_sigmas_exponential(20, 0.03, 14.6))
