"""The pinned prompt's words, measured at the end of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.errors import HostInterrupted
from prompt_pins.run import pin, weighing
from prompt_pins.run.plan import make_plan
from prompt_pins.store import Measured, Runs, events, to_json

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
    assert record.state == "finished" and record.best is not None and record.unchanged is not None
    counted = [(event.done, event.of) for event in happened if isinstance(event, events.WordMeasured)]
    assert counted == [(done, len(record.axes)) for done in range(1, len(record.axes) + 1)]
    assert [(word.label, word.weight) for word in record.words] == [
        (axis.label, weight) for axis, weight in zip(record.axes, record.best.weights)
    ]
    for word in record.words:
        assert word.lowered is not None and word.raised is not None
        assert word.lowered.weight < word.weight < word.raised.weight and word.mean > 0
        for side in word.sides.values():
            assert abs(side.weight - word.weight) <= weighing.STEP + 1e-9
            assert {len(side.fits), len(side.moved), len(side.spreads)} == {weighing.SEEDS}
    sides = sum(len(word.sides) for word in record.words)
    spent = record.unchanged.evaluations + sum(word.evaluations for word in record.words)
    assert spent == (1 + sides) * weighing.SEEDS * SMALL["steps"]


def test_a_bound_has_one_side(target: str, tmp_path: Path) -> None:
    run(target, Runs(tmp_path), weight_low=1.0, weight_high=1.001)
    record = Runs(tmp_path).find("0").record()
    assert [len(word.sides) for word in record.words] == [1] * len(record.axes)


def test_nothing_is_measured_unless_it_is_asked_for(target: str, tmp_path: Path) -> None:
    run(target, Runs(tmp_path), words=False)
    record = Runs(tmp_path).find("0").record()
    assert not record.words and record.unchanged is None


def test_of_a_run_that_found_nothing_the_original_is_measured(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_pins.run.contest.improvement", lambda *_, **__: (-0.2, -0.3, -0.1))
    run(target, Runs(tmp_path))
    record = Runs(tmp_path).find("0").record()
    assert record.found_nothing and record.original is not None
    assert tuple(word.weight for word in record.words) == record.original.weights


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
    assert folder.record().state == "stopped" and 0 < len(folder.record().words) < len(whole.record().words)
    finish(pin.resume(folder, Painter()))
    assert content(folder) == content(whole)


def test_it_is_what_an_analysis_of_the_same_prompt_measures(target: str, tmp_path: Path) -> None:
    analyze = pytest.importorskip("prompt_pins.words.analyze")
    run(target, Runs(tmp_path / "run"), finalists=0, held_out=0, generations=1)
    record = Runs(tmp_path / "run").find("0").record()
    assert record.best is not None
    config = RunConfig(**{**SMALL, "target": (target,), "prompt": record.best.prompt})
    options = AnalysisOptions(analysis_seeds=weighing.SEEDS, analysis_step=weighing.STEP)
    finish(analyze.start(config, options, Painter(), Runs(tmp_path / "words")))
    found = Runs(tmp_path / "words").find("0").record()
    assert [plain(word) for word in found.words] == [plain(word) for word in record.words]
    assert found.unchanged is not None and record.unchanged is not None
    assert (found.unchanged.fits, found.unchanged.spread) == (record.unchanged.fits, record.unchanged.spread)


def plain(word: Measured) -> dict[str, Any]:
    """Without what was kept of the images, and times."""
    sides = {name: dataclasses.replace(side, images=()) for name, side in word.sides.items()}
    return {**to_json(dataclasses.replace(word, seconds={}, **sides))}


def test_what_is_planned_is_what_is_measured(target: str) -> None:
    space = make_plan(RunConfig(**{**SMALL, "target": (target,)}), Painter()).space
    planned = dict(weighing.planned(space, list(space.low)))
    assert len(planned) == space.size
    for axis, sides in planned.items():
        assert set(sides) == {"raised"} and sides["raised"][axis] == space.low[axis] + weighing.STEP
