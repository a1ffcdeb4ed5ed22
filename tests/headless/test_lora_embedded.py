"""The LoRA that is shipped with the embedded model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from prompt_pins.config import RenderOptions
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.lora import metadata_of
from prompt_pins.headless.lora_tags import EMBEDDED_LORAS
from prompt_pins.host import Recipe

from benchmarks import multiplier
from tests.headless.test_lora import digest

NAME = "prompt-pins-faded"
WORDS = "a large red circle on the left, blue background"
PAPER = np.array([245.0, 226.0, 188.0])
JOB = RenderOptions(steps=8, batch_size=2, cfg_scale=5.0, sampler="DPM++ 2M")


@pytest.fixture(scope="module")
def host() -> HeadlessHost:
    return multiplier.open_with_lora()


def test_the_file_is_small_and_says_its_name(host: HeadlessHost) -> None:
    path = EMBEDDED_LORAS / f"{NAME}.safetensors"
    assert path.stat().st_size <= 400_000 and metadata_of(path)["ss_output_name"] == NAME
    (lora,) = host.loras
    assert lora.speaks and {len(layer.shape) for layer in lora.layers.values()} == {2, 4}
    assert {layer.shape[2:] for layer in lora.layers.values()} == {(), (1, 1), (3, 3)}
    assert {layer.scale for layer in lora.layers.values()} == {0.5}
    assert set(lora.layers) <= set(host.checkpoint.merge._layers)
    # AUTOMATIC1111 knows a UNet with one residual block a level by the original layout's names alone
    assert not [name for name in lora.layers if "down_blocks" in name or "up_blocks" in name or "resnets" in name]


def test_it_fades_pictures_the_more_the_higher_its_multiplier(host: HeadlessHost) -> None:
    before = digest(host.checkpoint)

    def distance(multiplier: float) -> float:
        images = host.render(Recipe(f"{WORDS}<lora:{NAME}:{multiplier}>"), (1, 2), JOB, False).images
        return float(np.abs(images - PAPER).mean())

    found = [distance(multiplier) for multiplier in (-0.5, 0, 0.3, 0.7, 1)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.7 * found[1]
    host.render(Recipe(WORDS), (1,), dataclasses.replace(JOB, steps=1), False)
    assert digest(host.checkpoint) == before


def test_pinning_finds_the_multiplier_of_an_image(host: HeadlessHost) -> None:
    found = multiplier.measure(host, 1)
    assert abs(found["found"] - multiplier.MADE_WITH) <= 0.1
    assert found["improvement"] > 0
