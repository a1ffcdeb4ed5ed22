"""One step at a time: where a young node lands without a denoiser call of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from prompt_pins.sampling import Binding, LeafNoise, fork_schedule, make_hyperbatch
from prompt_pins.sampling import steppers as st
from prompt_pins.sampling.binding import Call
from torch import Tensor

STD = 0.7


def gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    """The exact denoiser of N(0, STD^2)."""
    return x * STD**2 / (STD**2 + sigma**2)


def flow(x: Tensor, sigma: Tensor, to: Tensor) -> Tensor:
    """The exact probability flow of that distribution."""
    return x * ((STD**2 + to**2) / (STD**2 + sigma**2)) ** 0.5


def local_error(stepper: st.Stepper, eta: float, width: float) -> float:
    """Of one step that lands with `eta`: sigma from 1 down to 1 - width, and on to sigma_down."""
    sigma, sigma_next = torch.tensor(1.0, dtype=torch.float64), torch.tensor(1.0 - width, dtype=torch.float64)
    x = torch.tensor([[1.0]], dtype=torch.float64)
    step = st.Step(sigma, sigma, sigma_next, False, gaussian, lambda a, b: x)
    landing = stepper(step, x, gaussian(x, sigma), st.History(), st.StepOptions())(eta, 1.0)
    down, _ = st.ancestral_step(sigma, sigma_next, eta)
    return float((landing.mean - flow(x, sigma, down)).abs())


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("stepper, order", [(st.euler, 1), (st.heun, 2), (st.dpmpp_2s, 2)])
def test_young_nodes_land_with_the_samplers_own_order(stepper: st.Stepper, order: int, eta: float) -> None:
    """The error of one step falls at least with the power order + 1 of its width, wherever it lands."""
    assert local_error(stepper, eta, 0.02) / local_error(stepper, eta, 0.01) > 0.85 * 2 ** (order + 1)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ancestral_steps_keep_the_noise_level(eta: float) -> None:
    sigma, sigma_next = torch.tensor(3.0), torch.tensor(2.0)
    down, up = st.ancestral_step(sigma, sigma_next, eta)
    assert up is not None and float(down**2 + up**2) == pytest.approx(4.0)
    assert float(up) == pytest.approx(eta * (4.0 * 5.0 / 9.0) ** 0.5)
    assert st.ancestral_step(sigma, sigma_next, 0.0) == (sigma_next, None)


class Marked(LeafNoise):
    """3 for the first half of a step, 0 for whole steps and forks."""

    def half(self, i: int, sigma: Tensor, middle: Tensor, size: int) -> Tensor:
        return 3.0 + super().half(i, sigma, middle, size) * 0

    def step(self, i: int, sigma: Tensor, sigma_next: Tensor, middle: Tensor | None, size: int) -> Tensor:
        return super().step(i, sigma, sigma_next, middle, size) * 0

    def fork(self, i: int, rows: range) -> Tensor:
        return super().fork(i, rows) * 0


def test_a_new_node_keeps_its_parents_path_up_to_the_middle_of_the_step() -> None:
    """DPM++ SDE with a model that answers 0: what sets the new node apart is the parent's half of the noise."""

    @contextmanager
    def bind(call: Call) -> Iterator[Binding]:
        yield Binding(fork_schedule(2, 2, "even"), 1.0, Marked([0, 1], call.x), lambda rows: {})

    sigmas = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
    seen: list[Tensor] = []
    x = torch.ones(2, 3, dtype=torch.float64)
    make_hyperbatch("DPM++ SDE", binder=bind)(
        lambda x, sigma: 0 * x, x, sigmas, callback=lambda step: seen.append(step["x"])
    )
    old, new = seen[1]
    middle = (4.0 * 2.0) ** 0.5
    _, up = st.ancestral_step(sigmas[0], sigmas[1], 1.0)
    assert up is not None
    share = ((4.0 - middle) / (4.0 - 2.0)) ** 0.5
    torch.testing.assert_close(new - old, torch.full_like(new, 3.0 * share * float(up)))
