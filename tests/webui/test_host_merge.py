"""Merge pinning in a real WebUI: on the loaded model, out of it again, and the merged file gives the same images."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.headless.checkpoint import EMBEDDED
from prompt_pins.merge.blocks import weights_of

from tests.webui.client import Webui

WORDS = "a large red circle on the left, blue background"
LORA = "<lora:prompt-pins-faded:0.5>"
SMALL: dict[str, Any] = {"vary_prompt": False, "vary_negative": False, "lambda_": 3, "generations": 1, "finalists": 1}
SMALL |= {"contest_seeds": 2, "held_out": 2, "gifs": False, "plots": False, "merge_precision": "fp32"}


def images(webui: Webui, prompt: str = WORDS, **values: Any) -> np.ndarray:
    return np.stack(webui.render(prompt=prompt, steps=4, batch_size=2, **values).images)


def test_a_merge_leaves_the_model_as_it_was_and_its_file_gives_its_images(webui: Webui, other: Path) -> None:
    own = [images(webui, WORDS + tags) for tags in (LORA, "")]
    options = {**SMALL, "merge_with": webui.title(other), "merge_axes": "groups"}
    status, answer = webui.pin([options], prompt=WORDS + LORA, steps=4, batch_size=2, sampler_name="DPM++ 2M")
    if webui.forge():  # it does not keep its model's weights in place
        assert status == 422 and "merge_with: " in answer["detail"], answer
        return
    assert status == 200, answer
    for before, tags in zip(own, (LORA, "")):
        np.testing.assert_array_equal(images(webui, WORDS + tags), before)
    run = webui.runs()[0]
    (head, *lines) = webui.journal(run)
    assert head["host"]["merge_with_name"] == other.name and len(head["space"]["axes"]) == 4
    done = [line for line in lines if line["kind"] == "candidate"]
    assert len({line["loss"] for line in done}) > 1 and all(len(weights_of(line["settings"])) == 14 for line in done)
    chosen = next(line for line in lines if line["kind"] == "choice")["chosen"]
    best = next(line for line in done if line["id"] == chosen)
    assert webui.root is not None
    (merged,) = Path(webui.root, "outputs").rglob(f"prompt_pins/{run['run']}/merged.safetensors")
    for path in (merged, EMBEDDED.with_suffix(".yaml")):
        shutil.copy(path, other.with_name("pins-merged").with_suffix(path.suffix))
    webui.call("/sdapi/v1/refresh-checkpoints", {})
    title = {"sd_model_checkpoint": webui.title(other.with_name("pins-merged.safetensors"))}
    found = images(webui, WORDS + LORA, override_settings=title, seed=best["images"][0].split("-")[1].split(".")[0])
    wanted = np.stack([webui.picture(run, f"{best['folder']}/{name}") for name in best["images"][:2]])
    np.testing.assert_allclose(found.astype(int), wanted, atol=1)
    np.testing.assert_array_equal(images(webui), own[1])


def test_an_interrupted_merge_leaves_the_model_as_it_was(webui: Webui, other: Path) -> None:
    if webui.forge():
        pytest.skip("Forge refuses merges")
    own = images(webui)
    options = {**SMALL, "generations": 50, "merge_with": webui.title(other), "merge_axes": "one"}
    answers: list[Any] = []
    values = {"prompt": WORDS, "steps": 4, "batch_size": 2, "sampler_name": "DPM++ 2M"}
    thread = threading.Thread(target=lambda: answers.append(webui.pin([options], **values)))
    before = len(webui.runs())
    thread.start()
    while thread.is_alive() and len(webui.runs()) == before:
        time.sleep(0.1)
    webui.call("/sdapi/v1/interrupt", {})
    thread.join()
    assert answers[0][0] == 200 and webui.runs()[0]["state"] == "stopped", answers
    np.testing.assert_array_equal(images(webui), own)


@pytest.mark.parametrize("override", [False, True])
def test_a_merge_is_of_the_jobs_own_checkpoint_whatever_is_loaded(webui: Webui, other: Path, override: bool) -> None:
    if webui.forge():
        pytest.skip("Forge refuses merges")
    (own,) = {one for one in map(webui.title, other.parent.parent.glob("*.safetensors")) if "faded" not in one}
    first, second = (webui.title(other), own) if override else (own, webui.title(other))
    asked = {"override_settings": {"sd_model_checkpoint": first}} if override else {}
    webui.render(steps=1, override_settings={"sd_model_checkpoint": second})  # it stays loaded
    options = {**SMALL, "merge_with": second, "merge_axes": "one"}
    status, answer = webui.pin([options], prompt=WORDS, steps=4, batch_size=2, sampler_name="DPM++ 2M", **asked)
    assert status == 200, answer
    (head, *lines) = webui.journal(webui.runs()[0])
    assert Path(second.split(" [")[0]).name == head["host"]["merge_with_name"]
    assert all(line["loss"] is not None for line in lines if line["kind"] == "candidate")
    refiner = {"refiner_checkpoint": second, "refiner_switch_at": 0.5}
    status, answer = webui.pin([options], prompt=WORDS, steps=4, batch_size=2, **asked, **refiner)
    assert status == 422 and "refiner_checkpoint: " in answer["detail"], answer


def test_what_is_no_checkpoint_of_the_hosts_is_refused(webui: Webui) -> None:
    status, answer = webui.pin([{**SMALL, "merge_with": "/etc/passwd"}], prompt=WORDS)
    assert status == 422 and "merge_with" in str(answer), answer
