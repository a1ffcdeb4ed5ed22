"""Which kind of device renders which row of seeds."""

from __future__ import annotations

from prompt_pins.workers.giving import Patience, Worker, allotted, speeds, unique

from tests.run.painter import Painter


def test_one_kind_needs_no_plan() -> None:
    assert allotted({"row": 10}, {"A": 3.0}) == {} == allotted({}, {"A": 1.0})


def test_one_row_goes_to_the_fastest_kind_where_the_others_add_little() -> None:
    assert allotted({"row": 10}, {"A": 3.0, "B": 1.0}) == {"row": "A"}
    assert allotted({"row": 10}, {"A": 2.0, "B": 1.0}) == {}


def test_several_rows_are_divided() -> None:
    assert set(allotted({1: 5, 2: 5}, {"A": 1.0, "B": 1.0}).values()) == {"A", "B"}
    found = allotted({1: 4, 2: 4, 3: 4}, {"A": 2.0, "B": 1.0})
    assert sorted(found.values()) == ["A", "A", "B"]


def test_who_has_not_answered_yet_is_as_fast_as_the_others() -> None:
    known = Worker("a", Painter(), "A", images=8, seconds=2.0)
    assert speeds([known, Worker("b", Painter(), "B")]) == {"A": 4.0, "B": 4.0}


def test_how_long_a_worker_is_waited_for() -> None:
    patience = Patience(first=900, factor=10, least=60)
    assert Worker("a", Painter()).limit(patience) == 900
    assert Worker("a", Painter(), answers=1, slowest=2.0).limit(patience) == 60
    assert Worker("a", Painter(), answers=1, slowest=20.0).limit(patience) == 200


def test_names_are_told_apart() -> None:
    assert unique(["a", "b", "a"]) == ["a #1", "b", "a #2"]
