"""A run whose pinned prompt is worse than the original on unseen seeds: the original is the result, everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prompt_pins import report
from prompt_pins.report import notations
from prompt_pins.report.summary import summarised
from prompt_pins.report.view import verdict
from prompt_pins.store import RunFolder, Runs, read_journal

from tests.report.synthetic import Shape, SyntheticRun
from tests.report.test_pages import Reader
from tests.store.mutations import rewrite

WORSE = "the pinned prompt is worse than the original on unseen seeds (fit 0.200 → 0.300, +50% [+25%, +75%])"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("runs") / "00000000"
    run = SyntheticRun(root, Shape(generations=3, population=3, batch=2, size=32, held=2)).write()
    report.build(run)  # what an earlier version made of it
    records = read_journal(run.journal_path)
    held = next(record for record in records if record["kind"] == "held")
    held |= {"fits_original": [0.2, 0.2], "fits_pinned": [0.3, 0.3], "improvement": -0.5, "low": -0.75, "high": -0.25}
    rewrite(run.journal_path, records)
    return run


def test_the_record_says_so(folder: RunFolder) -> None:
    record = folder.record()
    assert record.found_nothing and record.best == record.original != record.winner
    assert record.exportable() == record.original
    assert verdict(record) == f"found nothing: {WORSE}, so the original prompt is the result"


@pytest.mark.parametrize("name", [name for name in notations.FORMATS if name != "piece"])  # it has none
def test_what_is_carried_away_is_the_original(folder: RunFolder, name: str) -> None:
    record = folder.record()
    assert record.winner is not None and record.original is not None
    text = notations.export("0", record, name)
    assert "(a:" not in text or name == "compel"
    if name == "json":
        value = json.loads(text)
        assert value["prompt"] == record.original.prompt and value["verdict"] == verdict(record)
        assert all(word["before"] == word["after"] for word in value["weights"]) and value["unseen_seeds"] == 0.0


def test_pages_and_the_summary_say_so(folder: RunFolder) -> None:
    kept = json.loads((folder.path / "run.json").read_text("utf-8")) | {"version": 2}
    (folder.path / "run.json").write_text(json.dumps(kept), "utf-8")
    assert summarised(folder)["verdict"].startswith("found nothing")  # not what version 2 has kept
    page = report.build(folder)
    value = json.loads((folder.path / "run.json").read_text("utf-8"))
    record = folder.record()
    assert record.winner is not None
    assert value["pinned"]["id"] == value["original"]["id"] and value["rejected"]["id"] == record.winner.id
    assert WORSE in value["verdict"] and value["held"]["high"] == -0.25
    text = " ".join("".join(Reader(page.read_text("utf-8")).text).split())
    assert f"Found nothing: {WORSE}, so the original prompt is the result." in text
    assert "The result: the original prompt" in text and "worse there, so the original prompt is the result" in text
    index = report.build_index(Runs(folder.path.parent)).read_text("utf-8")
    assert WORSE in "".join(Reader(index).text)


@pytest.mark.parametrize(("low", "high", "found"), [(-0.5, 0.0, True), (-0.5, 0.1, True), (-0.2, -1e-9, False)])
def test_only_an_interval_wholly_below_zero_says_so(
    folder: RunFolder, tmp_path: Path, low: float, high: float, found: bool
) -> None:
    records: list[dict[str, Any]] = read_journal(folder.journal_path)
    for record in records:
        record |= {"low": low, "high": high} if record["kind"] == "held" else {}
    (tmp_path / "journal.jsonl").touch()
    rewrite(tmp_path / "journal.jsonl", records)
    read = RunFolder(tmp_path).record()
    assert read.found_nothing is not found and (verdict(read) == "") is found
