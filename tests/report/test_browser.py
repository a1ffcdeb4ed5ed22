"""Pages in a real Chromium, from files and from `serve`.  Skipped where playwright or Chromium is missing."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_pins import report
from prompt_pins.cli.serve import make_server
from prompt_pins.store import Runs
from prompt_pins.store.folder import ANALYSIS

from tests.report.synthetic import Shape, SyntheticRun

SHAPE = Shape(generations=12, population=4, batch=8, size=48, held=4, objectives=2, likely="better", measured=True)
LOADED = 5_000_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of hostile words and an index."""
    root = tmp_path_factory.mktemp("runs")
    report.build(SyntheticRun(root / "00000003", SHAPE).write())
    folder = root / "analysis" / "00000000"
    folder.mkdir(parents=True)
    (folder / ANALYSIS).write_text(json.dumps(analysis()), "utf-8")
    report.build_analysis(folder)
    report.build_index(Runs(root))
    return root


def analysis() -> dict[str, Any]:
    """One of three words with the widest figures that there are."""
    effect = {"mean": -0.123, "low": -0.456, "high": 0.456}
    side = {"weight": 1.5, "prompt": "a", "negative_prompt": "", "images": [], "fit": effect, "spread": effect}
    side["image"] = {**effect, "mean": 0.4}
    word = {"side": "prompt", "weight": 1.0, "image": side["image"], "fit": effect, "lowered": side, "raised": side}
    return {
        "version": 3, "state": "finished", "reason": "", "host": {}, "time": "2026-01-02T03:04:05", "hint": "",
        "fit": 0.3, "spread": 0.2, "seeds": [1, 2], "target_images": [], "images": [], "target_source": "images",
        "config": {"prompt": "a cat"}, "options": {"by": "images", "analysis_seeds": 16, "analysis_step": 0.5},
        "words": [{**word, "label": label} for label in ("a", "cat", "anti-disestablishmentarianism")],
    }  # fmt: skip


@pytest.fixture(scope="module")
def served(runs: Path) -> Iterator[str]:
    """Its address over http."""
    server = make_server(runs, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def kinds(root: Path) -> list[str]:
    """One page of each kind, relative to the folder of runs."""
    candidate = next(path for path in sorted(root.rglob("batch_stats.json")) if (path.parent / "index.html").is_file())
    run = "00000003"
    return [
        "index.html",
        f"{run}/index.html",
        f"{run}/00000002/index.html",
        str((candidate.parent / "index.html").relative_to(root)),
    ]


@contextlib.contextmanager
def opened(browser: Any, address: str, width: int = 1280, theme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """(page, everything that it asked for); messages on the console, errors and dialogs fail the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    yield page, asked
    context.close()
    assert wrong == []


@pytest.mark.parametrize("over", ["file", "http"])
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1600, "light")])
def test_every_kind_of_page(browser: Any, runs: Path, served: str, over: str, width: int, theme: str) -> None:
    root = served if over == "http" else runs.as_uri()
    for name in kinds(runs):
        with opened(browser, f"{root}/{name}", width, theme) as (page, asked):
            page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
            assert page.evaluate("[...document.images].every(image => image.alt)"), name
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(22, 23, 26)") == (theme == "dark"), name
            assert all(address.startswith((root, "data:")) for address in asked), name


def test_the_table_by_keyboard(browser: Any, runs: Path) -> None:
    with opened(browser, f"{runs.as_uri()}/00000003/index.html") as (page, _):
        page.wait_for_selector("html[data-ready=yes]", state="attached")
        seen = []
        for _ in range(80):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.textContent.trim().slice(0, 40)"))
            if seen[-1] == "Loss":
                break
        assert seen[-1] == "Loss" and "Copy prompt" in seen
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        for direction, sign in (("ascending", 1), ("descending", -1)):
            page.keyboard.press("Enter")
            assert page.get_attribute("#grid [data-column='2']", "aria-sort") == direction
            shown = page.eval_on_selector_all("#rows .row .n:nth-child(3)", "nodes => nodes.map(n => n.textContent)")
            losses = [sign * float(text) for text in shown if text != "–"]
            assert len(losses) > 5 and losses == sorted(losses)


def test_light_and_dark_are_switched_by_keyboard_and_charts_follow(browser: Any, runs: Path) -> None:
    with opened(browser, f"{runs.as_uri()}/00000003/index.html") as (page, _):
        page.wait_for_selector("#chart-loss canvas")
        page.focus("[data-theme-switch]")
        page.keyboard.press("Enter")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 23, 26)"
        assert page.locator("#chart-loss canvas").count() == 1


def test_the_losses_are_behind_a_switch(browser: Any, runs: Path) -> None:
    with opened(browser, f"{runs.as_uri()}/00000003/index.html") as (page, _):
        page.wait_for_selector("#chart-loss canvas")
        legend = page.locator("#chart-loss .u-legend")
        assert "% of the original's loss" in legend.text_content() and "Best" not in legend.text_content()
        page.check("#raw")
        assert "Best" in legend.text_content() and "Mean ± std" in legend.text_content()
        page.uncheck("#raw")
        assert "% of the original's loss" in legend.text_content()


def test_without_the_figure_the_losses_are_shown_and_there_is_no_switch(browser: Any, tmp_path: Path) -> None:
    shape = Shape(generations=2, population=3, batch=2, size=16, held=0, progress=False)
    root = report.build(SyntheticRun(tmp_path / "00000000", shape).write())
    with opened(browser, root.as_uri()) as (page, _):
        page.wait_for_selector("#chart-loss canvas")
        assert "Best" in page.locator("#chart-loss .u-legend").text_content()
        assert not page.locator("#switch").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_column_of_a_table_is_cut_off(browser: Any, runs: Path, width: int) -> None:
    for name in ("analysis/00000000/index.html", "00000003/index.html"):
        with opened(browser, f"{runs.as_uri()}/{name}", width) as (page, _):
            page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
            cut = "[...document.querySelectorAll('.scroll')].filter(n => n.scrollWidth > n.clientWidth + 1)"
            assert page.evaluate(f"{cut}.filter(n => n.querySelector('.stack')).length") == 0, name
            assert page.evaluate("document.querySelectorAll('.stack tbody tr').length") > 1, name


def test_a_long_run_shows_few_rows_and_loads_little(browser: Any, tmp_path: Path) -> None:
    shape = Shape(generations=150, population=20, batch=8, size=8, held=0, images=False)
    root = report.build(SyntheticRun(tmp_path / "00000000", shape).write())
    with opened(browser, root.as_uri()) as (page, asked):
        page.wait_for_selector("html[data-ready=yes]", state="attached")
        assert page.locator("#count").text_content() == "3000 of 3000"
        assert page.locator("#rows .row").count() < 40
        page.evaluate("document.getElementById('rows').scrollTop = 1e9")
        page.wait_for_selector("#rows [aria-rowindex='3001']")
        assert page.locator("#rows .row").count() < 40
        files = {Path(address[len("file://") :].split("?")[0]) for address in asked if address.startswith("file:")}
        assert sum(path.stat().st_size for path in files if path.is_file()) < LOADED
