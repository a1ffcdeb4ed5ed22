"""Payloads in a WebUI, through its API: a run, its images and infotext, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from operator import ne
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.patience import HUNG
from tests.webui.client import Webui, encoded
from tests.webui.test_host_words import opened

SHORT = {"generations": 1, "lambda_": 3, "held_out": 2, "finalists": 0, "gifs": False, "plots": False}
PIECE = {"piece": "red blue", "target": [encoded((220, 35, 40)), encoded((40, 75, 220))]}


def test_a_piece_is_pinned_on_prompts_of_two_sizes_with_targets_of_their_own(webui: Webui) -> None:
    wide = webui.pixels + 64
    lines = f"--target 1 --seed 9\n\n--prompt 'a {{piece}} square' --negative_prompt dim --target 2 --width {wide}"
    options = {**SHORT, **PIECE, "payload": lines}
    status, answer = webui.pin([options], prompt="a {piece} circle", steps=3, batch_size=2)
    assert status == 200, answer
    run = webui.runs()[0]
    journal = webui.journal(run)
    target = next(line for line in journal if line["kind"] == "target")
    assert target["payloads"] == [1, 1] and run["state"] == "finished"
    first = next(line for line in journal if line["kind"] == "candidate")
    assert first["prompts"] == [["a red blue circle", ""], ["a red blue square", "dim"]] and len(first["images"]) == 4
    assert first["shares"] == [1.0, 1.0] and first["images"][0] == "p01-00000-9.png"
    held = next(line for line in journal if line["kind"] == "held")
    assert len(held["payload_gains"]) == 2 and len(run["thumbnails"]) == 4
    images = [_size(image) for image in answer["images"]]
    assert images[:4] == [(webui.pixels, webui.pixels)] * 2 + [(wide, webui.pixels)] * 2
    info = answer["info"]
    assert "square" in info and "circle" in info


@pytest.mark.parametrize(
    "lines, said",
    [
        ("{piece}\n--prompt '{piece}' --target /etc/hostname", "payload 2: target: '/etc/hostname' is not allowed"),
        ("--prompt '{piece}' --target 3", "payload 1: target: '3' is not allowed"),
        ("--prompt '{piece}' --mask m.png", "payload 1: mask: 'm.png' is not allowed"),
        ("{piece}\n--prompt '{piece}' --sd_model nowhere", "payload 2: checkpoint: 'nowhere' is not allowed"),
        ("--prompt '{piece}' --steps 3", "payload 1: line: '--steps' is not allowed"),
        ("a cat", "payload 1: prompt: 'a cat' is not allowed"),
    ],
)  # fmt: skip
def test_what_is_refused(webui: Webui, lines: str, said: str) -> None:
    before = len(webui.runs())
    status, answer = webui.pin([{**SHORT, **PIECE, "payload": lines}], prompt="a {piece}", steps=3, batch_size=2)
    assert status == 422 and said in str(answer)
    assert len(webui.runs()) == before


QUESTION = {"prompt": "a {piece} circle", "steps": 4, "batch_size": 4, "sampler": "DPM++ 2M - Hyperbatch"}


def test_the_plan_counts_payloads_and_leaves_their_targets_to_the_run(webui: Webui) -> None:
    lines = "--target 2 --weight 2\n\n--prompt 'a {piece} square' --target 1 --target 2\n{piece}"
    options = {"piece": "red blue", "payload": lines, "target_weights": "1, 2", "generations": 4, "lambda_": "5"}
    status, answer = webui.call("/prompt-pins/v1/plan", {**QUESTION, "options": options})
    assert status == 200, answer
    assert "2 weights vary · 5 candidates × 4 generations × 3 payloads × 4 images" in answer["words"]


@pytest.mark.parametrize(
    "lines, said",
    [
        ("a cat", "payload 1: prompt: 'a cat'"),
        ("--target 1\n--prompt '{piece}' --width 70", "payload 2: width"),
        ("--target 1 --seed -1.5", "payload 1: seed"),
        ("--target 1\n--prompt '{piece}", "payload 2: line"),
    ],
)
def test_the_plan_names_the_payload_that_is_wrong(webui: Webui, lines: str, said: str) -> None:
    options = {"piece": "red blue", "payload": lines}
    status, answer = webui.call("/prompt-pins/v1/plan", {**QUESTION, "options": options})
    assert status == 422 and said in answer["detail"], answer


CAST = "a {piece} circle, blue background"
TWO = {**SHORT, **PIECE, "generations": 3, "finalists": 1, "contest_seeds": 2, "start": "original"}


def two_checkpoints(webui: Webui, other: Path) -> dict[str, Any]:
    return {**TWO, "payload": f"--target 1\n--target 2 --seed 9 --sd_model '{webui.title(other)}'"}


def own_images(webui: Webui, **values: Any) -> np.ndarray:
    return np.stack(webui.render(**{"prompt": "a red blue circle", "steps": 3, "batch_size": 2, **values}).images)


def test_two_checkpoints_are_loaded_once_a_generation_and_the_users_own_is_there_again(
    webui: Webui, other: Path
) -> None:
    before, chosen = own_images(webui), webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"]
    loaded, known = len(webui.loads()), len(webui.runs())
    status, answer = webui.pin([two_checkpoints(webui, other)], prompt=CAST, steps=3, batch_size=2)
    if webui.forge():  # it loads checkpoints in a way of its own
        assert status == 422 and "payload 2: checkpoint: " in answer["detail"], answer
        assert len(webui.runs()) == known
        np.testing.assert_array_equal(own_images(webui), before)
        return
    assert status == 200, answer
    loads = webui.loads()[loaded:]
    run = webui.runs()[0]
    head, *journal = webui.journal(run)
    assert run["state"] == "finished" and any(other.name in name for name in head["host"]["assets"])
    # looked at before; in the first generation both, then one in each; both in the contest and the check; the own
    assert 4 <= len(loads) <= 1 + (2 + 1 + 1) + 2 + 2 + 1 and all(map(ne, loads, loads[1:])), loads
    assert loads[0] == other.name != loads[-1]
    assert len(next(line for line in journal if line["kind"] == "held")["checkpoint_gains"]) == 2
    first = next(line for line in journal if line["kind"] == "candidate")
    asked = {"seed": 9, "override_settings": {"sd_model_checkpoint": webui.title(other)}}
    asked |= {"prompt": "a red blue circle, blue background", "sampler_name": "DPM++ 2M - Hyperbatch"}
    wanted = own_images(webui, **asked)
    found = np.stack([webui.picture(run, f"{first['folder']}/{name}") for name in first["images"][2:]])
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(own_images(webui), before)
    assert webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"] == chosen


def test_a_run_of_two_checkpoints_that_is_interrupted_goes_on_to_the_same_end(webui: Webui, other: Path) -> None:
    if webui.forge():
        pytest.skip("Forge refuses payloads with checkpoints of their own")
    before, options = own_images(webui), two_checkpoints(webui, other)
    values = {"prompt": CAST, "steps": 3, "batch_size": 2}
    assert webui.pin([options], **values)[0] == 200
    whole = webui.runs()[0]
    ended: list[Any] = []
    job = threading.Thread(target=lambda: ended.append(webui.pin([options], **values)))
    job.start()
    while job.is_alive() and (webui.runs()[0]["run"] == whole["run"] or len(webui.journal(webui.runs()[0])) < 8):
        time.sleep(0.05)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    run = webui.runs()[0]
    assert ended[0][0] == 200 and run["state"] == "stopped"
    np.testing.assert_array_equal(own_images(webui), before)
    status, answer = webui.pin([{"resume": run["run"]}], **values)
    assert status == 200, answer
    assert _timeless(webui.journal(run)) == _timeless(webui.journal(whole))


def test_a_checkpoint_chosen_meanwhile_is_for_what_comes_after_the_run(webui: Webui, other: Path) -> None:
    chosen, setting = webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"], "/sdapi/v1/options"
    before, loaded = own_images(webui), len(webui.loads())
    known, ended = len(webui.runs()), list[Any]()
    values = {"prompt": "a red circle", "steps": 3, "batch_size": 2}
    job = threading.Thread(target=lambda: ended.append(webui.pin([{**SHORT, "generations": 4}], **values)))
    job.start()
    while job.is_alive() and (len(webui.runs()) == known or len(webui.journal(webui.runs()[0])) < 4):
        time.sleep(0.05)
    webui.call(setting, {"sd_model_checkpoint": webui.title(other)})
    try:
        job.join(HUNG)
        assert ended[0][0] == 200 and webui.runs()[0]["state"] == "finished"
        assert webui.loads()[loaded:] in ([], [other.name])
        # Forge keeps the title as it was before the file's hash was known
        assert webui.title(other).startswith(webui.call(setting)[1]["sd_model_checkpoint"])
        assert not np.array_equal(own_images(webui), before)
    finally:
        webui.call(setting, {"sd_model_checkpoint": chosen})
    np.testing.assert_array_equal(own_images(webui), before)


def _timeless(journal: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a run has found, without times."""
    kept = [line for line in journal if line["kind"] in ("candidate", "generation", "choice", "held", "finished")]
    return [{k: v for k, v in line.items() if k not in ("time", "seconds", "n", "crc")} for line in kept]


def _size(image: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2] or image))) as opened:
        found: Any = opened.size
    return (int(found[0]), int(found[1]))


def begun(webui: Webui, **options: Any) -> dict[str, Any]:
    """A finished run of two payloads with targets of their own."""
    lines = "--target 1\n--prompt 'a {piece} square' --target 2 --seed 9"
    settings = {**SHORT, **PIECE, "payload": lines, "start": "original", "generations": 2, **options}
    status, answer = webui.pin([settings], **JOB)
    assert status == 200, answer
    run = webui.runs()[0]
    assert run["state"] == "finished"
    return run


JOB = {"prompt": "a {piece} circle", "steps": 3, "batch_size": 2}


def leave_out(webui: Webui, run: dict[str, Any]) -> tuple[int, Any]:
    return webui.pin([{"task": "leave-out", "of_run": run["run"]}], **{**JOB, "prompt": "whatever stands there"})


def test_each_payload_is_left_out_once_and_the_page_tells_what_came_of_it(webui: Webui) -> None:
    run = begun(webui)
    status, answer = leave_out(webui, run)
    assert status == 200, answer
    others = webui.runs()[:2]
    assert [one["state"] for one in others] == ["finished"] * 2 and webui.runs()[2]["run"] == run["run"]
    for other, lost in zip(others, (1, 0)):
        head, first = (
            next(line for line in webui.journal(other) if line["kind"] == kind) for kind in ("run", "target")
        )
        assert len(head["config"]["payload"]) == 1 and ("square" in head["config"]["payload"][0]) == (lost == 0)
        kept = next(line for line in webui.journal(run) if line["kind"] == "target")["images"][1 - lost]
        np.testing.assert_array_equal(webui.picture(other, first["images"][0]), webui.picture(run, kept))
    comments = json.loads(answer["info"])["extra_generation_params"]["Prompt pins"]["comments"]
    assert sum("on the others alone" in text for text in comments) == 2
    page = opened(webui, f"runs/{run['tab']}/{run['run']}/index.html")
    assert page.count("Pinned on the other payloads alone") == 2
    status, answer = leave_out(webui, run)  # all is known
    assert status == 200 and len(webui.runs()) and webui.runs()[0] == others[0]


def test_leaving_out_goes_on_where_it_was_interrupted(webui: Webui) -> None:
    run, ended = begun(webui), list[Any]()
    job = threading.Thread(target=lambda: ended.append(leave_out(webui, run)))
    job.start()
    while job.is_alive() and (webui.runs()[0]["run"] == run["run"] or len(webui.journal(webui.runs()[0])) < 6):
        time.sleep(0.05)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    assert ended[0][0] == 200 and webui.runs()[0]["state"] == "stopped"
    begun_first = webui.runs()[0]["run"]
    assert leave_out(webui, run)[0] == 200
    assert [one["state"] for one in webui.runs()[:2]] == ["finished"] * 2 and webui.runs()[1]["run"] == begun_first


@pytest.mark.parametrize("number", ["", "x", "99999999", "../0"])
def test_leaving_out_needs_the_number_of_a_run_of_payloads(webui: Webui, number: str) -> None:
    plain = {**SHORT, "start": "original"}
    assert webui.pin([plain], prompt="a red circle", steps=3, batch_size=2)[0] == 200
    before = webui.runs()
    for name in {number, before[0]["run"]}:
        status, answer = leave_out(webui, {"run": name})
        assert 400 <= status < 500 and "Traceback" not in str(answer), answer
    assert webui.runs() == before


def test_the_plan_of_leaving_out(webui: Webui) -> None:
    question = {**QUESTION, "options": {"task": "leave-out", "of_run": "7"}}
    status, answer = webui.call("/prompt-pins/v1/plan", question)
    assert status == 200 and answer["words"].startswith("run 7 of payloads, once more without each of them")
