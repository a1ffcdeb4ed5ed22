"""The noise schedule against its closed form and the figures known of Stable Diffusion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.errors import CheckpointError
from prompt_pins.headless.noise_levels import NoiseLevels

LEVELS = NoiseLevels.from_betas("scaled_linear", 0.00085, 0.012, 1000)


def test_stable_diffusions_figures() -> None:
    assert LEVELS.sigma_min == pytest.approx(0.0292, abs=5e-5)
    assert LEVELS.sigma_max == pytest.approx(14.6146, abs=5e-5)


def test_sigmas_follow_from_the_betas() -> None:
    betas = np.linspace(0.001, 0.02, 50)
    abar = np.array([np.prod(1 - betas[: t + 1]) for t in range(50)])
    levels = NoiseLevels.from_betas("linear", 0.001, 0.02, 50)
    assert np.allclose(levels.sigmas.numpy(), np.sqrt((1 - abar) / abar), rtol=1e-5)


@given(st.floats(0, 999))
def test_timestep_and_sigma_are_inverse(timestep: float) -> None:
    found = LEVELS.timestep(LEVELS.sigma(torch.tensor(timestep)))
    assert found.item() == pytest.approx(timestep, abs=2e-2)


def test_timesteps_are_exact_on_the_models_own_levels_and_bounded_beyond() -> None:
    assert torch.allclose(LEVELS.timestep(LEVELS.sigmas), torch.arange(1000.0), atol=1e-2)
    assert LEVELS.timestep(torch.tensor([1e-4, 1e4])).tolist() == [0.0, 999.0]
    between = (LEVELS.sigmas[400] * LEVELS.sigmas[401]).sqrt()
    assert LEVELS.timestep(between).item() == pytest.approx(400.5, abs=1e-2)


def test_normal_steps_are_even_in_time() -> None:
    sigmas = LEVELS.steps(10)
    assert sigmas[-1] == 0 and sigmas[0].item() == pytest.approx(LEVELS.sigma_max)
    assert torch.allclose(LEVELS.timestep(sigmas[:-1]).diff(), torch.tensor(-111.0), atol=2e-2)


def test_unknown_schedules_are_refused() -> None:
    with pytest.raises(CheckpointError, match="squaredcos"):
        NoiseLevels.from_betas("squaredcos_cap_v2", 0.001, 0.02, 50)
