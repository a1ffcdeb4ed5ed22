"""Runs that begin elsewhere than at the original prompt: warm starts, injected candidates, a covariance matrix."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import PinError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import beginning, pin
from prompt_pins.run.beginning import injected
from prompt_pins.run.panel import Panel
from prompt_pins.run.plan import make_plan
from prompt_pins.space import build
from prompt_pins.store import Runs, read_journal

from tests.run.painter import Painter
from tests.run.test_pin import Killed, Watched, content, finish

SHORT = {"generations": 1, "finalists": 0, "held_out": 0}


@pytest.mark.parametrize("policy", ["fixed", "rotated"])
def test_a_warm_start_begins_at_the_earlier_runs_best(
    tmp_path: Path, model: HeadlessHost, small: dict[str, Any], policy: str
) -> None:
    runs = Runs(tmp_path)
    longer = {**small, **SHORT, "generations": 2, "initial_std": 0.3, "seed_policy": policy}
    finish(pin.start(RunConfig(**longer), model, runs))
    known = [c for c in runs.find("0").record().candidates if policy == "fixed" or c.generation == 2]
    best = min((c for c in known if c.loss is not None), key=lambda c: c.loss or 0.0)
    warm = RunConfig(**{**small, **SHORT, "prompt": "a red blue star, white background", "warm_start": "0"})
    finish(pin.start(warm, model, runs))
    told = read_journal(runs.find("1").journal_path)[0]["warm"]
    words = [axis.label for axis in runs.find("1").record().axes]
    labels = [axis.label for axis in runs.find("0").record().axes]
    earlier = dict(zip(labels, best.weights, strict=True))
    expected = [earlier.get(word, 1.0) for word in words]
    np.testing.assert_allclose(told["mean"], expected)
    assert expected[words.index("star")] == 1.0


def test_a_warm_run_goes_on_without_the_earlier_one(tmp_path: Path, model: HeadlessHost, small: dict[str, Any]) -> None:
    runs = Runs(tmp_path)
    finish(pin.start(RunConfig(**{**small, **SHORT}), model, runs))
    config = RunConfig(
        **{
            **small,
            **SHORT,
            "generations": 2,
            "warm_start": "0",
            "inject": ("a (red:1.3) blue circle, white background",),
        }
    )
    finish(pin.start(config, model, runs))
    with contextlib.suppress(Killed):
        finish(pin.start(config, Watched(model, Killed(), 4), runs))
    shutil.rmtree(tmp_path / "00000000")
    finish(pin.resume(runs.find("2"), model))
    assert content(runs.find("2")) == content(runs.find("1"))


def test_own_candidates_are_tried(tmp_path: Path, model: HeadlessHost, small: dict[str, Any]) -> None:
    own = "a (red:1.412) (blue:0.6) circle, white background"
    config = RunConfig(**{**small, **SHORT, "inject": (own,), "seed_policy": "rotated", "finalists": 1})
    finish(pin.start(config, model, Runs(tmp_path)))
    record = Runs(tmp_path).find("0").record()
    first = [dict(zip((axis.label for axis in record.axes), c.weights, strict=True)) for c in record.candidates[:3]]
    assert set(first[0].values()) == {1.0}  # the original, and then where the targets are likely
    assert (first[2]["red"], first[2]["blue"], first[2]["circle"]) == (1.412, 0.6, 1.0)
    assert record.choice is not None and record.candidates[2].id in record.choice.contestants


@pytest.mark.parametrize(
    ("options", "own", "weights"),
    [
        ({"prompt": "(red:=1.1) circle"}, "(red:1.1) (circle:1.2)", [1.2]),
        ({"prompt": "(red:=1.1) circle"}, "(red:=1.1) circle", [1.0]),
        ({"prompt": "a (red) circle", "vary": "groups"}, "a red circle", [1.0]),
        ({"prompt": "(a:1@x) (cat:0.5~1@x), dog"}, "(a cat:0.7), (dog:1.3)", [0.7, 1.3]),
        ({"prompt": "a (cat:3)"}, "a (cat:3)", [1.0, 3.0]),
        ({"prompt": "cat", "negative_prompt": "bad"}, "cat ### (bad:2)", [1.0, 2.0]),
        ({"prompt": "cat", "negative_prompt": "bad"}, "(cat:0)", [0.0, 1.0]),
    ],
)
def test_the_words_of_an_own_candidate_are_matched_not_its_units(
    options: dict[str, Any], own: str, weights: list[float]
) -> None:
    config = RunConfig(**{**options, "inject": (own,)})
    assert injected(config, Panel((config,), (build(config),)), ()) == [weights]


@pytest.mark.parametrize(
    "wrong",
    [
        {"warm_start": "7"},
        {"inject": ("a red green circle, white background",)},
        {"inject": ("a (red:5) blue circle, white background",)},
        {"prompt": "a (red:=1.1) circle", "inject": ("a (red:1.2) circle",)},
        {
            "vary_negative": False,
            "negative_prompt": "bad",
            "inject": ("a red blue circle, white background ### (bad:2)",),
        },
        {"cmatrix": (1.0, 2.0)},
        {"cmatrix": (1.0, 1.0, 1.0, 1.0, 1.0, -1.0)},
    ],
    ids=["no run", "other words", "beyond", "frozen", "left alone", "size", "not positive"],
)
def test_a_beginning_that_does_not_fit_leaves_nothing_behind(
    tmp_path: Path, model: HeadlessHost, small: dict[str, Any], wrong: dict[str, Any]
) -> None:
    with pytest.raises(PinError):
        finish(pin.start(RunConfig(**{**small, **wrong}), model, Runs(tmp_path / "pins")))
    assert not (tmp_path / "pins").exists()


def test_patience_begins_after_the_small_batches_that_there_are() -> None:
    """Batches of 3 are never halved; the search of an earlier version's run waited for the options' generations."""

    def generations(counted: bool, **changes: Any) -> int:
        values = {"batch_size": 3, "steps": 1, "preset": "Balanced", "patience": 3, **changes}
        config = RunConfig(prompt="a red blue circle", **values)
        plan = make_plan(config, Painter())
        found = beginning.search(config, Painter(), plan, None, counted)
        while found.stop() is None:
            asked = found.ask()
            found.tell([1.0 + 0.01 * row for row in range(len(asked))], asked)
        return found.generation

    assert generations(True) == generations(False, early_generations=0, quarter_generations=0)
    assert generations(False) > generations(True)


def test_a_budget_of_images_counts_the_candidates_that_a_restart_doubles(tmp_path: Path) -> None:
    values: dict[str, Any] = {"batch_size": 1, "steps": 1, "preset": "Quick", "plots": False, "finalists": 0}
    values |= {"restarts": 2, "patience": 1, "min_progress": 0.9, "held_out": 0, "max_images": 25}
    for _ in pin.start(RunConfig(prompt="a red blue circle", **values), Painter(), Runs(tmp_path)):
        pass
    record = Runs(tmp_path).find("0").record()
    sizes = Counter(candidate.generation for candidate in record.candidates)
    assert "images" in record.reason and sum(sizes.values()) <= 25
    # one more of the first size would have fitted, and one of the restart's does not; the last is the search's answer
    assert len(record.generations) == 3 and list(sizes.values()) == [6, 6, 6, 1]
