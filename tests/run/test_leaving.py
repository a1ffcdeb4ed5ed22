"""A piece on a payload that it was found without."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import HostInterrupted, OptionError
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


TIED: dict[str, Any] = {"piece": "", "prompt": "x"}


@pytest.mark.parametrize(
    "lines, axes",
    [
        (("a (red:1@c) circle", "a (blue:1@c) star", "a (red:1@c) square"), [[0], [0], [0]]),  # other labels
        (("a (cat:1@x) (dog:1@y)", "a (dog:1@y)", "a (dog:1@y) (cat:1@x)"), [[1, 0], [0, 1], [0, 1]]),  # another order
    ],
)
def test_a_piece_keeps_its_weights_whatever_its_words_are_called(
    lines: tuple[str, ...], axes: list[list[int]], tmp_path: Path
) -> None:
    folder, record = ran(tmp_path, **TIED, payload=lines)
    config = RunConfig.from_record(record.config)
    assert [leaving.carried(config, Recording(), place) for place in range(3)] == axes
    assert record.held is not None and record.best is not None
    for place, numbers in enumerate(axes):
        own = dataclasses.replace(record.best, weights=tuple(record.best.weights[axis] for axis in numbers))
        found = leaving.valued(folder, record, Recording(), "00000000", own, place)
        assert found.gains[1] == pytest.approx(record.held.payload_gains[place])


def test_other_words_that_would_vary_without_a_payload_are_told_before_anything_is_rendered(tmp_path: Path) -> None:
    folder, record = ran(tmp_path, **TIED, payload=("a (cat:1@x) on grass", "a (cat:1@x) in snow"))
    host = Recording()
    with pytest.raises(OptionError, match="without payload 1, too; there 'a' would: put the words into a piece"):
        leaving.finish(folder, record, host, lambda *_: pytest.fail("began"))
    assert not host.calls_of and not left_out(folder)


def test_a_run_without_a_payload_has_no_warm_start(tmp_path: Path) -> None:
    ran(tmp_path)
    folder, record = ran(tmp_path, warm_start="0")
    assert all(config.warm_start == "" for config in leaving.parts(folder, record))


def test_an_interrupt_between_two_runs_stops_and_loses_nothing(tmp_path: Path) -> None:
    folder, record = ran(tmp_path)

    class Interrupted(Recording):
        def render(self, *given: Any, **named: Any) -> Any:
            raise HostInterrupted("stopped")

    hosts = [Recording(), Interrupted()]

    def follow(place: int, config: RunConfig, begin: leaving.Begin, on: Any) -> None:
        finish(begin())
        hosts[0].render = hosts[1].render  # type: ignore[method-assign]

    assert not leaving.finish(folder, record, hosts[0], follow)
    assert [one.gains for one in left_out(folder)] == [()]
    assert leaving.finish(folder, record, Recording(), lambda place, config, begin, on: finish(begin()))
    assert all(one.gains for one in left_out(folder)) and len(left_out(folder)) == 3
