"""Measuring words in a WebUI, through its API: results, refusals, interruption and going on, comparison."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from typing import Any

import numpy as np
import pytest

from tests.patience import HUNG
from tests.webui.client import Webui, encoded

WORDS = {"task": "words", "analysis_seeds": 8}
QUICK = {"steps": 4, "batch_size": 4, "prompt": "a red circle"}


def measured(webui: Webui, options: dict[str, Any], tab: str = "txt2img", **values: Any) -> dict[str, Any]:
    """What the answer tells of an analysis, which must succeed."""
    status, answer = webui.pin([{**WORDS, **options}], tab, **{**QUICK, **values})
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer["info"])["extra_generation_params"]["Prompt pins"]
    return {**found, "images": answer["images"], "texts": json.loads(answer["info"])["infotexts"]}


def opened(webui: Webui, path: str) -> str:
    with urllib.request.urlopen(webui.url + "/prompt-pins/v1/" + path, timeout=HUNG) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_words_are_measured_and_listed_beside_runs(webui: Webui, tab: str) -> None:
    more = {"init_images": [encoded((200, 30, 30))], "denoising_strength": 0.9} if tab == "img2img" else {}
    options = {"target": [encoded((30, 60, 220))]} if tab == "txt2img" else {"pin_to_source": True}
    found = measured(webui, options, tab, **more)
    assert found["state"] == "finished" and found["task"] == "words" and len(found["images"]) == 1
    assert {row["word"] for row in found["words"]} == {"a", "red", "circle"}
    moves = [row["moves"]["mean"] for row in found["words"]]
    assert moves == sorted(moves, reverse=True) and moves[0] > 0 and found["sentences"]
    run = webui.runs(task="words")[0]
    assert (run["run"], run["tab"], run["task"]) == (found["run"], tab, "words")
    assert run["images"] == 8 * 7 and run["moves"] == [row["word"] for row in found["words"]]
    assert run not in webui.runs(task="pin") and run in webui.runs()
    assert [line["kind"] for line in webui.journal(run)][-4:] == ["word"] * 3 + ["finished"]
    assert all(word in opened(webui, f"runs/{tab}/{run['run']}/index.html") for word in ("red", "In words"))
    text = found["texts"][0]
    assert text.startswith("a red circle") and "Pin Task: words" in text
    assert "Seed: 5," in text and "Batch size: 4," in text and "Fork policy: none" not in text  # to be begun again
    heat = webui.picture(run, "heat.png")
    assert heat.shape[1] > 600 and heat.std() > 0
    first = webui.picture(run, "original/00000.png")
    assert first.shape[:2] == (webui.pixels, webui.pixels)


def test_the_same_words_by_likelihood(webui: Webui) -> None:
    found = measured(webui, {"by": "likelihood", "target": [encoded((220, 30, 30))]})
    assert found["state"] == "finished" and len(found["words"]) == 3
    run = webui.runs(task="words")[0]
    assert run["images"] == 0 and run["evaluations"] > 0


def test_phrases_first(webui: Webui) -> None:
    tags = "red circle, white background, some words more, other words, even more of them, nothing, last"
    found = measured(webui, {"vary": "auto"}, prompt=tags)
    run = webui.runs(task="words")[0]
    lines = [line for line in webui.journal(run) if line["kind"] == "word"]
    assert lines[0]["label"] == "red circle" and len(lines[0]["lowered"]["moved"]) == 4
    assert any(line.get("phrase") for line in lines) and len(found["words"]) >= 7


def test_the_words_of_a_finished_run_against_its_own_target(webui: Webui) -> None:
    small = {"generations": 1, "lambda_": 3, "held_out": 0, "finalists": 0, "target": [encoded((30, 60, 220))]}
    assert webui.pin([small], **QUICK)[0] == 200
    run = webui.runs(task="pin")[0]
    found = measured(webui, {"of_run": run["run"]}, prompt="something else")
    words = webui.runs(task="words")[0]
    assert webui.journal(words)[0]["target_of"] == run["run"] and f"Pin Words of run: {run['run']}" in found["texts"][0]
    assert words["prompt"] == run["pinned"]["prompt"] and words["target"]["source"] == "images"
    kept = [webui.picture(one, one["target"]["images"][0]) for one in (run, words)]
    assert np.array_equal(*kept)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "word"}, "'pin', 'words', 'map'"),
        ({"task": "words", "analysis_seeds": 2}, "analysis_seeds"),
        ({"task": "words", "by": "eye"}, "by"),
        ({"task": "words", "of_run": "../x"}, "of_run"),
        ({"task": "words", "of_run": "99999999"}, "99999999"),
        ({"task": "words", "target": ["/etc/hosts"]}, "target"),
        ({"task": "pin", "vary": "auto"}, "vary"),
    ],
)
def test_bad_input_is_one_message(webui: Webui, options: dict[str, Any], said: str) -> None:
    before = len(webui.runs())
    status, answer = webui.pin([options], **QUICK)
    assert 400 <= status < 500 and said in str(answer) and "Traceback" not in str(answer)
    assert len(webui.runs()) == before


def test_the_words_of_an_analysis_are_no_run(webui: Webui) -> None:
    measured(webui, {})
    number = webui.runs(task="words")[0]["run"]
    assert webui.pin([{**WORDS, "of_run": number}], **QUICK)[0] == 422
    assert webui.pin([{"generations": 1, "pin_to_run": number}], **QUICK)[0] == 422


def test_an_interrupted_analysis_goes_on_to_the_same_result(webui: Webui) -> None:
    whole = measured(webui, {}, prompt="a red circle in the middle")
    ended: list[Any] = []
    body = [{**WORDS}]
    job = threading.Thread(
        target=lambda: ended.append(webui.pin(body, **{**QUICK, "prompt": "a red circle in the middle"}))
    )
    job.start()
    while job.is_alive():
        said = webui.call("/sdapi/v1/progress?skip_current_image=true")[1]["textinfo"] or ""
        if said.startswith(("word 1/", "word 2/", "word 3/")):  # not what the analysis before said last
            assert "left" in said and "Interrupt keeps everything" in said
            break
        time.sleep(0.05)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    status, answer = ended[0]
    assert status == 200, answer
    run = webui.runs(task="words")[0]
    assert run["state"] == "stopped" and 0 < len(run["moves"]) < 5
    assert "stopped" in opened(webui, f"runs/txt2img/{run['run']}/index.html")
    assert webui.pin([{"resume": run["run"]}], steps=5, batch_size=4)[0] == 422
    status, answer = webui.pin([{"resume": run["run"]}], **{**QUICK, "prompt": "a red circle in the middle"})
    assert status == 200, answer
    told = json.loads(answer["info"])["extra_generation_params"]["Prompt pins"]
    assert told["state"] == "finished" and told["words"] == whole["words"]
    assert webui.pin([{"resume": run["run"]}], **QUICK)[0] == 422


def test_two_analyses_are_compared(webui: Webui) -> None:
    first, second = (measured(webui, {"target": [encoded((30, 60, 220))]}, cfg_scale=scale) for scale in (1.5, 6))
    address = f"compare/txt2img/{first['run']}/txt2img/{second['run']}"
    status, told = webui.call("/prompt-pins/v1/" + address)
    assert status == 200, told
    assert {"what": "CFG scale", "before": "1.5", "after": "6"} in told["changes"] and told["one_target"]
    assert {row["label"] for row in told["words"]} == {"a", "red", "circle"}
    assert all(row["seeds"] == 8 and row["image"]["low"] <= row["image"]["mean"] for row in told["words"])
    page = opened(webui, address + "/index.html")
    assert "CFG scale" in page and f"../../../../../runs/txt2img/{first['run']}/index.html" in page
    other = measured(webui, {}, seed=77)
    for pair, code in ((other["run"], 422), ("99999999", 404), ("..", 404)):
        assert webui.call(f"/prompt-pins/v1/compare/txt2img/{first['run']}/txt2img/{pair}")[0] in (code, 422)


def test_the_plan_of_measuring_in_words(webui: Webui) -> None:
    question = {"prompt": "a red circle", "sampler": "DPM++ 2M", "steps": 20, "batch_size": 8, "options": WORDS}
    status, answer = webui.call("/prompt-pins/v1/plan", question)
    assert status == 200 and answer["words"].startswith("3 words · 56 images") and answer["tree"] == ""
    likely = {**question, "options": {**WORDS, "by": "likelihood"}}
    assert "nothing is rendered" in webui.call("/prompt-pins/v1/plan", likely)[1]["words"]
    tags = ", ".join(f"tag {index}" for index in range(12))
    auto = webui.call("/prompt-pins/v1/plan", {**question, "prompt": tags, "options": {**WORDS, "vary": "auto"}})[1]
    assert auto["words"].startswith("12 phrases · about 131 images")
    assert webui.call("/prompt-pins/v1/plan", {**question, "options": {**WORDS, "analysis_seeds": 1}})[0] == 422


def test_two_checkpoints_are_compared(webui: Webui) -> None:
    status, models = webui.call("/sdapi/v1/sd-models")
    if status != 200 or len(models) < 2:
        pytest.skip("a second checkpoint is needed")
    before = webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"]
    titles = sorted((model["title"] for model in models), key=lambda title: "embedded" not in title)[:2]
    found = []
    try:
        for title in titles:
            assert webui.call("/sdapi/v1/options", {"sd_model_checkpoint": title})[0] == 200
            found.append(measured(webui, {"target": [encoded((30, 60, 220))]})["run"])
    finally:
        assert webui.call("/sdapi/v1/options", {"sd_model_checkpoint": before})[0] == 200
        webui.render(steps=1, batch_size=1)  # Forge loads it, and notes its hash among the settings, with the next job
    status, told = webui.call(f"/prompt-pins/v1/compare/txt2img/{found[0]}/txt2img/{found[1]}")
    assert status == 200, told
    changed = {change["what"]: change for change in told["changes"]}
    assert changed["checkpoint"]["before"] != changed["checkpoint"]["after"]
    assert any(row["image"]["mean"] != 0 for row in told["words"])
