"""A host on which nothing was ever run, whose settings' file is missing or old: what a run leaves on every way out.

Its neighbours are extensions that rewrite prompts, that break batches, and a disk that is full.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.run.likely import ASKING

from tests.patience import HUNG
from tests.webui.client import SMALL, Webui, encoded
from tests.webui.conftest import fresh, stand_in

OLD = {"samples_format": "png", "show_progress_type": "Approx cheap", "live_previews_enable": True, "long ago": 7}
SHORT = {"generations": 1, "lambda_": 3, "held_out": 0, "finalists": 0, "gifs": False}
QUICK: dict[str, Any] = {"steps": 4, "batch_size": 2}
BLUE = [encoded((30, 60, 220))]
LONG = {**SHORT, "generations": 30, "target": BLUE}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the fresh host's settings, outputs and log."""
    return tmp_path_factory.mktemp("fresh")


@pytest.fixture(scope="module")
def webui(place: Path) -> Iterator[Webui]:
    """A fresh host without a settings' file."""
    with fresh(place) as host:
        yield host


def beside(**values: list[Any]) -> dict[str, Any]:
    """The arguments of neighbours."""
    return {"alwayson_scripts": {name: {"args": args} for name, args in values.items()}}


def told(answer: Any) -> dict[str, Any]:
    """What an answer says of its run."""
    found: dict[str, Any] = json.loads(answer["info"])["extra_generation_params"]["Prompt pins"]
    return found


def interrupted(webui: Webui, meanwhile: Callable[[], None]) -> Any:
    """The answer of a long run, from its first look at the targets on; it is interrupted in its search."""
    ended: list[Any] = []
    job = threading.Thread(target=lambda: ended.append(webui.pin([LONG], **QUICK)))
    job.start()
    searched = 0
    while job.is_alive() and searched < 10:
        meanwhile()
        text = webui.call("/sdapi/v1/progress?skip_current_image=true")[1]["textinfo"] or ""
        searched += re.search("generation [0-9]", text) is not None
        time.sleep(0.02)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    assert ended[0][0] == 200, ended
    return ended[0][1]


def settings(webui: Webui, place: Path) -> tuple[Any, bytes]:
    """The host's settings as it has them, and the bytes that it saves of them."""
    found = webui.call("/sdapi/v1/options")[1]
    webui.call("/sdapi/v1/options", {})
    saved = (place / "config.json").read_bytes()
    (place / "config.json").unlink()
    return found, saved


@pytest.mark.parametrize("config", [None, json.dumps(OLD)], ids=["none", "old"])
def test_settings_and_their_file_are_as_they_were(config: str | None, tmp_path: Path) -> None:
    with fresh(tmp_path, config) as webui:
        webui.render(**QUICK)  # what the host itself notes down with its first image
        before = settings(webui, tmp_path)
        own = {"samples_format": "jpg", "CLIP_stop_at_last_layers": 1, "emphasis": "No norm", "return_mask": True}
        for more in ({}, {"override_settings": own}, beside(breaker=["settings", 1])):
            webui.pin([SHORT], **QUICK, **more)
            assert not (tmp_path / "config.json").exists()

        def save() -> None:  # as somebody does meanwhile
            webui.call("/sdapi/v1/options", {})
            assert (tmp_path / "config.json").read_bytes() == before[1]

        assert "interrupted" in told(interrupted(webui, save))["reason"]
        assert settings(webui, tmp_path) == before


def test_interrupted_while_the_model_is_asked(webui: Webui, place: Path) -> None:
    prompt = "a red circle and a blue square on a white background " * 4
    options = {**SHORT, "generations": 1, "target": BLUE, "start": "likely"}
    webui.render(**QUICK)
    before = settings(webui, place), webui.call("/sdapi/v1/samplers")[1]
    ended: list[Any] = []
    job = threading.Thread(target=lambda: ended.append(webui.pin([options], prompt=prompt, **QUICK)))
    job.start()
    asked = 0
    while job.is_alive() and asked < 5:
        asked += webui.call("/sdapi/v1/progress?skip_current_image=true")[1]["textinfo"] == ASKING
        time.sleep(0.02)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    status, answer = ended[0]
    assert status == 200 and "interrupted" in told(answer)["reason"] and not answer["images"], answer
    run = webui.runs()[0]
    assert run["state"] == "stopped" and asked == 5
    assert [line["kind"] for line in webui.journal(run)] == ["run", "target", "stopped"]
    assert (settings(webui, place), webui.call("/sdapi/v1/samplers")[1]) == before
    status, resumed = webui.pin([{"resume": run["run"]}], prompt=prompt, **QUICK)
    assert status == 200 and told(resumed)["state"] == "finished", resumed
    found = [line["misfits"] for line in webui.journal(webui.runs()[0]) if line["kind"] == "likely"]
    status, whole = webui.pin([options], prompt=prompt, **QUICK)
    assert status == 200 and whole["images"] == resumed["images"]
    assert [line["misfits"] for line in webui.journal(webui.runs()[0]) if line["kind"] == "likely"] == found != []


def test_the_last_jobs_parameters_are_the_users_own(webui: Webui, place: Path) -> None:
    """What the host's button ↙ pastes; the host writes it for each batch."""
    last = place / "params.txt"
    webui.render(**QUICK, prompt="something else")
    before = last.read_text("utf-8")
    assert before.startswith("something else\n")
    for more in ({"sampler_name": "Euler", **beside(breaker=["history", 0])}, {"override_settings": {"emphases": 1}}):
        assert webui.pin([{**SHORT, "target": BLUE}], **QUICK, **more)[0] != 200
        assert last.read_text("utf-8") == before
    assert "interrupted" in told(interrupted(webui, lambda: None))["reason"]
    begun = last.read_text("utf-8")
    assert begun.startswith(f"{SMALL['prompt']}\nSteps: 4, ") and "Seed: 5," in begun
    assert "Script: Prompt pinning" in begun and "Pin Number of generations: 30" in begun
    last.unlink()
    assert webui.pin([{**SHORT, "target": BLUE}], **QUICK, **beside(breaker=["none", 0]))[0] != 200
    assert not last.exists()
    words = {"task": "words", "by": "likelihood", "target": BLUE}
    assert webui.pin([words], **QUICK, prompt="a red circle")[0] == 200
    text = last.read_text("utf-8")
    assert (
        text.startswith("a red circle\nSteps: 4, ") and "Pin Task: words" in text and "Sampler: Prompt pins" not in text
    )


def test_parameters_that_the_host_does_not_keep(webui: Webui, tmp_path: Path) -> None:
    if webui.real:
        pytest.skip("a host with --no-prompt-history is needed")
    with stand_in(tmp_path, {"STAND_IN_DATA": ""}) as host:
        assert host.pin([SHORT], **QUICK)[0] == 200
    assert not (tmp_path / "params.txt").exists()


@pytest.mark.parametrize("value", ["None", "Ignore"])
def test_emphasis_that_is_off_is_said(webui: Webui, value: str) -> None:
    off: dict[str, Any] = {"emphasis": value}
    on: dict[str, Any] = {"emphasis": "Original"}
    if "enable_emphasis" in webui.call("/sdapi/v1/options")[1]:  # before 1.8
        off, on, value = {"enable_emphasis": False}, {"enable_emphasis": True}, "False"
    webui.call("/sdapi/v1/options", off)
    try:
        words = webui.call("/prompt-pins/v1/plan", {"prompt": "a red circle"})[1]["words"]
        status, answer = webui.pin([{**SHORT, "target": BLUE}], **QUICK)
    finally:
        webui.call("/sdapi/v1/options", on)
    assert status == 200, answer
    lines = webui.journal(webui.runs()[0])
    for text in (words, str(told(answer)["comments"]), lines[0]["host"]["emphasis"]):
        assert f"emphasis is {value}" in text and str(next(iter(on.values()))) in text
    found = [line["loss"] for line in lines if line["kind"] == "candidate"]
    assert len(set(found)) == len(found) > 2  # weights do something in the run


@pytest.mark.parametrize(
    ("override", "said"),
    [({"emphasis": "None"}, "emphasis"), ({"emphasis": "Ignore"}, "emphasis"), ({"emphases": "None"}, "emphases")],
)
def test_a_requests_own_settings_with_which_weights_do_nothing(webui: Webui, override: Any, said: str) -> None:
    status, answer = webui.pin([SHORT], **QUICK, override_settings=override)
    assert status == 422 and "override_settings" in answer["detail"] and said in answer["detail"]


def test_a_template_is_expanded_once_before_the_run(webui: Webui, place: Path) -> None:
    status, answer = webui.pin([{**SHORT, "target": BLUE}], prompt="a {red|blue} circle", **QUICK)
    assert status == 200, answer
    head, *lines = webui.journal(webui.runs()[0])
    assert re.fullmatch(r"a (red|blue) circle", head["config"]["prompt"])
    assert head["host"]["template"] == "a {red|blue} circle"
    assert any("expanded the template once" in text for text in told(answer)["comments"])
    candidates = [line for line in lines if line["kind"] == "candidate"]
    assert len({line["loss"] for line in candidates}) == len(candidates) > 2
    assert not any("{" in text for text in json.loads(answer["info"])["infotexts"])
    assert "TypeError" not in (place / "log.txt").read_text(errors="replace")


def test_an_expander_that_fails_stands_in_the_way_of_templates_only(webui: Webui) -> None:
    broken = beside(**{"dynamic prompts v0.0 (imitated)": [True, True]})
    status, answer = webui.pin([{**SHORT, "target": BLUE}], prompt="a red circle", **QUICK, **broken)
    assert status == 200, answer
    assert any("dp_ignore_whitespace" in text for text in told(answer)["comments"])
    for own in ({"prompt": "a {red|blue} circle"}, {"prompt": "a __colour__ circle"}):
        status, answer = webui.pin([{**SHORT, "target": BLUE}], **own, **QUICK, **broken)
        assert status == 422 and "dp_ignore_whitespace" in answer["detail"], answer


def test_a_neighbour_that_rewrites_prompts_unasked_is_noticed(webui: Webui) -> None:
    status, answer = webui.pin([{**SHORT, "target": BLUE}], **QUICK, **beside(meddler=[True]))
    assert status == 200, answer
    assert any("another extension" in text for text in told(answer)["comments"])
    assert "another extension" not in str(told(webui.pin([{**SHORT, "target": BLUE}], **QUICK)[1])["comments"])


def test_a_run_that_fails_at_once_is_an_error_and_goes_on_when_that_is_mended(webui: Webui) -> None:
    status, answer = webui.pin([SHORT], **QUICK, **beside(breaker=["at once", 0]))
    assert status == 500 and "AttributeError" in answer["detail"] and "resume" in answer["detail"]
    run = webui.runs()[0]
    assert run["state"] == "stopped" and run["run"] in answer["detail"]
    status, answer = webui.pin([{"resume": run["run"]}], **QUICK)
    assert status == 200 and told(answer)["state"] == "finished" and len(answer["images"]) == 2
    assert answer["images"] == webui.pin([SHORT], **QUICK)[1]["images"]


def test_a_run_none_of_whose_candidates_could_be_rendered_is_an_error(webui: Webui) -> None:
    status, answer = webui.pin([LONG], **QUICK, **beside(breaker=["all", 0]))
    assert status == 500 and "AttributeError" in answer["detail"] and "resume" in answer["detail"]
    assert webui.runs()[0]["state"] == "stopped"


def test_a_run_that_fails_later_shows_what_it_reached(webui: Webui) -> None:
    options = {**SHORT, "generations": 12, "target": BLUE}
    status, answer = webui.pin([options], **QUICK, **beside(breaker=["later", 20]))
    assert status == 200 and len(answer["images"]) == 2
    assert "AttributeError" in json.dumps(webui.journal(webui.runs()[0]))


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(webui: Webui) -> None:
    status, answer = webui.pin([SHORT], **QUICK, **beside(filler=[True]))
    assert status == 507 and "No space left on device" in answer["detail"] and "resume" in answer["detail"]
    webui.render(**QUICK)  # there is room again
    run = webui.runs()[0]
    assert run["state"] in ("stopped", "interrupted") and run["run"] in answer["detail"]
    status, answer = webui.pin([{"resume": run["run"]}], **QUICK)
    assert status == 200 and told(answer)["state"] == "finished"


def test_the_answer_holds_the_comments(webui: Webui) -> None:
    status, answer = webui.pin([SHORT], **QUICK, n_iter=2)
    assert status == 200 and any("batch count was ignored" in text for text in told(answer)["comments"])
    plain = webui.render(sampler_name="DPM++ 2M - Hyperbatch", prompt="a {red|blue|green|white} circle", seed=1)
    assert "did not fork: every image has its own prompt" in plain.info["infotexts"][0]
    assert "Fork policy" not in plain.info["infotexts"][0]


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    "text",
    [
        json.dumps('{"loss_objectives": ' + DEEP + "}"),
        json.dumps('{"max_minutes": 1e400}'),
        '{"loss_objectives": ' + DEEP + "}",
        '{"loss_objectives": ' + DEEP[4600:5400] + "}",
        '{"max_minutes": 1e400}',
        '{"generations": 1e400}',
        '{"generations": 1' + "0" * 5000 + "}",
        '{"target": ["\\ud800"]}',
        '{"inject": ["\\ud800"]}',
    ],
    ids=lambda text: text[:40],
)
def test_json_that_nobody_means_is_refused(webui: Webui, text: str) -> None:
    job = {"prompt": "a red circle", "sampler_name": "DPM++ 2M - Hyperbatch", **QUICK, "script_name": "prompt pinning"}
    body = json.dumps({**job, **webui.size, "script_args": ["@"]}).replace('"@"', text)
    status, answer = webui.post("/sdapi/v1/txt2img", body)
    # AUTOMATIC1111 copies a request by recursion, before it looks for its script
    its_own = webui.real and isinstance(answer, dict) and answer.get("error") == "RecursionError"
    assert 400 <= status < 500 or its_own, answer
    question = '{"prompt": "a red circle", "options": @}'.replace("@", text)
    status, answer = webui.post("/prompt-pins/v1/plan", question)
    assert 400 <= status < 500, answer


@pytest.mark.parametrize("body", ["Infinity", DEEP, "[1e400]", "7", '"x"', "", "{", '{"cfg_scale": 1e400}', "nul\0"])
def test_a_question_that_is_none_is_refused(webui: Webui, body: str) -> None:
    status, answer = webui.post("/prompt-pins/v1/plan", body)
    assert status == 422, answer


@pytest.mark.parametrize("field", ["cfg_scale", "prompt", "negative_prompt"])
def test_a_request_that_no_run_can_keep_is_refused(webui: Webui, field: str) -> None:
    value = "1e400" if field == "cfg_scale" else '"a \\ud800 circle"'
    job = {"prompt": "a red circle", "sampler_name": "Euler", **QUICK, "script_name": "prompt pinning", **webui.size}
    body = json.dumps({**job, "script_args": [SHORT], field: "@"}).replace('"@"', value)
    status, answer = webui.post("/sdapi/v1/txt2img", body)
    assert status == 422 and field in str(answer), answer
