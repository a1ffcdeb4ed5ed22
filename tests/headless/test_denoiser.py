"""The denoiser against a Gaussian whose best denoiser is known, and guidance against its sum."""

from __future__ import annotations

import pytest
import torch
from prompt_pins.headless.condition import Condition
from prompt_pins.headless.conditioning import Guidance, Part
from prompt_pins.headless.denoiser import Denoiser, denoise
from prompt_pins.headless.noise_levels import NoiseLevels
from torch import Tensor

LEVELS = NoiseLevels.from_betas("scaled_linear", 0.00085, 0.012, 1000)
MEAN, STD = 0.7, 0.4
TOKENS = Condition.plain(torch.zeros(3, 77, 1))


def best(x: Tensor, sigma: Tensor) -> Tensor:
    """E[image | x] for images ~ N(MEAN, STD^2) and x = image + sigma noise."""
    return MEAN + STD**2 / (STD**2 + sigma**2) * (x - MEAN)


def gaussian_network(prediction: str, sigma: Tensor):  # type: ignore[no-untyped-def]
    """The best network for that data, in its own variables: z = alpha image + beta noise, alpha^2 + beta^2 = 1."""

    def network(z: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        assert timestep == LEVELS.timestep(sigma) and len(condition) == len(z)
        alpha, beta = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
        image = best(z / alpha, sigma)
        noise = (z - alpha * image) / beta
        return alpha * noise - beta * image if prediction == "v" else noise

    return network


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("level", [0.05, 0.9, 14.0])
def test_both_predictions_give_the_best_denoiser(prediction: str, level: float) -> None:
    x, sigma = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * level, torch.tensor(level)
    found = denoise(gaussian_network(prediction, sigma), LEVELS, prediction, x, sigma, TOKENS)
    assert torch.allclose(found, best(x, sigma), atol=2e-5)


class Echo:
    """A network whose noise prediction is the mean of the vectors it is given; it counts its rows."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, z: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        self.rows.append(len(z))
        return condition.vectors.mean(dim=(1, 2)).reshape(-1, 1, 1, 1).expand_as(z)


def part(value: float, weight: float = 1.0, tokens: int = 77) -> Part:
    return Part(weight, (20,), Condition.plain(torch.full((1, tokens, 2), float(value))))


def guided(network: Echo, guidance: Guidance, scale: float) -> float:
    """What the noise prediction comes to at sigma = 1, x = 0."""
    model = Denoiser(network, LEVELS, "eps", guidance, scale, lambda: None)
    out = model(torch.zeros(5, 4, 2, 2), torch.ones(5))
    assert out.shape == (5, 4, 2, 2) and torch.equal(out, out[:1, :1, :1, :1].expand_as(out))
    return -float(out[0, 0, 0, 0])


def test_guidance_in_one_doubled_batch() -> None:
    network = Echo()
    assert guided(network, Guidance((part(3),), part(1)), 7.0) == pytest.approx(1 + 7 * (3 - 1))
    assert network.rows == [10]


def test_and_sums_the_differences_of_its_parts() -> None:
    network = Echo()
    guidance = Guidance((part(3), part(5, 0.5), part(-1, -1.0)), part(1))
    assert guided(network, guidance, 4.0) == pytest.approx(1 + 4 * ((3 - 1) + 0.5 * (5 - 1) - (-1 - 1)))
    assert network.rows == [20]


def test_without_weight_the_negative_prompt_is_not_computed() -> None:
    network = Echo()
    assert guided(network, Guidance((part(3),), part(1)), 1.0) == pytest.approx(3)
    assert guided(network, Guidance((part(3, 0.25), part(5, 0.75)), part(1)), 1.0) == pytest.approx(4.5)
    assert guided(network, Guidance((part(3), part(5)), part(1)), 1.0) == pytest.approx(1 + (3 - 1) + (5 - 1))
    assert network.rows == [5, 10, 15]


def test_texts_of_other_lengths_go_apart_and_nothing_is_padded() -> None:
    network = Echo()
    assert guided(network, Guidance((part(3, tokens=154),), part(1)), 2.0) == pytest.approx(1 + 2 * (3 - 1))
    assert network.rows == [5, 5]


def test_a_shorter_part_is_filled_up_with_its_last_vector() -> None:
    short = Part(1.0, (20,), Condition.plain(torch.arange(77.0).reshape(1, 77, 1)))
    cond = Guidance((short, Part(1.0, (20,), Condition.plain(torch.zeros(1, 154, 1)))), short).cond(0).vectors
    assert cond.shape == (2, 154, 1)
    assert cond[0, :, 0].tolist() == [*range(77), *[76] * 77]


def test_the_check_comes_before_every_call() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    network = Echo()
    with pytest.raises(Stop):
        Denoiser(network, LEVELS, "eps", Guidance((part(3),), part(1)), 7.0, stop)(
            torch.zeros(1, 4, 2, 2), torch.ones(1)
        )
    assert network.rows == []


def test_conditions_change_with_the_call() -> None:
    scheduled = Part(1.0, (2, 5), Condition.plain(torch.tensor([[[1.0]], [[9.0]]]).expand(2, 77, 2)))
    model = Denoiser(Echo(), LEVELS, "eps", Guidance((scheduled,), part(0)), 1.0, lambda: None)
    seen = [-float(model(torch.zeros(1, 4, 2, 2), torch.ones(1)).mean()) for _ in range(7)]
    # The WebUI counts calls from 0 and keeps a text up to and including its last step's number.
    assert seen == [1, 1, 1, 9, 9, 9, 1]
