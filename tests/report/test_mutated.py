"""Reports, lists and exports of a journal with one fault: they are made, or say in a sentence why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prompt_pins import report
from prompt_pins.errors import PinError
from prompt_pins.report import notations
from prompt_pins.store import Runs, read_journal
from prompt_pins.store.files import read_json

from tests.report.synthetic import Shape, SyntheticRun
from tests.store.mutations import NASTY, VICTIM, mutated

TINY = Shape(generations=2, population=6, batch=2, words=("a", "red", "circle"), negative=(), size=16, held=2)


@pytest.mark.parametrize(("version", "drawn"), [(1, False), (2, False), (2, True)])
def test_a_report_is_made_or_says_why_not(tmp_path: Path, version: int, drawn: bool) -> None:
    """drawn: with plots and GIFs, which take longer, so of fewer journals."""
    root = tmp_path / "pins"
    folder = SyntheticRun(root / "00000000", TINY).write()
    SyntheticRun(root / "00000001", Shape(generations=1, population=2, batch=1, size=16, images=False)).write()
    records = read_journal(folder.journal_path)
    records[0]["config"] |= {"plots": drawn, "gifs": drawn}
    made = 0
    for data in mutated(records, version, 60 if drawn else 150, seed=version):
        folder.journal_path.write_bytes(data)
        try:
            report.build(folder)
            made += 1
            for notation in notations.FORMATS:
                notations.export("0", folder.record(), notation)
        except PinError as error:
            assert str(error)
        (folder.path / "run.json").unlink(missing_ok=True)
        assert "00000001" in report.build_index(Runs(root)).read_text("utf-8")
    assert made > 5
    assert {path.name for path in tmp_path.iterdir()} == {"pins"} and not list(tmp_path.rglob(f"*{VICTIM}*"))


def test_a_run_json_with_a_fault_hides_no_run(tmp_path: Path) -> None:
    for number in (0, 1):
        report.build(SyntheticRun(tmp_path / f"{number:08d}", TINY).write())
    path = tmp_path / "00000000" / "run.json"
    whole = read_json(path) or {}
    for key in whole:
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}), "utf-8")
        assert '"00000001"' in report.build_index(Runs(tmp_path)).read_text("utf-8")
        inner = [{**whole[key], name: "x"} for name in whole[key]] if isinstance(whole.get(key), dict) else []
        for value in (*NASTY[:24:2], *inner):
            path.write_text(json.dumps({**whole, key: value}), "utf-8")
            assert '"00000001"' in report.build_index(Runs(tmp_path)).read_text("utf-8")
