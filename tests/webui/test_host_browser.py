"""A person at the page of a real WebUI, in Debian's Chromium: the script, its progress, the tab and the report."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.patience import HUNG
from tests.webui.client import Webui, encoded

SCRIPT = "#script_txt2img_prompt_pinning_"
LISTS = ("/sdapi/v1/samplers", "/sdapi/v1/scripts", "/sdapi/v1/script-info")
SETTLED = 700


@pytest.fixture
def page(webui: Webui, browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The WebUI's page, loaded; errors of the page's scripts fail the test."""
    if not webui.real:
        pytest.skip("the stand-in's page has none of the WebUI's own controls")
    width, theme = getattr(request, "param", (1280, "light"))
    page = browser.new_page(viewport={"width": width, "height": 1000})
    page.set_default_timeout(1000 * HUNG)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"{error} {error.stack}"))
    page.goto(f"{webui.url}/?__theme={theme}")
    page.wait_for_selector("#txt2img_generate")
    page.wait_for_timeout(3 * SETTLED)
    yield page
    assert not [error for error in errors if "promptPinning" in error]
    page.close()


def keep(page: Any, name: str) -> None:
    """A picture to look at, where `PROMPT_PINS_SCREENSHOTS` names a folder."""
    folder = os.environ.get("PROMPT_PINS_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def fill(page: Any, selector: str, value: object) -> None:
    """Type into a field and leave it, so that the page takes note."""
    page.fill(selector, str(value))
    page.press(selector, "Tab")
    page.wait_for_timeout(150)


def choose(page: Any, dropdown: str, value: str) -> None:
    """Choose from one of the page's lists."""
    page.fill(f"{dropdown} input", value)
    page.click(f"{dropdown} ul li[data-value='{value}'], {dropdown} ul li[aria-label='{value}']")
    page.wait_for_timeout(SETTLED)


def prepare(page: Any, generations: int) -> None:
    """A small job with the script."""
    fill(page, "#txt2img_prompt textarea", "a red circle, white background")
    choose(page, "#txt2img_sampling", "DPM++ 2M - Hyperbatch")
    for name, value in (("steps", 4), ("batch_size", 2), ("width", 128), ("height", 128)):
        fill(page, f"#txt2img_{name} input[type=number]", value)
    choose(page, "#script_list", "Prompt pinning")
    fill(page, SCRIPT + "generations input", generations)
    fill(page, SCRIPT + "held_out input", 2)


def logged(page: Any, text: str) -> None:
    """Wait until the host says this below the images; a run may take its time."""
    found = f"document.querySelector('#html_log_txt2img').innerText.includes({text!r})"
    page.wait_for_function(found, polling=SETTLED)  # each frame would take the host's time


def open_tab(page: Any) -> None:
    """The tab of runs, with its table."""
    page.click("#tabs > .tab-nav button:has-text('Prompt pins')")
    page.wait_for_selector("#prompt_pins_runs tr[data-run]")


def test_a_run_from_the_page(page: Any, webui: Webui, tmp_path: Path) -> None:
    import base64

    target = tmp_path / "target.png"
    target.write_bytes(base64.b64decode(encoded((220, 40, 40))))
    before = len(webui.runs())
    prepare(page, 2)
    page.set_input_files(SCRIPT + "target input[type=file]", str(target))
    page.wait_for_timeout(2 * SETTLED)
    page.wait_for_function(f"document.querySelector('{SCRIPT}plan').innerText.includes('weights vary')")
    assert "× 2 generations × 2 images" in page.inner_text(SCRIPT + "plan")
    assert page.get_attribute(SCRIPT + "generations", "title").startswith("Budget of generations")
    keep(page, "script")
    page.click("#txt2img_generate")
    page.wait_for_function("document.body.innerText.includes('Interrupt keeps everything')", polling=200)
    keep(page, "progress")
    logged(page, "Prompt pins run")
    keep(page, "result")
    assert len(webui.runs()) == before + 1
    run = webui.runs()[0]
    assert run["target"]["source"] == "images" and run["state"] == "finished"
    assert page.locator("#txt2img_gallery img").count() >= 2


def test_interrupt_keeps_the_best(page: Any, webui: Webui) -> None:
    prepare(page, 40)
    page.click("#txt2img_generate")
    page.wait_for_function("document.body.innerText.includes('Interrupt keeps everything')", polling=200)
    page.click("#txt2img_interrupt")
    page.wait_for_timeout(200)
    if page.is_visible("#txt2img_interrupting"):
        page.click("#txt2img_interrupting")
    logged(page, "stopped")
    assert webui.runs()[0]["state"] == "stopped"


def test_bad_input_is_one_line(page: Any) -> None:
    prepare(page, 2)
    fill(page, SCRIPT + "generations input", -5)
    page.wait_for_function(f"document.querySelector('{SCRIPT}plan').innerText.includes('generations')")
    page.click("#txt2img_generate")
    logged(page, "is not allowed")
    assert "Traceback" not in page.inner_text("body")


@pytest.mark.parametrize("page", [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], indirect=True)
def test_the_tab_shows_runs_and_sends_the_pinned_prompt(page: Any, webui: Webui, request: Any) -> None:
    if not webui.runs(state="finished"):
        assert webui.pin([{"generations": 1, "lambda_": 2}], steps=4, batch_size=2)[0] == 200
    open_tab(page)
    row = page.locator("#prompt_pins_runs tr[data-run]:has-text('finished')").first
    pinned = row.locator(".prompt-pins-prompt").get_attribute("title")
    row.click()
    frame = page.frame_locator("#prompt_pins_report iframe")
    frame.locator("h1").wait_for()
    page.wait_for_timeout(2 * SETTLED)
    keep(page, "tab-" + "-".join(map(str, request.node.callspec.params["page"])))
    choose(page, "#prompt_pins_notation", "text")
    page.wait_for_function(f"document.querySelector('#prompt_pins_exported textarea')?.value.startsWith({pinned!r})")
    page.click("#prompt_pins_to_txt2img")
    page.wait_for_function("document.querySelector('#tab_txt2img').style.display !== 'none'")
    page.wait_for_function(f"document.querySelector('#txt2img_prompt textarea').value === {json.dumps(pinned)}")


def test_delete_asks_first(page: Any, webui: Webui) -> None:
    assert webui.pin([{"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0}], steps=2, batch_size=2)[0] == 200
    newest = webui.runs()[0]
    open_tab(page)
    row = f"#prompt_pins_runs tr[data-run='{newest['tab']}/{newest['run']}']"
    page.click(row)
    page.wait_for_selector("#prompt_pins_report iframe")
    page.click("#prompt_pins_delete")
    page.wait_for_selector("#prompt_pins_really_delete")
    assert newest["run"] in [run["run"] for run in webui.runs()]
    page.click("#prompt_pins_really_delete")
    page.wait_for_selector(row, state="detached")
    assert (newest["tab"], newest["run"]) not in [(run["tab"], run["run"]) for run in webui.runs()]


def test_reloading_the_page_registers_nothing_twice(page: Any, webui: Webui) -> None:
    tree = {"sampler_name": "DPM++ 2M - Hyperbatch", "steps": 4, "batch_size": 2}
    fresh = webui.render(**tree)
    before = [webui.call(path)[1] for path in LISTS]
    number = webui.call("/app_id")[1]
    page.evaluate("gradioApp().querySelector('#settings_restart_gradio').click()")
    back = False
    while not back:
        page.wait_for_timeout(1000)
        with contextlib.suppress(OSError):
            status, answer = webui.call("/app_id", timeout=5)
            back = status == 200 and answer != number and webui.call("/prompt-pins/v1/options")[0] == 200
    assert [webui.call(path)[1] for path in LISTS] == before
    assert all(np.array_equal(a, b) for a, b in zip(fresh.images, webui.render(**tree).images, strict=True))
    page.goto(webui.url)
    page.wait_for_selector("#txt2img_generate")
    assert page.locator("#tabs > .tab-nav button:has-text('Prompt pins')").count() == 1
    assert page.locator(SCRIPT + "generations").count() == 1


PAYLOADS = "--target 1\n--prompt 'a {piece} square, blue background' --target 2 --seed 9"


@pytest.mark.parametrize("page", [(1280, "light"), (390, "dark")], indirect=True)
def test_payloads_from_the_page(page: Any, webui: Webui, tmp_path: Path) -> None:
    import base64

    targets = [tmp_path / "red.png", tmp_path / "blue.png"]
    for path, colour in zip(targets, ((220, 40, 40), (40, 75, 220)), strict=True):
        path.write_bytes(base64.b64decode(encoded(colour)))
    prepare(page, 2)
    fill(page, "#txt2img_prompt textarea", "a {piece} circle, blue background")
    group, box = SCRIPT + "group_payloads", SCRIPT + "payload textarea"
    page.click(f"{group} > .label-wrap")
    fill(page, box, "--prompt 'a cat'")
    fill(page, SCRIPT + "piece textarea, " + SCRIPT + "piece input", "red blue")
    page.wait_for_function(f"document.querySelector('{SCRIPT}plan').innerText.includes('payload 1: prompt')")
    (tmp_path / "prompts.txt").write_text(PAYLOADS)
    page.set_input_files(SCRIPT + "payload_file input[type=file]", str(tmp_path / "prompts.txt"))
    page.wait_for_function(f"document.querySelector('{SCRIPT}plan').innerText.includes('2 weights vary')")
    assert "2 payloads × 2 images" in page.inner_text(SCRIPT + "plan") and page.input_value(box) == PAYLOADS
    assert page.locator(box).bounding_box()["width"] > 0.85 * page.locator(group).bounding_box()["width"]
    keep(page, f"payloads-{page.viewport_size['width']}")
    page.set_input_files(SCRIPT + "target input[type=file]", [str(path) for path in targets])
    page.wait_for_timeout(3 * SETTLED)
    page.click("#txt2img_generate")
    logged(page, "Prompt pins run")
    run = webui.runs()[0]
    first = next(line for line in webui.journal(run) if line["kind"] == "candidate")
    assert run["state"] == "finished" and len(first["prompts"]) == 2 and first["prompts"][1][0].endswith("background")
    assert page.locator("#txt2img_gallery img").count() >= 4
    open_tab(page)
    page.click(f"#prompt_pins_runs tr[data-run='{run['tab']}/{run['run']}']")
    page.frame_locator("#prompt_pins_report iframe").locator("h3:has-text('Payload 2')").first.wait_for()
    keep(page, f"payloads-report-{page.viewport_size['width']}")
    assert page.inner_text("#prompt_pins_measure") == "Leave one out" and not page.is_visible("#prompt_pins_map")
    page.click("#prompt_pins_measure")
    page.wait_for_function("document.querySelector('#tab_txt2img').style.display !== 'none'")
    page.wait_for_timeout(3 * SETTLED)
    page.wait_for_function(f"document.querySelector('{SCRIPT}plan').innerText.includes('once more without each')")
    page.click("#txt2img_generate")
    logged(page, "on the others alone")
    keep(page, f"payloads-left-out-{page.viewport_size['width']}")
    assert [one["state"] for one in webui.runs()[:2]] == ["finished"] * 2 and webui.runs()[2]["run"] == run["run"]


MEASURE = "#script_txt2img_prompt_pinning_task input[type=radio]"


def prepare_words(page: Any) -> None:
    """A small job that measures words."""
    prepare(page, 2)
    page.locator(MEASURE).nth(1).check()
    page.wait_for_timeout(SETTLED)
    page.click("#script_txt2img_prompt_pinning_group_measure_words > .label-wrap")
    fill(page, SCRIPT + "analysis_seeds input", 8)


def row(run: str) -> str:
    """The row of a run of txt2img in the tab's table."""
    return f"#prompt_pins_runs tr[data-run='txt2img/{run}']"


def compared(page: Any, one: str, other: str) -> None:
    """Select two analyses by their numbers."""
    page.click(row(one))
    page.frame_locator("#prompt_pins_report iframe").locator("h1").wait_for()
    page.click(row(other), modifiers=["Control"])
    page.wait_for_timeout(2 * SETTLED)
    page.click("#prompt_pins_compare")
    page.frame_locator("#prompt_pins_report iframe").locator("h2:has-text('What changed')").wait_for()


def test_words_from_the_page(page: Any, webui: Webui) -> None:
    prepare_words(page)
    page.wait_for_function(f"document.querySelector('{SCRIPT}plan').innerText.includes('5 words · 88 images')")
    keep(page, "words-script")
    page.click("#txt2img_generate")
    page.wait_for_function("/word .* images .* left .* Interrupt keeps everything/.test(document.body.innerText)")
    keep(page, "words-progress")
    logged(page, "Prompt pins analysis")
    page.wait_for_selector("#txt2img_gallery img")
    page.wait_for_timeout(SETTLED)
    keep(page, "words-result")
    found = webui.runs(task="words")[0]
    assert found["state"] == "finished" and len(found["moves"]) == 5
    assert "the image" in page.inner_text("#html_log_txt2img")


def test_words_are_interrupted_and_go_on_from_the_tab(page: Any, webui: Webui) -> None:
    prepare_words(page)
    fill(page, SCRIPT + "analysis_seeds input", 24)
    page.click("#txt2img_generate")
    page.wait_for_function("document.body.innerText.includes('word 1/')", polling=200)
    page.click("#txt2img_interrupt")
    page.wait_for_timeout(200)
    if page.is_visible("#txt2img_interrupting"):
        page.click("#txt2img_interrupting")
    logged(page, "stopped")
    stopped = webui.runs(task="words")[0]
    assert stopped["state"] == "stopped" and 0 < len(stopped["moves"]) < 5
    open_tab(page)
    page.click(row(stopped["run"]))
    page.frame_locator("#prompt_pins_report iframe").locator("h1").wait_for()
    page.click("#prompt_pins_resume")
    page.wait_for_function("document.querySelector('#tab_txt2img').style.display !== 'none'")
    page.wait_for_timeout(3 * SETTLED)
    assert page.locator(MEASURE).nth(1).is_checked()
    page.click("#txt2img_generate")
    logged(page, "finished")
    again = webui.runs(task="words")[0]
    assert (again["run"], again["state"], len(again["moves"])) == (stopped["run"], "finished", 5)


def test_the_words_of_a_finished_run_from_the_tab(page: Any, webui: Webui) -> None:
    small = {"generations": 1, "lambda_": 3, "held_out": 0, "finalists": 0, "target": [encoded((220, 40, 40))]}
    assert webui.pin([small], steps=4, batch_size=2, prompt="a red circle")[0] == 200
    run = webui.runs(task="pin")[0]
    open_tab(page)
    page.click(row(run["run"]))
    page.frame_locator("#prompt_pins_report iframe").locator("h1").wait_for()
    page.click("#prompt_pins_measure")
    page.wait_for_function("document.querySelector('#tab_txt2img').style.display !== 'none'")
    page.wait_for_timeout(3 * SETTLED)
    assert page.input_value("#txt2img_prompt textarea") == run["pinned"]["prompt"]
    page.click("#txt2img_generate")
    logged(page, "Prompt pins analysis")
    words = webui.runs(task="words")[0]
    assert words["prompt"] == run["pinned"]["prompt"] and words["config"]["steps"] == 4
    assert words["target"]["source"] == "images"


def test_a_run_pins_to_a_picture_of_a_map_from_the_tab(page: Any, webui: Webui) -> None:
    small = {"generations": 1, "lambda_": 3, "held_out": 0, "finalists": 0, "task": "map", "map_candidates": 12}
    prompt = "(a:=1) red blue (circle on a white background:=1)"
    assert webui.pin([{**small, "map_radius": 0.8}], steps=4, batch_size=2, prompt=prompt)[0] == 200
    run = webui.runs(task="map")[0]
    open_tab(page)
    choose(page, "#prompt_pins_task", "maps")
    page.click(row(run["run"]))
    page.frame_locator("#prompt_pins_report iframe").locator("h1").wait_for()
    page.locator("#prompt_pins_picture").wait_for()
    assert page.inner_text("#prompt_pins_map") == "Keep within it"
    page.click("#prompt_pins_measure")
    page.wait_for_function("document.querySelector('#tab_txt2img').style.display !== 'none'")
    page.wait_for_timeout(3 * SETTLED)
    assert page.input_value("#txt2img_prompt textarea") == prompt
    page.click("#txt2img_generate")
    logged(page, "Prompt pins run")
    pinned = webui.runs(task="pin")[0]
    assert webui.journal(pinned)[0]["warm"] and len(pinned["target"]["images"]) == 2


def _of_scale(webui: Webui, prompt: str, scale: float) -> str:
    """The newest analysis of a prompt at a CFG scale that can be compared; "" for none."""
    runs = [
        run for run in webui.runs(task="words", state="finished") if run["prompt"] == prompt and run["images"] == 88
    ]
    return next((str(run["run"]) for run in runs if run["config"]["cfg_scale"] == scale), "")


@pytest.mark.parametrize("page", [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], indirect=True)
def test_two_analyses_are_compared_in_the_tab(page: Any, webui: Webui, request: Any) -> None:
    words = {"task": "words", "analysis_seeds": 8, "target": [encoded((220, 40, 40))]}
    job = {"steps": 4, "batch_size": 4, "prompt": "a red circle, white background"}
    own = {scale: _of_scale(webui, job["prompt"], scale) for scale in (2, 6)}
    for scale in (scale for scale, run in own.items() if not run):
        assert webui.pin([words], **job, cfg_scale=scale)[0] == 200
        own[scale] = _of_scale(webui, job["prompt"], scale)
    open_tab(page)
    shape = "-".join(map(str, request.node.callspec.params["page"]))
    page.click(row(own[6]))
    page.frame_locator("#prompt_pins_report iframe").locator("h1").wait_for()
    page.wait_for_timeout(2 * SETTLED)
    keep(page, "words-tab-" + shape)
    choose(page, "#prompt_pins_task", "analyses")
    page.wait_for_function("!document.querySelector('#prompt_pins_runs tr[data-run]:not(:has(.prompt-pins-words))')")
    compared(page, own[2], own[6])
    page.wait_for_timeout(SETTLED)
    keep(page, "words-compared-" + shape)
