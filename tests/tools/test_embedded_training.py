"""The pieces of the embedded model's training that can be checked against a closed form or a second source."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from embedded.configs import SCHEDULER
from embedded.latent_stage import training_scene
from embedded.saving import load_state, save_state
from embedded.unet_stage import Batch, Batches, Denoiser, UnetSettings, alphas_cumprod, bent, held_rate, v_loss
from embedded.vae_stage import to_pictures, to_signal
from embedded.words import WordBook

CPU = torch.device("cpu")


def test_schedule_is_stable_diffusions() -> None:
    scheduler = DDIMScheduler.from_config(SCHEDULER)
    assert torch.allclose(alphas_cumprod(), scheduler.alphas_cumprod, rtol=1e-4)


def test_loss_is_zero_for_the_schedulers_own_velocity() -> None:
    rng = torch.Generator().manual_seed(1)
    latents, noise = (torch.randn(8, 4, 16, 16, generator=rng) for _ in range(2))
    times = torch.arange(8) * 120
    velocity = DDIMScheduler.from_config(SCHEDULER).get_velocity(latents, noise, times)
    batch = Batch(
        latents, noise, times, torch.zeros(8, 77, dtype=torch.long), torch.ones(8, 77), torch.ones(8, 1, 1, 1)
    )
    assert float(v_loss(lambda *_: velocity, batch, alphas_cumprod())) < 1e-8


def test_the_last_time_shows_nothing_of_the_picture() -> None:
    rng = torch.Generator().manual_seed(1)
    latents, noise = (torch.randn(2, 4, 16, 16, generator=rng) for _ in range(2))
    seen: list[torch.Tensor] = []

    def model(x: torch.Tensor, *_: object) -> torch.Tensor:
        seen.append(x)
        return torch.zeros_like(x)

    ones = torch.ones(2, 1, 1, 1)
    v_loss(model, Batch(latents, noise, torch.tensor([999, 998]), ones, ones, ones), alphas_cumprod())
    last, before = seen[0]
    assert torch.allclose(last / noise[0], (last / noise[0]).mean().expand_as(last), rtol=1e-4)
    assert not torch.allclose(before / noise[1], (before / noise[1]).mean().expand_as(before), rtol=1e-2)


def test_end_tokens_of_an_empty_caption_tell_nothing() -> None:
    model = Denoiser(torch.tensor([736]))
    empty = torch.full((1, 77), 49407)
    empty[0, 0] = 49406
    spoken = empty.clone()
    spoken[0, 1:3] = torch.tensor([736, 7117])
    assert float(model.chatter(empty)) < 1e-10 < float(model.chatter(spoken))


def test_some_of_every_batch_is_pure_noise() -> None:
    batch = Batches(np.zeros((6, 4, 16, 16), np.float16), 3, 16, WordBook()).at(7, CPU)
    assert int((batch.times == 999).sum()) >= 2


def test_batches_are_a_function_of_the_step() -> None:
    latents = np.zeros((6, 4, 16, 16), np.float16)
    first, second = (Batches(latents, 3, 4, WordBook()).at(7, CPU) for _ in range(2))
    assert torch.equal(first.noise, second.noise) and torch.equal(first.ids, second.ids)
    assert not torch.equal(first.noise, Batches(latents, 3, 4, WordBook()).at(8, CPU).noise)
    assert training_scene(3, 5) == training_scene(3, 5) != training_scene(3, 6)


def test_times_lie_in_the_schedule_and_favour_what_words_decide() -> None:
    times = bent(np.arange(64) + np.random.default_rng(1).random(64), 64)
    assert times.min() >= 0.0 and times.max() < 1.0
    assert np.mean(times > 0.4) > 0.75


def test_rate_rises_holds_and_falls() -> None:
    settings = UnetSettings(steps=1000)
    assert held_rate(0, settings) == pytest.approx(settings.rate / 200)
    assert held_rate(400, settings) == settings.rate
    assert held_rate(999, settings) == pytest.approx(0.02 * settings.rate)


def test_weights_scale_a_token_and_restore_the_mean() -> None:
    torch.manual_seed(1)
    model = Denoiser(torch.tensor([736]))
    ids = torch.full((1, 77), 49407)
    ids[0, :3] = torch.tensor([49406, 736, 7117])
    weights = torch.ones(1, 77)
    with torch.no_grad():
        plain = model.context(ids, weights)
        weights[0, 1] = 1.3
        weighted = model.context(ids, weights)
    assert float(weighted.mean()) == pytest.approx(float(plain.mean()), rel=1e-5)
    ratio = float(weighted[0, 1].norm() / plain[0, 1].norm()) / float(weighted[0, 2].norm() / plain[0, 2].norm())
    assert ratio == pytest.approx(1.3, rel=1e-5)
    assert abs(float(plain.mean())) > 0.3


def test_only_taught_words_get_gradients() -> None:
    model = Denoiser(torch.tensor([736]))
    model.context(torch.tensor([[49406, 736, 7117] + [49407] * 74]), torch.ones(1, 77)).square().sum().backward()
    table = model.text.get_input_embeddings().weight.grad
    assert table.abs().sum(1).nonzero().flatten().tolist() == [736]


def test_states_come_back(tmp_path: Path) -> None:
    one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert load_state(tmp_path / "none.pt", {"model": two}) == 0
    save_state(tmp_path / "state.pt", 5, {"model": one})
    assert load_state(tmp_path / "state.pt", {"model": two}) == 5
    assert torch.equal(one.weight, two.weight)


def test_pictures_survive_the_signal_range() -> None:
    pictures = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    assert np.array_equal(to_pictures(to_signal(pictures, CPU)), pictures)
