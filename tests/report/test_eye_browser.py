"""Ranking by eye in a real Chromium, on the pages of `serve`: by keyboard and mouse, by two at once, by nobody else."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.cli.serve import make_server
from prompt_pins.config import RunConfig
from prompt_pins.report import eye
from prompt_pins.run import eye as waiting
from prompt_pins.run import pin
from prompt_pins.store import RunFolder, Runs

from tests.patience import HUNG
from tests.report.test_browser import opened
from tests.run.painter import Painter

PATIENCE = 1000 * HUNG
OPTIONS: dict[str, Any] = {
    "prompt": "a red </script><b>blue</b> circle", "loss_objectives": ("taste",), "steps": 1, "batch_size": 4,
    "lambda_": 11, "generations": 3, "contest_seeds": 2, "finalists": 1, "held_out": 3, "plots": False, "gifs": False,
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[RunFolder, threading.Thread]]:
    """A run that works in a thread."""
    host, stop = Painter(), threading.Event()
    host.interrupted = stop.is_set  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: list(pin.start(RunConfig(**OPTIONS), host, Runs(tmp_path))), daemon=True)
    thread.start()
    yield RunFolder(tmp_path / "00000000"), thread
    stop.set()
    thread.join()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with make_server(tmp_path, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def post(address: str, path: str, body: Any, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=HUNG)
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())["detail"]


def test_a_run_ranked_by_keyboard_and_mouse(
    browser: Any, run: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, thread = run
    monkeypatch.setattr(waiting, "POLL", 0.01)
    wait_for_question(folder, 1)
    place = f"http://{address}/00000000/eye"
    for width, theme in ((1600, "light"), (390, "dark")):
        with opened(browser, place, width, theme) as (page, asked):
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert page.evaluate("[...document.images].every(image => image.alt)")
            assert all(one.startswith((f"http://{address}/", "data:")) for one in asked)
            assert page.evaluate("document.activeElement.className").split()[0] == "card"
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    late = browser.new_page()  # of which the browser says itself that it was refused
    late.goto(place)
    with opened(browser, place) as (page, _):
        page.keyboard.press("Control+Enter")
        assert "One at least" in page.text_content("#told")
        page.keyboard.press("Enter")  # the first one: place 1
        page.keyboard.press("ArrowRight")
        page.keyboard.press("1")
        page.keyboard.press("1")  # 11, the last place
        page.keyboard.press("End")
        page.keyboard.press("x")
        assert page.get_attribute(".card >> nth=0", "aria-label") == "Candidate 1 of 11: place 1"
        assert page.get_attribute(".card >> nth=1", "aria-label") == "Candidate 2 of 11: place 11"
        assert page.text_content("#told") == "Candidate 11: crossed out."
        page.click(".cross >> nth=2")
        page.click(".card >> nth=3")
        late.click(".card >> nth=5")
        page.keyboard.press("Control+Enter")
        page.wait_for_function("document.getElementById('told')?.textContent.startsWith('Thank you')", timeout=PATIENCE)
        late.click("#send")
        late.wait_for_function("/already|asks nothing|Generation 2/.test(document.body.innerText)", timeout=PATIENCE)
    late.close()
    assert wait_for_question(folder, 2).verdicts[0].answers == (1, 11, 0, 12, *[13] * 6, 0)
    with opened(browser, place) as (page, _):  # stays open until the run is over
        page.click(".card >> nth=2")
        page.click("#enough")
        page.wait_for_function("document.querySelector('h1').textContent.startsWith('The last ones')", timeout=PATIENCE)
        finalists, original = wait_for_question(folder, 3).pending.ids, folder.record().original
        page.click(f".card >> nth={next(i for i, one in enumerate(finalists) if one != original.id)}")
        page.click("#send")
        page.wait_for_selector(".pair", timeout=PATIENCE)
        assert page.get_attribute(".pair img >> nth=0", "alt") == "Left image of pair 1"
        page.focus("input[name=pair0] >> nth=0")
        page.keyboard.press("Space")
        page.click("input[name=pair1] >> nth=2")
        page.click("#send")
        page.wait_for_function("document.getElementById('said').textContent.includes('finished')", timeout=PATIENCE)
    thread.join()
    record = folder.record()
    assert record.reason == str(waiting.ENOUGH) and record.verdicts[-1].answers == (1, 2, 0)
    assert record.held is not None and sorted(record.held.fits_original)[1] in (0.0, 0.5, 1.0)


def wait_for_question(folder: RunFolder, number: int) -> Any:
    """The run's record once it asks that."""
    while True:
        record = folder.record() if folder.journal_path.is_file() and folder.journal_path.stat().st_size else None
        if record is not None and record.pending is not None and record.pending.number == number:
            return record
        threading.Event().wait(0.02)


def test_only_the_servers_own_page_can_answer(run: Any, address: str) -> None:
    folder, _ = run
    question = wait_for_question(folder, 1).pending
    connection = http.client.HTTPConnection(address, timeout=HUNG)
    connection.request("GET", "/00000000/eye/")
    page = connection.getresponse().read().decode()
    key = json.loads(page.split('id="data">')[1].split("</script>")[0])["key"]
    assert "</script><b>" not in page
    right = {"number": 1, "answers": [1] + [2] * (len(question.images) - 1)}
    own = {"Content-Type": "application/json", eye.KEY: key}
    place = "/00000000/eye/answer"
    for headers in (
        {"Content-Type": "application/json"}, {**own, eye.KEY: key[:-1]}, {**own, "Content-Type": "text/plain"},
        {**own, "Origin": "http://evil.example"}, {**own, "Host": "evil.example"}, {**own, "Origin": "null"},
    ):  # fmt: skip
        assert post(address, place, right, **headers)[0] == 403, headers
    assert post(address, "/00000001/eye/answer", right, **own)[0] == 404
    assert post(address, "/00000000/eye/", right, **own)[0] == 404
    assert post(address, place, {**right, "text": "x" * 2**20}, **own)[0] == 413
    for wrong in ({**right, "number": 2}, [], {**right, "answers": [1] * len(question.images)}, {"answers": []}):
        status, said = post(address, place, wrong, **own)
        assert status == 422 and "an answer to question 1" in said
    assert not (folder.path / "verdicts").exists()
    assert post(address, place, right, **own)[0] == 200
    assert post(address, place, right, **own)[0] in (409, 422)  # answered, or already the next one's turn
