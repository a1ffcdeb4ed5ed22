"""The LoRA of the embedded model in a real WebUI: the headless host's images are the WebUI's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RenderOptions
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.lora_tags import EMBEDDED_LORAS
from prompt_pins.headless.opening import open_host
from prompt_pins.host import Recipe
from prompt_pins.loss import flip_pairs

from tests.webui.client import Webui
from tests.webui.conftest import placed

NAME = "prompt-pins-faded"
WORDS = "a large red circle on the left, blue background"
NEAR = 0.01
"""ꟻLIP; the LoRA itself changes fifteen times as much at 0.3."""
JOB = RenderOptions(steps=20, batch_size=2, cfg_scale=5.0, sampler="DPM++ 2M")
SEEDS = (5, 6)


@pytest.fixture(scope="module")
def files(webui: Webui) -> Iterator[Path]:
    """The host's folder of LoRAs, with the file under its own name and as another that says its name inside."""

    def place(folder: Path) -> None:
        shutil.copy(EMBEDDED_LORAS / f"{NAME}.safetensors", folder / "some-file.safetensors")

    with placed(webui, "Lora", "refresh-loras", "applies no LoRA", place) as folder:
        yield folder


@pytest.fixture(scope="module")
def headless(files: Path) -> HeadlessHost:
    return open_host(device="cpu", loras=files.parent, prompt=f"<lora:{NAME}:1><lora:some-file:1>")


def both(webui: Webui, headless: HeadlessHost, prompt: str, negative: str = "") -> tuple[Any, Any]:
    """The headless host's answer and the WebUI's."""
    values = {"steps": JOB.steps, "cfg_scale": JOB.cfg_scale, "sampler_name": JOB.sampler, "batch_size": len(SEEDS)}
    theirs = webui.render(prompt=prompt, negative_prompt=negative, seed=SEEDS[0], **values)
    return headless.render(Recipe(prompt, negative), SEEDS, JOB, False), theirs


@pytest.mark.parametrize(
    "tags",
    [
        "",
        f"<lora:{NAME}:0.3>",
        f"<lora:{NAME}:1>",
        f"<lora:{NAME}:-0.5>",
        f"<lora:{NAME}:1:0>",  # the text encoder alone
        f"<lora:{NAME}:te=0:unet=0.8>",
        f"<lora:{NAME}:0.4><lora:some-file:0.3>",
        f"<lora:{NAME}:0.9><lora:{NAME}:0.3>",  # twice the last one's
        f"<lora:{NAME}:1:1:1>",  # one rank of three
        "",
    ],
)
def test_images_are_the_hosts(webui: Webui, headless: HeadlessHost, tags: str) -> None:
    forge = webui.forge()
    if forge and (tags.count(NAME) > 1 or tags.endswith(":1:1:1>")):
        pytest.skip("Forge adds a file that is named twice up, and knows no ranks")
    own, theirs = both(webui, headless, WORDS + tags)
    errors = flip_pairs(own.images, np.stack(theirs.images).astype(np.uint8))
    plain = headless.render(Recipe(WORDS), SEEDS, JOB, False).images
    changed = flip_pairs(own.images, plain)
    assert errors.max() <= NEAR
    assert (changed.min() > NEAR) == bool(tags)
    texts = (own.infotexts[0], theirs.info["infotexts"][0])
    hashes = {text.partition('Lora hashes: "')[2].partition('"')[0] for text in texts}
    assert len(hashes) == 1 + (forge and bool(tags))  # Forge hashes files in another way
    assert all(bool(one) == bool(tags) for one in hashes)


def test_a_negative_prompts_tags_are_words(webui: Webui, headless: HeadlessHost) -> None:
    own, theirs = both(webui, headless, WORDS, f"yellow <lora:{NAME}:1>")
    assert flip_pairs(own.images, np.stack(theirs.images).astype(np.uint8)).max() <= NEAR
    assert "Lora hashes" not in own.infotexts[0] + theirs.info["infotexts"][0]
