"""The index of runs lists whatever lies in the folder, and says what is damaged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prompt_pins import report
from prompt_pins.errors import StoreError
from prompt_pins.report.summary import summary
from prompt_pins.store import Runs

from tests.report.synthetic import HOSTILE, Shape, SyntheticRun
from tests.report.test_pages import Reader

TINY = Shape(generations=2, population=2, batch=2, size=24, held=2)


def test_all_kinds_of_runs_are_listed(tmp_path: Path) -> None:
    report.build(SyntheticRun(tmp_path / "00000000", TINY).write())
    SyntheticRun(tmp_path / "00000001", TINY).write()
    (tmp_path / "00000002").mkdir()
    (tmp_path / "00000002" / "journal.jsonl").write_text('{"kind":"run","version":99}\n', "utf-8")
    (tmp_path / "00000003").mkdir()
    steps = SyntheticRun(tmp_path / "00000004", TINY).events()
    next(steps)
    text = report.build_index(Runs(tmp_path)).read_text("utf-8")
    reader = Reader(text)
    runs = [attributes["data-run"] for tag, attributes in reader.tags if "data-run" in attributes]
    assert runs == ["00000004", "00000002", "00000001", "00000000"]
    shown = "".join(reader.text)
    assert HOSTILE in shown and "format version 99" in shown
    assert "<script>alert" not in text
    found = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert data[2]["weights"][0][0] == "a" and data[2] | {"run": ""} == data[3] | {"run": ""}


def test_an_empty_folder_has_an_index(tmp_path: Path) -> None:
    assert "No runs yet" in report.build_index(Runs(tmp_path)).read_text("utf-8")


def test_a_killed_run_is_interrupted_whatever_its_last_page_said(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", TINY)
    steps = run.events()
    for _ in range(6):
        next(steps)
    run.folder.save_json("run.json", summary("00000000", run.folder.record()))
    assert 'data-state="running"' in report.build_index(Runs(tmp_path)).read_text("utf-8")
    steps.close()
    text = report.build_index(Runs(tmp_path)).read_text("utf-8")
    assert 'data-state="interrupted"' in text and "it can be resumed" in text


def test_the_index_is_not_written_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins" / "index.html").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="leads out"):
        report.build_index(Runs(tmp_path / "pins"))
    assert (tmp_path / "victim").read_text() == "precious"


def test_what_is_no_analysis_is_left_out(tmp_path: Path) -> None:
    for number, text in enumerate(('{"version": 1, "words": 3, "config": {"prompt": "bad"}}', "[", '{"version": 1}')):
        folder = tmp_path / "analysis" / f"{number:08d}"
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("")
        (folder / "analysis.json").write_text(text)
    assert "data-run" not in report.build_index(Runs(tmp_path)).read_text("utf-8")
