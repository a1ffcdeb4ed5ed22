"""The headless host on a GPU: the CPU's pictures in full precision, near ones in half; baking and inversions there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.headless.bake import Bakery
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.inversion import Inversion
from prompt_pins.host import Recipe
from prompt_pins.loss import flip_pairs
from prompt_pins.sampling import SAMPLERS

from tests.devices import CUDA, full_convolutions, needs_cuda
from tests.headless.tiny import Tiny

pytestmark = needs_cuda
JOB = RenderOptions(steps=6, batch_size=4, cfg_scale=4.0)
PROMPT = Recipe("a (large:1.2) yellow circle, [red:blue:0.5] background AND a ring:0.5", "green")
SEEDS = (1, 2, 3, 4)


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    with full_convolutions():
        yield


@pytest.fixture(scope="module")
def real() -> HeadlessHost:
    """The embedded model on the CPU."""
    return HeadlessHost(load(), device="cpu")


@pytest.fixture(scope="module")
def half() -> HeadlessHost:
    """The embedded model as a GPU has it by itself."""
    return HeadlessHost(load(), device=CUDA)


@pytest.mark.parametrize("name", [f"{name} - Hyperbatch" for name in SAMPLERS])
def test_full_precision_gives_the_cpus_pictures(
    tinies: dict[str, Tiny], host: HeadlessHost, layout: str, name: str
) -> None:
    other = HeadlessHost(load(tinies[layout].file), device=CUDA, precise=True)
    job = dataclasses.replace(JOB, sampler=name, width=64, height=64)
    here, there = (one.render(PROMPT, SEEDS, job, True).images.astype(int) for one in (host, other))
    assert abs(here - there).mean() < 0.5 and np.quantile(abs(here - there), 0.99) <= 2


def test_half_precision_is_the_default_and_is_near(real: HeadlessHost, half: HeadlessHost) -> None:
    assert half.describe()["device"] == CUDA
    assert {p.dtype for p in half.checkpoint.unet.parameters()} == {torch.float16}
    here, there = (one.render(PROMPT, SEEDS, JOB, True).images for one in (real, half))
    assert flip_pairs(here, there).mean() < 0.1 < flip_pairs(here, here[::-1]).mean()


@pytest.mark.parametrize("name", [f"{name} - Hyperbatch" for name in SAMPLERS])
def test_the_same_inputs_give_the_same_bits(half: HeadlessHost, name: str) -> None:
    job = dataclasses.replace(JOB, sampler=name)
    first, again = (half.render(PROMPT, SEEDS, job, True).images for _ in range(2))
    assert np.array_equal(first, again) and len({image.tobytes() for image in first}) == len(SEEDS)


@pytest.mark.parametrize("precise", [True, False])
def test_a_word_of_its_own(tiny: Tiny, precise: bool) -> None:
    model = load(tiny.file)
    vectors = model.towers[0].layer.token_embedding.weight[320:322].detach().clone()
    host = HeadlessHost(model, CUDA, [Inversion("zqpin", (vectors,))], precise=precise)
    again = HeadlessHost(model, CUDA, [Inversion("zqother", (vectors.flip(0),))], precise=precise)
    images = [
        one.render(Recipe(f"a {word}"), SEEDS, JOB, True).images for one, word in ((host, "zqpin"), (again, "zqother"))
    ]
    assert not np.array_equal(*images)


def test_a_prompt_is_baked_there(real: HeadlessHost) -> None:
    job = RunConfig(prompt="x", steps=4, batch_size=4, cfg_scale=5.0, sampler="DPM++ 2M", width=64, height=64)
    prompt = Recipe("a (red:1.3) (blue:0.6) circle, white background")
    gaps = [Bakery(HeadlessHost(load(), device, precise=True), prompt, job).bake(20).gap for device in ("cpu", CUDA)]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.2)
