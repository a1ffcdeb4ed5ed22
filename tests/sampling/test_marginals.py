"""Every leaf of a tree is a sample like any other.

The model is the exact denoiser of a Gaussian mixture, applied to each element, so that one batch of long rows
is thousands of independent trees at once.  A leaf's mean, variance and mixture proportions are compared with
those of the plain sampler: both have the solver's own bias, and the plain one no fork.
"""

from __future__ import annotations

import pytest
import torch
from prompt_pins.sampling import SAMPLERS, ForkOptions, LeafNoise, karras_sigmas, make_hyperbatch
from prompt_pins.sampling.noise import bridge
from torch import Tensor

from tests.sampling.models import Mixture

TREES = 8_000
LEAVES = 4
SIGMA_MAX = 14.6


def sampled(name: str, forks: ForkOptions, first_seed: int, steps: int) -> Tensor:
    seeds = range(first_seed, first_seed + LEAVES)
    x = LeafNoise(seeds, torch.zeros(LEAVES, TREES, dtype=torch.float64)).initial() * SIGMA_MAX
    return make_hyperbatch(name, forks, seeds=seeds)(Mixture(), x, karras_sigmas(steps, 0.03, SIGMA_MAX))


def correlation(images: Tensor, a: int, b: int) -> float:
    return float(torch.corrcoef(images[[a, b]])[0, 1])


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_leaves_are_distributed_like_plain_samples(name: str, strength: float) -> None:
    if SAMPLERS[name].stochastic and strength != 1.0:
        pytest.skip("the fork strength is for samplers without noise of their own")
    steps = 20
    plain = sampled(name, ForkOptions("none"), 100, steps).flatten()
    tree = sampled(name, ForkOptions("even", strength), 0, steps)
    model = Mixture()
    five_sigma = 5 * (model.variance / TREES * (1 + 1 / LEAVES)) ** 0.5
    assert tree.mean(1).sub(plain.mean()).abs().max() < five_sigma + 0.01
    assert tree.var(1).sub(plain.var()).abs().max() < 0.06 * model.variance
    share = model.proportions(plain[None])
    assert (model.proportions(tree) - share).abs().max() < 5 * (0.25 / TREES * (1 + 1 / LEAVES)) ** 0.5 + 0.01
    assert abs(float(plain.mean()) - model.mean) < 0.1 and abs(float(plain.var()) / model.variance - 1) < 0.15


@pytest.mark.parametrize("name", SAMPLERS)
def test_nearer_relatives_are_more_alike(name: str) -> None:
    tree = sampled(name, ForkOptions("even"), 0, 12)
    early, late = correlation(tree, 0, 1), correlation(tree, 0, 2)
    assert -0.1 < early < late < 1.0
    plain = sampled(name, ForkOptions("none"), 0, 12)
    assert abs(correlation(plain, 0, 1)) < 5 / TREES**0.5


def test_the_bias_of_a_fork_goes_away_with_the_steps() -> None:
    """Euler's fork takes one longer step; with more steps its leaves come to the mixture itself."""
    model = Mixture()
    errors = [
        abs(float(sampled("Euler", ForkOptions((steps // 3, steps // 3)), 0, steps)[1:].var()) / model.variance - 1)
        for steps in (5, 15, 60)
    ]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.04


def test_the_two_draws_of_a_step_are_one_brownian_path() -> None:
    """Cov of unit noise over [s, m] and over [s, e] is sqrt((s - m) / (s - e)), as for a Brownian motion."""
    noise = LeafNoise([1], torch.zeros(1, 200_000, dtype=torch.float64))
    s, m, e = torch.tensor(5.0), torch.tensor(4.0), torch.tensor(1.0)
    first, whole = noise.half(3, s, m, 1), noise.step(3, s, e, m, 1)
    assert abs(float(torch.corrcoef(torch.cat([first, whole]))[0, 1]) - 0.5) < 0.01
    assert abs(float(whole.var()) - 1) < 0.02
    assert torch.equal(whole, bridge(first, noise.step(3, s, e, None, 1), s, m, e))
