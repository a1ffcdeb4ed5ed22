"""The pinned prompt's words, measured at the end of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.errors import HostInterrupted
from prompt_pins.run import pin, weighing
from prompt_pins.run.plan import make_plan
from prompt_pins.store import Runs, events
from prompt_pins.words.result import AnalysisDone

from tests.run.painter import Painter
from tests.run.test_cut import BASE, target
from tests.run.test_pin import content, finish

__all__ = ["target"]
SMALL: dict[str, Any] = {**BASE, "lambda_": 4, "words": True, "batch_size": 3}


def run(target: str, runs: Runs, host: Painter | None = None, **changes: Any) -> list[events.Event]:
    return finish(pin.start(RunConfig(**{**SMALL, "target": (target,), **changes}), host or Painter(), runs))


def test_each_word_is_measured_alone_lower_and_higher(target: str, tmp_path: Path) -> None:
    happened = run(target, Runs(tmp_path))
    record = Runs(tmp_path).find("0").record()
    assert record.state == "finished" and record.best is not None
    ahead = [event.ahead for event in happened if isinstance(event, events.WordWeighed)]
    assert ahead == list(range(len(record.weighed)))[::-1]
    assert {(row.axis, row.value < row.before) for row in record.weighed} == {
        (axis, below) for axis in range(len(record.axes)) for below in (True, False)
    }
    for row in record.weighed:
        assert row.before == record.best.weights[row.axis] and abs(row.value - row.before) <= weighing.STEP + 1e-9
        assert row.fit[1] <= row.fit[0] <= row.fit[2] and row.image[0] > 0
    images = sum(row.evaluations for row in record.weighed)
    assert images == (1 + len(record.weighed)) * weighing.SEEDS * SMALL["steps"]


def test_a_bound_has_one_side(target: str, tmp_path: Path) -> None:
    run(target, Runs(tmp_path), weight_low=1.0, weight_high=1.001)
    record = Runs(tmp_path).find("0").record()
    assert len(record.weighed) == len(record.axes)


def test_nothing_is_measured_unless_it_is_asked_for(target: str, tmp_path: Path) -> None:
    run(target, Runs(tmp_path), words=False)
    assert not Runs(tmp_path).find("0").record().weighed


def test_of_a_run_that_found_nothing_the_original_is_measured(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_pins.run.contest.improvement", lambda *_, **__: (-0.2, -0.3, -0.1))
    run(target, Runs(tmp_path))
    record = Runs(tmp_path).find("0").record()
    assert record.found_nothing and record.original is not None
    assert [row.before for row in record.weighed] == [record.original.weights[row.axis] for row in record.weighed]


def test_interrupted_it_goes_on_and_ends_the_same(target: str, tmp_path: Path) -> None:
    run(target, Runs(tmp_path / "whole"))
    whole = Runs(tmp_path / "whole").find("0")
    calls = Painter()
    run(target, Runs(tmp_path / "count"), calls)

    def fault(call: int) -> None:
        if call == calls.calls - 4:
            raise HostInterrupted("stop")

    run(target, Runs(tmp_path / "cut"), Painter(fault))
    folder = Runs(tmp_path / "cut").find("0")
    assert folder.record().state == "stopped" and 0 < len(folder.record().weighed) < len(whole.record().weighed)
    finish(pin.resume(folder, Painter()))
    assert content(folder) == content(whole)


def test_the_means_are_those_of_an_analysis_of_the_same_prompt(target: str, tmp_path: Path) -> None:
    analyze = pytest.importorskip("prompt_pins.words.analyze")
    run(target, Runs(tmp_path / "run"), finalists=0, held_out=0, generations=1)
    record = Runs(tmp_path / "run").find("0").record()
    assert record.best is not None
    config = RunConfig(**{**SMALL, "target": (target,), "prompt": record.best.prompt})
    options = AnalysisOptions(analysis_seeds=weighing.SEEDS, analysis_step=weighing.STEP)
    begin = getattr(analyze, "start", None) or analyze.analyze
    *_, last = begin(config, options, Painter(), Runs(tmp_path / "words"))
    assert isinstance(last, AnalysisDone)
    words = {word.label: word for word in last.result.words}
    for row in record.weighed:
        word = words[record.axes[row.axis].label]
        side = word.lowered if row.value < row.before else word.raised
        assert side is not None and side.weight == row.value
        assert (side.fit.mean, side.image.mean) == pytest.approx((row.fit[0], row.image[0]), abs=1e-9)


def test_what_is_planned_is_what_is_measured(target: str) -> None:
    space = make_plan(RunConfig(**{**SMALL, "target": (target,)}), Painter()).space
    low = weighing.planned(space, list(space.low))
    assert len(low) == space.size and all(vector[axis] == space.low[axis] + weighing.STEP for axis, vector in low)
