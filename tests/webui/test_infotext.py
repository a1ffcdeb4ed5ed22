"""The infotext that brings a run's parameters back, on the stand-in's modules."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from prompt_pins.store import replay

from tests.webui.standing import importable

BEGUN = {"seed": 5, "batch_size": 4, "fork_policy": "1,2", "fork_strength": 2.0}


@pytest.fixture(scope="module")
def infotext() -> Iterator[Any]:
    with importable():
        yield importlib.import_module("prompt_pins.webui.infotext")


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Steps: 4, Seed: 3221225477, Size: 64x64", "Steps: 4, Seed: 5, Size: 64x64, Batch size: 4"),
        ("Seed: 9, Batch size: 2", "Seed: 5, Batch size: 2"),
        (
            "Seed: 9, Variation seed: 3221225477, Variation seed strength: 0.5",
            "Seed: 9, Variation seed: 5, Variation seed strength: 0.5, Batch size: 4",
        ),
        (
            "Seed: 9, Fork policy: none, Fork strength: 1.5, Model: some",
            'Seed: 5, Fork policy: "1,2", Fork strength: 2, Model: some, Batch size: 4',
        ),
        ("", ""),
    ],
)
def test_it_is_as_the_run_began(infotext: Any, written: str, wanted: str) -> None:
    prompts = "Seed: 7, a circle\nNegative prompt: Seed: 8, blue\n"
    assert infotext.as_begun(prompts + written, BEGUN) == prompts + wanted


@pytest.mark.parametrize(
    ("config", "host", "wanted"),
    [
        ({}, {"size": [64, 96]}, "Size: 64x96, Batch size: 4"),
        (
            {},
            {"size": [96, 96], "width": 64, "height": 64, "hires_fix": True, "denoising_strength": 0.7, "steps": 30,
             "scheduler": "Karras", "job": {"hr_scale": 1.5, "hr_upscaler": "Latent", "hr_prompt": "a, b"}},
            "Schedule type: Karras, CFG scale: 4, Seed: 5, Size: 64x64, Denoising strength: 0.7, Hires upscale: 1.5, "
            'Hires upscaler: Latent, Hires prompt: "a, b", Batch size: 4',
        ),
        (
            {"seed": 8},
            {"size": [64, 64], "denoising_strength": 0.7, "settings": {"CLIP_stop_at_last_layers": 2, "other": 1},
             "job": {"seed": 5, "subseed_strength": 0.2}},
            "Seed: 5, Size: 64x64, Variation seed: 8, Variation seed strength: 0.2, Clip skip: 2, Batch size: 4",
        ),
    ],
)  # fmt: skip
def test_a_job_of_which_nothing_was_rendered(
    infotext: Any, tmp_path: Any, config: dict[str, Any], host: dict[str, Any], wanted: str
) -> None:
    config = {**BEGUN, "prompt": "a circle", "negative_prompt": "b", "steps": 20, "sampler": "Euler", "cfg_scale": 4.0,
              **config}  # fmt: skip
    line = {"kind": "run", "config": config, "host": host, "plan": {}, "time": ""}
    text = infotext.original(tmp_path, replay([line]))
    assert text.startswith(f"a circle\nNegative prompt: b\nSteps: {host.get('steps', 20)}, Sampler: Euler, ")
    assert text.endswith(wanted)
