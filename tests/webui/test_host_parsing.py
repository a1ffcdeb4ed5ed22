"""A run's batches are what the host makes of the same prompts by itself, with its own parser of schedules."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.webui.client import Webui

SHORT = {"generations": 1, "lambda_": 4, "held_out": 0, "finalists": 0, "gifs": False, "initial_std": 0.4}
JOB: dict[str, Any] = {"sampler_name": "DPM++ 2M - Hyperbatch", "steps": 6, "batch_size": 2}
WORDS = "a (red:1.2) circle, [a blue] square"
SCHEDULES = "a [red:blue:3] circle, (a:1.1) [green|black] square"
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
# Forge's API fails without the modules; others do not know them
HIRES["hr_additional_modules"] = ["Use same choices"]


@pytest.mark.parametrize(
    "job",
    [
        {"prompt": WORDS},
        {"prompt": f"{WORDS} {WORDS} {SCHEDULES}"},
        {"prompt": f"{SCHEDULES} AND {WORDS} :0.8", "negative_prompt": "a (dark:1.3) [night:day:2] photo, (blurry)"},
        {"prompt": SCHEDULES, "negative_prompt": WORDS, **HIRES},
        {"prompt": WORDS, "refiner_switch_at": 0.5},
    ],
    ids=["words", "schedules", "and", "hires", "refiner"],
)
def test_a_candidate_is_the_hosts_own_image(webui: Webui, job: dict[str, Any]) -> None:
    job = {**JOB, **job}
    if "refiner_switch_at" in job:
        if not webui.real:
            pytest.skip("the stand-in has one checkpoint")
        loaded = webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"] or "prompt-pins-embedded"
        others = [model for model in webui.call("/sdapi/v1/sd-models")[1] if model["model_name"] not in loaded]
        if not others:
            pytest.skip("a second checkpoint is needed")
        job["refiner_checkpoint"] = others[0]["title"]
    status, answer = webui.pin([SHORT], **job)
    assert status == 200, answer
    run = webui.runs()[0]
    candidates = [line for line in webui.journal(run) if line["kind"] == "candidate"]
    assert len({candidate["prompt"] for candidate in candidates}) > 2
    for candidate in candidates[:3]:
        names = candidate["images"]
        seeds = [int(re.findall(r"-([0-9]+)\.", name)[0]) for name in names]
        texts = {"prompt": candidate["prompt"], "negative_prompt": candidate["negative_prompt"]}
        own = webui.render(**{**job, **texts, "seed": seeds[0]})
        assert own.info["all_seeds"][: len(seeds)] == seeds
        kept = [webui.picture(run, f"{candidate['folder']}/{name}") for name in names]
        assert all(np.array_equal(a, b) for a, b in zip(own.images, kept, strict=True))
