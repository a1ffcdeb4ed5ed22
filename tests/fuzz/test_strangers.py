"""What a stranger's journal may not do: its paths lead nowhere else."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from prompt_pins import report
from prompt_pins.errors import PinError
from prompt_pins.store import RunFolder

from tests.report.synthetic import Shape, SyntheticRun


@pytest.mark.parametrize("absolute", [False, True])
def test_nothing_is_written_outside_of_a_run(tmp_path: Path, absolute: bool) -> None:
    run = SyntheticRun(tmp_path / "00000000", Shape(generations=1, population=2, batch=2, size=16, held=0))
    for _ in run.events():
        pass
    outside = tmp_path / "outside"
    outside.mkdir()
    journal = run.folder.path / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    for record in records:
        if record["kind"] == "candidate":
            record["folder"] = str(outside) if absolute else "../outside"
    journal.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    with contextlib.suppress(PinError):
        report.build(RunFolder(run.folder.path))
    assert not list(outside.iterdir())
