"""A report that grew with its run is the one that `build` makes from the journal."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompt_pins import report
from prompt_pins.report import live as live_module
from prompt_pins.store import events

from tests.patience import HUNG
from tests.report.synthetic import Shape, SyntheticRun

SMALL = Shape(generations=3, population=3, batch=2, size=32, held=2)


def files_of(root: Path) -> dict[str, bytes]:
    """Every file below a folder by its name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def run_live(root: Path, shape: Shape = SMALL, stop_after: int | None = None, pause: float = 0.0) -> Path:
    """A synthetic run with a live report; `stop_after` events the run ends without a word."""
    run = SyntheticRun(root / "00000000", shape)
    with report.LiveReport() as live:
        for count, event in enumerate(run.events(), 1):
            live.handle(event)
            if pause:
                time.sleep(pause)
            if count == stop_after:
                break
    return root / "00000000"


@pytest.mark.parametrize("stop_after", [None, 1, 3, 6, 9])
def test_live_equals_rebuilt(tmp_path: Path, stop_after: int | None) -> None:
    root = run_live(tmp_path, stop_after=stop_after)
    grown = files_of(root)
    report.build(SyntheticRun(root).folder)
    assert files_of(root) == grown


@pytest.mark.parametrize("stop_after", [None, 3, 5])
def test_what_was_known_before_the_first_image_is_there_live_and_rebuilt(
    tmp_path: Path, stop_after: int | None
) -> None:
    shape = dataclasses.replace(SMALL, likely="better")
    root = run_live(tmp_path, shape, stop_after)
    grown = files_of(root)
    assert b"Before the first image" in grown["index.html"]
    report.build(SyntheticRun(root).folder)
    assert files_of(root) == grown


def test_what_is_known_before_the_first_image_is_shown_at_once(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", dataclasses.replace(SMALL, likely="better"))
    with report.LiveReport(share=0.0) as live:
        steps = run.events()
        live._spent["page"] = 100.0  # nothing is left to spend
        for event in steps:
            live.handle(event)
            if isinstance(event, events.LikelyDone):
                break
        assert_soon(lambda: "Before the first image" in read(run.folder.path / "index.html"))
        steps.close()


def read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def assert_soon(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + HUNG
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_rebuilt_from_journal_images_and_stats_alone(tmp_path: Path) -> None:
    root = run_live(tmp_path)
    grown = files_of(root)
    for path in root.rglob("*"):
        if path.suffix in (".html", ".js", ".gif") or path.name.endswith("plot.png") or path.name == "run.json":
            path.unlink()
    report.build(SyntheticRun(root).folder)
    assert files_of(root) == grown


def test_resumed_report_equals_uninterrupted(tmp_path: Path) -> None:
    whole = files_of(run_live(tmp_path / "whole"))
    run = SyntheticRun(tmp_path / "cut" / "00000000", SMALL)
    steps = run.events()
    with report.LiveReport() as live:
        for _ in range(7):
            live.handle(next(steps))
    (run.folder.path / "00000001" / "index.html").unlink()
    with report.LiveReport() as live:
        live.handle(events.RunStarted(run.folder, run.folder.record()))
        for event in steps:
            live.handle(event)
    assert files_of(run.folder.path) == whole


def test_page_appears_while_the_run_goes_on(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", SMALL)
    steps = run.events()
    page = tmp_path / "00000000" / "index.html"
    with report.LiveReport(share=1.0) as live:
        for _ in range(6):
            live.handle(next(steps))
        while not page.is_file() and live._thread.is_alive():
            time.sleep(0.05)
        assert '"state":"running"' in page.read_text("utf-8")
        for event in steps:
            live.handle(event)
        live.close()
    assert '"state":"finished"' in page.read_text("utf-8")


def test_a_part_that_fails_is_logged_and_the_rest_is_drawn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = SyntheticRun(tmp_path / "00000000", SMALL)
    with report.LiveReport() as live:
        for count, event in enumerate(run.events()):
            if count == 2:
                folder = run.folder.path / event.candidate.folder  # type: ignore[union-attr]
                (folder / "index.html").mkdir()
            live.handle(event)
    assert "could not be drawn" in caplog.text
    assert (run.folder.path / "index.html").is_file()


def test_events_before_the_start_are_ignored_and_handle_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SyntheticRun(tmp_path / "00000000", SMALL)
    steps = list(run.events())
    handled, draw = threading.Event(), live_module.Artist.candidate

    def late(*arguments: Any) -> None:
        assert handled.wait(HUNG)
        draw(*arguments)

    monkeypatch.setattr(live_module.Artist, "candidate", late)
    with report.LiveReport() as live:
        live.handle(steps[2])
        for event in steps:
            live.handle(event)
        handled.set()
    assert files_of(run.folder.path).keys() >= {"index.html", "00000001/index.html"}


def test_the_thread_ends(tmp_path: Path) -> None:
    report.LiveReport().close()
    assert "report" not in {thread.name for thread in threading.enumerate()}
    assert live_module.SHARE <= 0.02
