"""A piece on a payload that it was found without."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.report import build
from prompt_pins.run import leaving, pin
from prompt_pins.store import Runs
from prompt_pins.store.left_out import FILE, LeftOut, left_out, note

from tests.run.test_payloads import BASE, Recording, ran
from tests.run.test_pin import finish


def test_the_piece_of_all_brings_nothing_to_itself_and_the_other_ones_is_told_beside_it(tmp_path: Path) -> None:
    folder, record = ran(tmp_path)
    config = RunConfig.from_record(record.config)
    assert record.best is not None and record.held is not None
    for payload in range(3):
        same = leaving.valued(folder, record, Recording(), "00000000", record.best, payload)
        assert same.gains[0] == same.gains[1] == pytest.approx(record.held.payload_gains[payload])
        assert same.gains[2] == (0.0, 0.0, 0.0) and len(same.images) == 3
    less = leaving.without(config, 1)
    assert less.payload == (BASE["payload"][0], BASE["payload"][2])
    events = finish(pin.start(less, Recording(), Runs(tmp_path)))
    other = events[0].folder  # type: ignore[union-attr]
    piece = other.record().candidates[1]  # the original wins where it is the target
    assert piece.weights != record.best.weights
    found = leaving.valued(folder, record, Recording(), "00000001", piece, 1)
    assert found.gains[1] != found.gains[0] and found.gains[2] != (0.0, 0.0, 0.0)
    note(folder, found)
    note(folder, LeftOut(1, "00000002"))
    assert left_out(folder) == (LeftOut(1, "00000002"), found)
    page = build(folder).read_text("utf-8")
    assert page.count("Pinned on the other payloads alone") == 1 and "../00000001/index.html" in page


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"version": 2, "payloads": {}}', '{"version": 1, "payloads": {"x": {"run": "1"}}}',
     '{"version": 1, "payloads": {"1": {"run": "1", "gains": [[1, 2, 3]]}}}',
     '{"version": 1, "payloads": {"1": {"run": "1", "images": ["../../x"]}}}'],
)  # fmt: skip
def test_a_file_that_does_not_fit_says_nothing(text: str, tmp_path: Path) -> None:
    folder, _ = ran(tmp_path)
    (folder.path / FILE).write_text(text)
    assert left_out(folder) == ()
    assert "Pinned on the other payloads" not in build(folder).read_text("utf-8")


@pytest.mark.parametrize("changes", [{"held_out": 0}, {"payload": (), "piece": "", "prompt": "a cat"}])
def test_what_nothing_can_be_left_out_of(changes: dict[str, Any], tmp_path: Path) -> None:
    folder, record = ran(tmp_path, **changes)
    with pytest.raises(OptionError, match="a finished run of payloads that was checked"):
        leaving.parts(folder, record)
    with pytest.raises(OptionError, match="two payloads or more"):
        leaving.without(dataclasses.replace(RunConfig(**BASE), payload=()), 0)
