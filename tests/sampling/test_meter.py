"""The meter's text and numbers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.sampling.meter import Meter, predicted_speedup, tree_text
from prompt_pins.sampling.schedule import POLICIES, ForkSchedule, fork_schedule


def test_the_tree_of_8_leaves() -> None:
    assert tree_text(fork_schedule(8, 8, "even")).splitlines() == [
        "leaf 0 ──┬─┬─┬─",
        "leaf 4   │ │ └─",
        "leaf 2   │ └─┬─",
        "leaf 6   │   └─",
        "leaf 1   └─┬─┬─",
        "leaf 5     │ └─",
        "leaf 3     └─┬─",
        "leaf 7       └─",
    ]


def test_several_doublings_at_one_boundary() -> None:
    assert tree_text(fork_schedule(4, 2, "even")).splitlines() == ["leaf 0 ─┬", "leaf 1  ├", "leaf 2  ├", "leaf 3  └"]


def test_plain_batches_have_no_lines_between_them() -> None:
    assert tree_text(fork_schedule(3, 4, "none")).splitlines() == ["leaf 0 ────", "leaf 1 ────", "leaf 2 ────"]


def test_large_trees_are_listed() -> None:
    assert tree_text(fork_schedule(128, 16, "even")).splitlines()[0] == "steps 1 to 2: 1 images"
    assert len(tree_text(fork_schedule(128, 16, "even")).splitlines()) == 8


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(POLICIES))
def test_every_column_shows_its_step(batch: int, steps: int, policy: str) -> None:
    """As many horizontal strokes in a column as images in that step, and one line for each leaf."""
    schedule = fork_schedule(batch, steps, policy)
    lines = [line[-steps:] for line in tree_text(schedule).splitlines()]
    assert len(lines) == batch
    assert tuple(sum(line[i] in "─┬└├" for line in lines) for i in range(steps)) == schedule.sizes


def test_numbers() -> None:
    schedule = fork_schedule(8, 20, "even")
    meter = Meter(schedule, {1: 1.0, 2: 1.5, 4: 2.5, 8: 4.5}, (0.2, 0.25))
    assert meter.lines() == [
        "evaluations: 75 of 160, 85 saved",
        "speed-up if time is proportional to evaluations: 2.13",
        "speed-up predicted from the denoiser's own times: 1.89",
        "diversity: 0.2000 against 0.2500 of an independent batch, ratio 0.80",
    ]
    assert meter.text().endswith(meter.lines()[-1]) and meter.text().startswith("leaf 0")
    told = json.loads(json.dumps(meter.to_json()))
    assert told["evaluations"] == 75 and told["predicted_speedup"] == pytest.approx(90 / 47.5)
    assert len(Meter(schedule).lines()) == 2 and Meter(schedule).to_json()["predicted_speedup"] is None
    assert Meter(schedule, None, (0.0, 0.0)).lines()[-1].endswith("independent batch")


@given(st.integers(1, 40), st.integers(1, 40))
def test_proportional_times_predict_the_ratio_of_evaluations(batch: int, steps: int) -> None:
    schedule: ForkSchedule = fork_schedule(batch, steps, "even")
    seconds = {size: 0.25 * size for size in schedule.sizes}
    assert predicted_speedup(schedule, seconds) == pytest.approx(schedule.speedup)
