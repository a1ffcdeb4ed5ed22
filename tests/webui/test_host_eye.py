"""By eye in a WebUI: the routes of the page, the wait and its interruption, and a person in the tab."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from typing import Any

import pytest

from tests.patience import HUNG
from tests.webui.client import Webui
from tests.webui.test_host_browser import SCRIPT, fill, keep, logged, open_tab, page, prepare

__all__ = ["page"]

TASTE = {
    "generations": 2, "lambda_": 3, "held_out": 2, "finalists": 1, "contest_seeds": 2, "gifs": False, "plots": False,
    "loss_objectives": ["taste"],
}  # fmt: skip
KEY = "X-Prompt-Pins-Key"


class Job:
    """A job by eye, in a thread."""

    def __init__(self, webui: Webui, options: dict[str, Any]) -> None:
        self.webui, self.answer = webui, list[tuple[int, Any]]()
        self.thread = threading.Thread(
            target=lambda: self.answer.append(webui.pin([options], steps=4, batch_size=2)), daemon=True
        )
        self.thread.start()

    def asks(self, number: int) -> dict[str, Any]:
        """The run, once it asks that question; or once the job has ended."""
        while True:
            ended = not self.thread.is_alive()
            run = next(iter(self.webui.runs()), {})
            if ended or (run.get("asks") == number and run["state"] == "running"):
                return run
            threading.Event().wait(0.1)


def place(run: dict[str, Any]) -> str:
    return f"/prompt-pins/v1/runs/{run['tab']}/{run['run']}/eye/"


def send(webui: Webui, run: dict[str, Any], body: Any, key: str) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json", KEY: key}
    request = urllib.request.Request(f"{webui.url}{place(run)}answer", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=HUNG) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_run_is_ranked_through_its_routes_interrupted_while_it_waits_and_goes_on(webui: Webui) -> None:
    job = Job(webui, TASTE)
    run = job.asks(1)
    with urllib.request.urlopen(webui.url + place(run), timeout=HUNG) as answer:
        text, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    key = re.findall(r'"key":"([^"]+)"', text)[0]
    shown = len(re.findall(r'class="card"', text))
    assert policy == "frame-ancestors 'self'" and shown == 3
    assert webui.call(place(run) + "state.json")[1]["question"] == 1
    right = {"number": 1, "answers": [1, 2, 3]}
    assert send(webui, run, right, key[:-1])[0] == 403
    assert webui.call(place(run) + "answer", right)[0] == 403
    for wrong in ({**right, "number": 2}, {**right, "answers": [1, 1, 1]}, {}):
        assert send(webui, run, wrong, key)[0] == 422
    assert send(webui, {**run, "run": "00099999"}, right, key)[0] == 404
    webui.call("/sdapi/v1/interrupt", {})
    job.thread.join()
    assert webui.runs()[0]["state"] == "stopped" and webui.runs()[0]["asks"] == 1
    assert send(webui, run, right, key)[0] == 200
    assert send(webui, run, right, key)[0] == 409
    job = Job(webui, {**TASTE, "resume": str(int(run["run"]))})
    for number, answers in ((2, [1, 2, 3, 0]), (3, [2, 1, 3, 4, 5]), (4, [2, 2])):
        found = job.asks(number)
        if found.get("asks") == number:
            assert send(webui, run, {"number": number, "answers": answers[: size(webui, run)]}, key)[0] == 200
    job.thread.join()
    assert job.answer[0][0] == 200 and webui.runs()[0]["state"] == "finished", job.answer


def size(webui: Webui, run: dict[str, Any]) -> int:
    """How many answers the run's question wants."""
    return len([line for line in webui.journal(run) if line["kind"] == "question"][-1]["images"])


@pytest.mark.parametrize("page", [(1600, "light"), (390, "dark")], indirect=True)
def test_a_person_ranks_in_the_tab(page: Any, webui: Webui) -> None:
    prepare(page, 2)
    page.click("#script_txt2img_prompt_pinning_group_loss")
    fill(page, SCRIPT + "loss_objectives textarea", "taste")
    page.click("#txt2img_generate")
    page.wait_for_function("document.body.innerText.includes('waiting for you')", polling=200)
    open_tab(page)
    run = webui.runs()[0]
    row = f"#prompt_pins_runs tr[data-run='txt2img/{run['run']}']"
    assert "waits for you" in page.inner_text(row)
    page.click(row)
    frame = page.frame_locator("#prompt_pins_report iframe")
    frame.locator(".card").first.wait_for()
    inner = next(one for one in page.frames if one.url.endswith("/eye/"))
    assert inner.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    dark = inner.evaluate("document.documentElement.dataset.theme")
    assert dark == ("dark" if page.evaluate("document.body.classList.contains('dark')") else "light")
    keep(page, f"eye-{page.viewport_size['width']}")
    # the bar with the buttons is fixed within its frame, so a click alone would not scroll the page to it
    page.locator("#prompt_pins_report iframe").evaluate("frame => frame.scrollIntoView({block: 'end'})")
    frame.locator(".card").first.focus()
    for pressed in ("Enter", "ArrowRight", "x"):
        page.keyboard.press(pressed)
    frame.locator("#enough").click()
    frame.locator("h1:has-text('The last ones')").wait_for()
    frame.locator(".card").last.click()
    frame.locator("#send").click()
    while (now := webui.runs()[0])["state"] == "running" and now.get("asks") != 3:
        page.wait_for_timeout(200)
    if now.get("asks"):  # none where the original has won
        frame.locator("h1:has-text('Left or right')").wait_for()
        frame.locator("#send").click()
    page.click("#tabs > .tab-nav button:has-text('txt2img')")
    logged(page, "the user has seen enough")
    assert webui.runs()[0]["state"] == "finished"
