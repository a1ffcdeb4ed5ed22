"""Maps in a WebUI, through its API and its tab: of a prompt, of a run, interrupted, and pinning to a picture."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.patience import HUNG
from tests.webui.client import Webui
from tests.webui.test_host_words import opened

SMALL = {"steps": 4, "batch_size": 2, "prompt": "(a:=1) red blue (circle on a white background:=1)"}
MAP = {"task": "map", "map_candidates": 16, "map_radius": 0.8}


def mapped(webui: Webui, options: dict[str, Any], **values: Any) -> dict[str, Any]:
    """What the answer tells of a map, which must succeed."""
    status, answer = webui.pin([{**MAP, **options}], **{**SMALL, **values})
    assert status == 200, answer
    info = json.loads(answer["info"])
    found: dict[str, Any] = info["extra_generation_params"]["Prompt pins"]
    return {**found, "images": answer["images"], "text": info["infotexts"][0]}


def test_a_map_stands_beside_runs_and_a_run_pins_to_its_picture(webui: Webui) -> None:
    found = mapped(webui, {})
    assert (found["task"], found["state"]) == ("map", "finished") and found["pictures"]
    assert len(found["images"]) == len(found["pictures"])
    assert "Pin Task: map" in found["text"] and "Pin Candidates: 16" in found["text"] and "Seed: 5" in found["text"]
    run = webui.runs(task="map")[0]
    assert run["run"] == found["run"] and run["images"] == 32 and run in webui.runs() and run["thumbnails"]
    page = opened(webui, f"runs/txt2img/{run['run']}/index.html")
    assert "Picture 1" in page and "Keep within this cluster" in page
    number = f"{run['run']}/1"
    short = {"generations": 1, "lambda_": 3, "held_out": 0, "finalists": 0}
    status, answer = webui.pin([{**short, "pin_to_run": number, "warm_start": number}], **SMALL)
    assert status == 200, answer
    pinned = webui.runs(task="pin")[0]
    head = webui.journal(pinned)[0]
    example = next(row for row in webui.journal(run) if row.get("prompt") == found["pictures"][0]["prompt"])
    assert head["warm"]["mean"] == example["weights"] and len(pinned["target"]["images"]) == 2
    again = mapped(webui, {"of_run": pinned["run"]}, prompt="other words")
    mine = webui.journal(webui.runs(task="map")[0])
    assert mine[0]["of_run"] == pinned["run"] and again["state"] == "finished"
    prompts = [
        {row["prompt"] for row in lines if row["kind"] == "candidate"} for lines in (mine, webui.journal(pinned))
    ]
    assert prompts[0] == prompts[1] and again["run"] == webui.runs(task="map")[0]["run"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({**MAP, "map_candidates": 1}, "map_candidates"),
        ({**MAP, "vary": "auto"}, "vary"),
        ({**MAP, "of_run": "../x"}, "of_run"),
        ({"generations": 1, "pin_to_run": "0/../0"}, "pin_to_run"),
        ({"generations": 1, "warm_start": "99999999/1"}, "99999999"),
    ],
)
def test_bad_input_is_one_message(webui: Webui, options: dict[str, Any], said: str) -> None:
    before = len(webui.runs())
    status, answer = webui.pin([options], **SMALL)
    assert 400 <= status < 500 and said in str(answer) and "Traceback" not in str(answer)
    assert len(webui.runs()) == before


def test_an_interrupted_map_goes_on_to_the_same_map(webui: Webui) -> None:
    ended: list[Any] = []
    job = threading.Thread(target=lambda: ended.append(webui.pin([MAP], **SMALL)))
    job.start()
    while job.is_alive():
        said = webui.call("/sdapi/v1/progress?skip_current_image=true")[1]["textinfo"] or ""
        if said.startswith("candidate ") and "Interrupt keeps everything" in said:
            break
        time.sleep(0.02)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    assert ended[0][0] == 200, ended[0]
    run = webui.runs(task="map")[0]
    assert run["state"] == "stopped"
    assert "of 16 candidates are there" in opened(webui, f"runs/txt2img/{run['run']}/index.html")
    assert webui.pin([{"resume": run["run"]}], **{**SMALL, "steps": 5})[0] == 422
    assert webui.pin([{"resume": run["run"]}], **SMALL)[0] == 200
    whole = [one for one in webui.runs(task="map") if one["state"] == "finished" and one["images"] == 32]
    rows = [[row["id"] for row in webui.journal(one) if row["kind"] == "candidate"] for one in whole]
    assert len(rows) >= 2 and all(row == rows[0] for row in rows) and len(rows[0]) == 16


def test_what_a_map_would_be_is_said_before(webui: Webui) -> None:
    question = {"prompt": SMALL["prompt"], "steps": 4, "batch_size": 2, "sampler": "DPM++ 2M - Hyperbatch"}
    status, answer = webui.call("/prompt-pins/v1/plan", {**question, "options": MAP})
    assert status == 200 and answer["words"].startswith("2 weights vary · 16 candidates × 2 images")
