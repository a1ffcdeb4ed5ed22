"""Small checkpoints of the layouts that people use, in a real WebUI: SD 1.x, 2.x with v-prediction, and SDXL.

What a test is imported for from its neighbours, it tests here again, once for each model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RenderOptions
from prompt_pins.headless import HeadlessHost
from prompt_pins.host import Recipe
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.headless.conditionings import HEIGHT, STEPS, WIDTH, Case, cases, kept, told
from tests.webui.client import Webui, encoded
from tests.webui.conftest import modelled
from tests.webui.test_host_likely import CASES, compare
from tests.webui.test_host_samplers import (  # noqa: F401
    test_an_interrupted_tree_leaves_nothing_behind,
    test_hires_fix_forks_only_the_first_pass,
    test_image_to_image_and_inpainting,
    test_leaf_0_is_the_plain_samplers_image_and_siblings_differ,
    test_schedules_and_compositions,
    test_two_batches_and_variation_seeds,
)
from tests.webui.test_host_script import (  # noqa: F401
    test_a_run_leaves_the_host_as_it_was,
    test_a_whole_run_and_its_files,
    test_an_interrupted_run_is_kept_and_goes_on,
    test_settings_vary_beside_the_words,
)

SMALL: dict[str, Any] = {"generations": 2, "lambda_": 4, "held_out": 2, "finalists": 1, "contest_seeds": 2}
SAME = 1e-5
MODELS: dict[str, list[str]] = {"sd1": [], "sd2": [], "sdxl": [], "sdxl-lowvram": ["--lowvram"]}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    """Its layout, and how the WebUI runs it."""
    return str(request.param)


@pytest.fixture(scope="module")
def webui(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webui]:
    """In the place of the tests' usual host."""
    with modelled(tmp_path_factory.mktemp(model), model.partition("-")[0], MODELS[model]) as host:
        yield host


@pytest.fixture(scope="module")
def twin(webui: Webui) -> HeadlessHost:
    """The headless host on the same file."""
    return HeadlessHost(webui.checkpoint, device="cpu")


def settings(case: Case) -> dict[str, Any]:
    """A case in the WebUI's words; all of them, as a host without a settings' file keeps what a job sets."""
    found: dict[str, Any] = {"emphasis": {"original": "Original", "no-norm": "No norm"}[case.emphasis]}
    found |= {"CLIP_stop_at_last_layers": case.clip_skip or 1, "sdxl_clip_l_skip": case.clip_skip > 0}
    return found | dict(zip(("sdxl_crop_top", "sdxl_crop_left"), case.crop, strict=True))


def conditionings(webui: Webui, case: Case) -> dict[str, Tensor]:
    """What the WebUI tells its UNet."""
    assert webui.root is not None
    webui.render(
        prompt=case.prompt, negative_prompt=case.negative, steps=STEPS, width=WIDTH, height=HEIGHT, batch_size=1,
        override_settings=settings(case),
    )  # fmt: skip
    return load_file(sorted((webui.root / "conditionings").glob("*.safetensors"))[-1])


def test_the_headless_host_tells_the_unet_what_the_webui_tells_it(webui: Webui, model: str, twin: HeadlessHost) -> None:
    """Where `PROMPT_PINS_CONDITIONINGS` names a folder, they are kept there for the headless host's own tests."""
    layout, found = model.partition("-")[0], {}
    for name, case in cases(layout).items():
        theirs, ours = conditionings(webui, case), told(twin, case)
        assert theirs.keys() == ours.keys(), name
        for key in theirs:
            assert theirs[key].shape == ours[key].shape
            assert (theirs[key] - ours[key]).abs().max() <= SAME * max(1.0, theirs[key].abs().max()), (name, key)
        found |= {f"{name}/{key}": value for key, value in kept(theirs).items()}
    if os.environ.get("PROMPT_PINS_CONDITIONINGS"):
        save_file(found, Path(os.environ["PROMPT_PINS_CONDITIONINGS"]) / f"{layout}.safetensors")


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M"])
def test_the_headless_hosts_images_are_the_webuis(webui: Webui, twin: HeadlessHost, sampler: str) -> None:
    prompt, negative = "a (red:1.3) circle, [white:black:0.5] background BREAK bright", "(blue:1.2)"
    theirs = webui.render(
        prompt=prompt, negative_prompt=negative, sampler_name=sampler, scheduler="Karras", batch_size=1,
        width=128, height=128, override_settings=settings(Case(prompt)),
    ).images[0]  # fmt: skip
    job = RenderOptions(sampler=sampler, scheduler="karras", steps=8, cfg_scale=4, width=128, height=128)
    ours = twin.render(Recipe(prompt, negative), [5], job, False).images[0].astype(int)
    assert np.abs(ours - theirs).mean() < 0.1 and ours.std() > 10


LOOKS = {name: CASES[name] for name in ("words", "schedule", "and", "long", "mask", "image to image")}
LOOKS["long, no norm"] = {**CASES["long"], "override_settings": {"emphasis": "No norm"}}


@pytest.mark.parametrize("look", LOOKS)
def test_the_webuis_denoiser_says_what_the_headless_hosts_does(
    webui: Webui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    compare(webui, tmp_path, monkeypatch, dict(LOOKS[look]), inpainting=False)


def test_a_run_starts_where_its_targets_are_likely_and_its_infotext_comes_back(webui: Webui) -> None:
    options = {**SMALL, "start": "likely", "target": [encoded((200, 40, 40), (64, 64))], "early_generations": 0}
    prompt = "a (red:1.2) circle, white background"
    status, answer = webui.pin([options], prompt=prompt, negative_prompt="blurry", steps=8, batch_size=4)
    assert status == 200, answer
    run = webui.runs()[0]
    lines = webui.journal(run)
    assert run["state"] == "finished" and "likely" in [line["kind"] for line in lines]
    losses = [line["loss"] for line in lines if line["kind"] == "candidate"]
    assert len(set(losses)) == len(losses) >= 8
    told = webui.call("/sdapi/v1/png-info", {"image": "data:image/png;base64," + answer["images"][0]})[1]
    assert told["info"] == json.loads(answer["info"])["infotexts"][0]
    assert told["info"].startswith(run["pinned"]["prompt"] + "\nNegative prompt: ")
    assert told["parameters"]["Sampler"] == "DPM++ 2M - Hyperbatch" and "Fork policy" in told["parameters"]
    again = webui.render(
        prompt=run["pinned"]["prompt"], negative_prompt=run["pinned"]["negative_prompt"], steps=8, batch_size=4,
        sampler_name="DPM++ 2M - Hyperbatch", seed=json.loads(answer["info"])["seed"],
    )  # fmt: skip
    images = [webui.picture(run, path) for path in run["thumbnails"]]
    assert all(np.array_equal(a, b) for a, b in zip(images, again.images[-4:], strict=True))
