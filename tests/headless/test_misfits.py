"""How badly prompts explain images, against the slow and direct way: one row a call, by the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prompt_pins.config import RunConfig
from prompt_pins.errors import HostInterrupted
from prompt_pins.headless.condition import Condition
from prompt_pins.headless.denoiser import denoise
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.predictor import Predictor
from prompt_pins.host import Recipe, View

STEPS = 4
JOB = RunConfig(prompt="a cat", steps=STEPS, batch_size=2, width=64, height=64)
RECIPES = (
    Recipe("a (red:1.3) cat", "blurry"),
    Recipe("a red cat :0.7 AND a (dog:0.4), a long tail " + "and a tail " * 40 + ":1.5", "blurry"),
    Recipe("a [cat:dog:0.5] on [grass|sand]", "(blurry:1.4)"),
    Recipe("a [cat:dog:0.5] on [grass|sand]", "[ugly:star:0.5]"),
    Recipe("a blurry cat", "a blurry cat"),
)
VIEWS = (View(0, 0, 11), View(1, 1, 12, -1), View(0, 2, 13), View(1, 3, 14))
rng = np.random.default_rng(5)
IMAGES = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2)]
MASK = np.zeros((64, 64), np.uint8)
MASK[:32, :48] = 255


def direct(host: HeadlessHost, recipe: Recipe, view: View, mask: np.ndarray | None, job: RunConfig) -> float:
    """1 - cos between (guided - unguided) and (image - unguided), each vector denoised alone."""
    pace = 2 if "2S" in job.sampler else 1
    guidance = host.guidance(recipe, pace * job.steps, job)
    model, call, sigma = host.checkpoint, pace * view.step, host.sigmas(job.steps, "karras")[view.step]
    pixels = torch.from_numpy(IMAGES[view.image]).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    with torch.inference_mode():
        clean = model.vae.encode(pixels).latent_dist.mean * model.scaling
        draw = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(view.seed))
        x = clean + sigma * view.sign * draw

        def answer(condition: Condition) -> torch.Tensor:
            return denoise(Predictor(model.unet, False), model.levels, model.prediction, x, sigma, condition)

        plain = answer(guidance.uncond(call))
        cond = guidance.cond(call)
        led = sum(weight * (answer(cond.row(row)) - plain) for row, weight in enumerate(guidance.weights))
        wanted = clean - plain
    counted = torch.ones(8, 8) if mask is None else torch.tensor(mask).float().reshape(8, 8, 8, 8).mean((1, 3)) / 255
    dot = (led * wanted * counted).sum()
    return float(1 - dot / ((led**2 * counted).sum() * (wanted**2 * counted).sum()) ** 0.5)


@pytest.mark.parametrize("sampler", ["DPM++ 2M - Hyperbatch", "DPM++ 2S a - Hyperbatch"])
def test_ands_schedules_negative_prompts_and_masks_are_as_by_the_definition(host: HeadlessHost, sampler: str) -> None:
    job = RunConfig(**{**JOB.to_dict(), "sampler": sampler, "scheduler": "karras"})
    masks = [None, MASK]
    found = host.misfits(RECIPES, IMAGES, masks, VIEWS, job)
    assert found.values.shape == (5, 4) and found.evaluations == 20
    for row, recipe in enumerate(RECIPES[:4]):
        for column, view in enumerate(VIEWS):
            expected = direct(host, recipe, view, masks[view.image], job)
            assert found.values[row, column] == pytest.approx(expected, abs=2e-4), (recipe, view)
    assert found.values[4] == pytest.approx(1.0, abs=1e-3)  # a prompt that is its own negative prompt leads nowhere


def test_the_cfg_scale_has_no_part(host: HeadlessHost) -> None:
    changed = RunConfig(**{**JOB.to_dict(), "cfg_scale": 11.0})
    plain, other = (host.misfits(RECIPES[:2], IMAGES, [None, None], VIEWS, job) for job in (JOB, changed))
    assert np.array_equal(plain.values, other.values)


def test_an_interrupt_ends_it(fresh_host: HeadlessHost) -> None:
    fresh_host.interrupt()
    with pytest.raises(HostInterrupted):
        fresh_host.misfits(RECIPES[:2], IMAGES, [None, None], VIEWS, JOB)
