"""The tab's buttons, pressed as the page presses them: what is handed over to the pages of txt2img and img2img."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webui.client import Webui, encoded
from tests.webui.conftest import fresh

SHORT = {"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0, "gifs": False}
QUICK: dict[str, Any] = {"steps": 4, "batch_size": 2}
REDRAWN: dict[str, Any] = {"init_images": [encoded((200, 30, 30))], "denoising_strength": 0.6}
MORE: dict[str, dict[str, Any]] = {"txt2img": {}, "img2img": REDRAWN}
TEXTS = {"pinned": ("to_txt2img", "to_img2img"), "again": ("resume", "resume_img2img"),
         "measured": ("measure", "measure_img2img"), "around": ("map", "map_img2img")}  # fmt: skip
"""The buttons of the tab by the texts that they hand over."""


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webui]:
    """A host with the neighbour that breaks batches."""
    with fresh(tmp_path_factory.mktemp("tab")) as host:
        yield host


def pressed(webui: Webui, name: str, *values: str) -> dict[str, Any]:
    """What the page shows after a button of the tab was pressed, by the names of its components."""
    config = webui.call("/config")[1]
    known = {one["id"]: str(one["props"].get("elem_id")).removeprefix("prompt_pins_") for one in config["components"]}
    for number, one in enumerate(config["dependencies"]):
        targets = [target[0] if isinstance(target, list) else target for target in one["targets"]]
        if name in map(known.get, targets):
            asked = {"fn_index": number, "data": list(values), "session_hash": "a test"}
            status, answer = webui.call("/run/predict", asked)
            assert status == 200, answer
            return dict(zip([known[output] for output in one["outputs"]], answer["data"], strict=True))
    raise AssertionError(name)


def selected(webui: Webui, run: str) -> dict[str, Any]:
    """The same for a row of the table that was chosen; no button is on without a text to hand over."""
    shown = pressed(webui, "select", run, "nothing")
    for text, buttons in TEXTS.items():
        assert all(switched_on(shown[button]) is bool(shown[text]) for button in buttons)
    return shown


def switched_on(button: dict[str, Any]) -> bool:
    """As either gradio tells it."""
    return bool(button.get("interactive", button.get("mode") == "dynamic"))


def said(text: str) -> dict[str, str]:
    """The values of an infotext's last line, as hosts read them."""
    found = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', text.rpartition("\n")[2])
    return {key: json.loads(value) if value.startswith('"') else value for key, value in found}


def listed(webui: Webui) -> dict[str, dict[str, Any]]:
    """The runs by what the tab knows them by, the newest first; of one second and two tabs, in any order."""
    return {f"{run['tab']}/{run['run']}": run for run in webui.runs()}


def newest(webui: Webui) -> str:
    return next(iter(listed(webui)))


def begun_and_broken(webui: Webui, tab: str, **values: Any) -> tuple[dict[str, Any], str]:
    """What the tab hands over of a run of which nothing was rendered, and the run."""
    before = listed(webui)
    values |= {"prompt": "a red circle", "negative_prompt": "blue, green", "seed": 77}
    target = {"target": [encoded((30, 60, 220))]}
    broken = {"alwayson_scripts": {"breaker": {"args": [f"{tab} {len(before)}", 0]}}}
    webui.pin([{**SHORT, **target, "start": "original"}], tab, **values, **broken)
    ((name, run),) = ((name, run) for name, run in listed(webui).items() if name not in before)
    assert run["pinned"] is None
    return selected(webui, name), name


@pytest.mark.parametrize("chosen", ["", "txt2img/00009999", "txt2img/x"])
def test_nothing_is_handed_over_without_a_run(webui: Webui, chosen: str) -> None:
    config = webui.call("/config")[1]["components"]
    props = {one["props"].get("elem_id"): one["props"] for one in config}
    for button in (button for buttons in TEXTS.values() for button in buttons):
        assert props[f"prompt_pins_{button}"]["interactive"] is False
    shown = selected(webui, chosen)
    assert not any(shown[text] for text in TEXTS) and "role='status'" in shown["message"]


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_a_run_of_which_nothing_was_rendered_goes_on_from_the_tab(webui: Webui, tab: str) -> None:
    more = {**QUICK, **MORE[tab], "steps": 9}
    shown, run = begun_and_broken(webui, tab, **more)
    text, number = shown["again"], run.partition("/")[2]
    assert not shown["pinned"] and text.startswith("a red circle\nNegative prompt: blue, green\nSteps: 9, ")
    values = said(text)
    assert (values["Script"], values["Pin Go on with run"]) == ("Prompt pinning", number)
    width, _, height = values["Size"].partition("x")
    asked = {"steps": int(values["Steps"]), "sampler_name": values["Sampler"], "cfg_scale": float(values["CFG scale"])}
    asked |= {"seed": int(values["Seed"]), "batch_size": int(values["Batch size"])}
    asked |= {"width": int(width), "height": int(height)}
    if tab == "img2img":
        asked |= {"denoising_strength": float(values["Denoising strength"])}
    body = {**more, **asked, "prompt": "a red circle", "negative_prompt": "blue, green"}
    status, answer = webui.pin([{"resume": number}], tab, **body)
    assert status == 200, answer
    assert listed(webui)[run]["state"] == "finished" and listed(webui)[run]["pinned"] is not None
    wrong = webui.pin([{"resume": number}], tab, **{**body, "steps": 8})
    assert wrong[0] == 422 and "steps" in str(wrong[1])
    whole = selected(webui, run)
    assert all(said(whole[text])["Steps"] == "9" for text in TEXTS)


def test_a_run_that_was_deleted_hands_nothing_over(webui: Webui) -> None:
    assert webui.pin([SHORT], **QUICK)[0] == 200
    run = newest(webui)
    assert all(selected(webui, run)[text] for text in TEXTS)
    shown = pressed(webui, "really_delete", run, "", "all", "newest", "everything")
    assert run not in shown["runs"] and not any(shown[text] for text in TEXTS)


def test_an_analysis_of_a_run_is_begun_again_against_that_runs_target(webui: Webui) -> None:
    assert webui.pin([{**SHORT, "target": [encoded((30, 60, 220))]}], **QUICK)[0] == 200
    run = newest(webui)
    shown = selected(webui, run)
    assert "Run again" in shown["message"] and "target images" in shown["message"]
    words = {"task": "words", "analysis_seeds": 8}
    assert webui.pin([{**words, "of_run": run.partition("/")[2]}], **{**QUICK, "batch_size": 4})[0] == 200
    shown = selected(webui, newest(webui))
    values = said(shown["again"])
    assert (values["Pin Task"], values["Pin Words of run"]) == ("words", run.partition("/")[2])
    assert not shown["message"]
    assert webui.pin([{**words, "target": [encoded((30, 60, 220))]}], **{**QUICK, "batch_size": 4})[0] == 200
    shown = selected(webui, newest(webui))
    assert "Pin Words of run" not in said(shown["again"])
    assert "Measure again" in shown["message"] and "target images" in shown["message"]
    assert webui.pin([words], **{**QUICK, "batch_size": 4})[0] == 200
    assert not selected(webui, newest(webui))["message"]


@pytest.fixture
def shared_folder(webui: Webui, tmp_path: Path) -> Iterator[None]:
    """While it lasts, the host's setting names one folder for the images of both tabs."""
    assert webui.call("/sdapi/v1/options", {"outdir_samples": str(tmp_path)})[0] == 200
    yield
    assert webui.call("/sdapi/v1/options", {"outdir_samples": ""})[0] == 200


def test_runs_of_both_tabs_in_one_folder(webui: Webui, request: pytest.FixtureRequest) -> None:
    before = {tab: begun_and_broken(webui, tab, **QUICK, **more)[1] for tab, more in MORE.items()}
    request.getfixturevalue("shared_folder")
    after = {tab: begun_and_broken(webui, tab, **QUICK, **more)[1] for tab, more in MORE.items()}
    runs = [*before.values(), *after.values()]
    assert [run.partition("/")[0] for run in runs] == ["txt2img", "img2img", "samples", "samples"]
    old, new = ({run.partition("/")[2] for run in some.values()} for some in (before, after))
    assert len(new - old) == 2
    assert set(runs) <= set(listed(webui))
    job = {**QUICK, "prompt": "a red circle", "negative_prompt": "blue, green", "seed": 77}
    for tab, more in MORE.items():
        for run in (before[tab], after[tab]):
            shown = selected(webui, run)
            assert shown["resume"]["visible"] is (tab == "txt2img")
            assert shown["resume_img2img"]["visible"] is (tab == "img2img")
            number = said(shown["again"])["Pin Go on with run"]
            status, answer = webui.pin([{"resume": number}], tab, **job, **more)
            assert status == 200, answer
            found = listed(webui)[run]
            assert found["state"] == "finished" and webui.picture(found, found["thumbnails"][0]).size
    number = before["txt2img"].partition("/")[2]
    assert webui.pin([{**SHORT, "pin_to_run": number}], **job)[0] == 200
    assert webui.runs()[0]["tab"] == "samples" and webui.runs()[0]["target"]["source"] == "images"


def test_an_analysis_of_a_run_in_another_folder_of_the_hosts_is_begun_again_with_that_run(
    webui: Webui, request: pytest.FixtureRequest
) -> None:
    target = [encoded((30, 60, 220))]
    assert webui.pin([{**SHORT, "target": target}], **{**QUICK, "batch_size": 2})[0] == 200
    number = newest(webui).partition("/")[2]
    request.getfixturevalue("shared_folder")
    words = {"task": "words", "of_run": number, "analysis_seeds": 8}
    assert webui.pin([words], **{**QUICK, "batch_size": 4})[0] == 200
    assert newest(webui).startswith("samples/")
    assert said(selected(webui, newest(webui))["again"])["Pin Words of run"] == number
