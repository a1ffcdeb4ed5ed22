"""The tree in integers."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.errors import OptionError
from prompt_pins.sampling.schedule import ForkOptions, doublings, fork_schedule, independent_levels

POLICIES = st.sampled_from(["even", "twin", "early", "late"])
SIZES = st.integers(1, 70)
STEPS = st.integers(1, 60)


def test_the_even_tree_of_8_leaves_and_20_steps() -> None:
    schedule = fork_schedule(8, 20, "even")
    assert schedule.sizes == (1,) * 5 + (2,) * 5 + (4,) * 5 + (8,) * 5
    assert (schedule.cost, schedule.plain_cost) == (75, 160)
    assert schedule.speedup == 160 / 75
    assert schedule.forks == ((5, 1, 2), (10, 2, 4), (15, 4, 8))
    assert schedule.levels == (
        (0, 0, 0, 0, 0, 0, 0, 0),
        (0, 1, 0, 1, 0, 1, 0, 1),
        (0, 1, 2, 3, 0, 1, 2, 3),
        (0, 1, 2, 3, 4, 5, 6, 7),
    )


@pytest.mark.parametrize(
    "batch, steps, policy, sizes",
    [
        (8, 20, "early", (1,) * 2 + (2,) * 2 + (4,) * 2 + (8,) * 14),
        (8, 20, "late", (1,) * 14 + (2,) * 2 + (4,) * 2 + (8,) * 2),
        (6, 8, "even", (1, 1, 2, 2, 4, 4, 6, 6)),
        (8, 2, "even", (1, 8)),
        (16, 4, "even", (1, 4, 8, 16)),
        (8, 1, "even", (8,)),
        (1, 3, "even", (1, 1, 1)),
        (8, 4, "none", (8, 8, 8, 8)),
        (8, 20, "twin", (2,) * 7 + (4,) * 7 + (8,) * 6),
        (4, 6, "twin", (2, 2, 2, 4, 4, 4)),
        (6, 8, "twin", (2, 2, 2, 4, 4, 4, 6, 6)),
        (8, 2, "twin", (2, 8)),
        (2, 5, "twin", (2,) * 5),
        (1, 5, "twin", (1,) * 5),
        (8, 1, "twin", (8,)),
        (8, 6, (2, 2, 5), (1, 1, 4, 4, 4, 8)),
        (4, 3, (0, 0), (4, 4, 4)),
        (4, 3, [0, 1], (2, 4, 4)),
    ],
)
def test_sizes(batch: int, steps: int, policy: object, sizes: tuple[int, ...]) -> None:
    assert fork_schedule(batch, steps, policy).sizes == sizes  # type: ignore[arg-type]


@given(SIZES, STEPS, POLICIES)
def test_every_tree_is_well_formed(batch: int, steps: int, policy: str) -> None:
    schedule = fork_schedule(batch, steps, policy)
    sizes = schedule.sizes
    assert len(sizes) == steps and sizes[-1] == schedule.batch_size == batch
    assert sizes[0] == (batch if steps == 1 else min(batch, 2) if policy == "twin" else 1)
    assert all(size == batch or size & (size - 1) == 0 for size in sizes)
    assert list(sizes) == sorted(sizes)
    assert schedule.cost <= schedule.plain_cost
    if doublings(batch) < steps:
        assert all(b <= 2 * a for a, b in itertools.pairwise(sizes))


@given(SIZES, STEPS)
def test_late_is_cheaper_than_even_is_cheaper_than_early(batch: int, steps: int) -> None:
    costs = [fork_schedule(batch, steps, policy).cost for policy in ("late", "even", "early")]
    assert costs == sorted(costs)


@given(SIZES, STEPS, POLICIES)
def test_levels_agree_with_parents(batch: int, steps: int, policy: str) -> None:
    schedule = fork_schedule(batch, steps, policy)
    levels = schedule.levels
    assert levels[0] == (0,) * batch and levels[-1] == tuple(range(batch))
    seen = dict.fromkeys(((0,) * batch, *(ancestors(schedule, step) for step in range(steps))))
    assert tuple(seen) == levels
    for parent, child in itertools.pairwise(levels):
        for a, b in itertools.combinations(range(batch), 2):
            assert child[a] != child[b] or parent[a] == parent[b]


def ancestors(schedule: object, step: int) -> tuple[int, ...]:
    """The node at `step` above each leaf, by walking from parent to parent."""
    nodes = tuple(range(schedule.batch_size))  # type: ignore[attr-defined]
    for later in range(schedule.steps - 1, step, -1):  # type: ignore[attr-defined]
        parents = schedule.parents(later)  # type: ignore[attr-defined]
        nodes = tuple(parents[node] for node in nodes)
    return nodes


def test_levels_of_plain_batches() -> None:
    assert independent_levels(3) == ((0, 0, 0), (0, 1, 2))
    assert independent_levels(1) == ((0,),)
    assert fork_schedule(3, 9, "none").levels == independent_levels(3)


@pytest.mark.parametrize(
    "batch, steps, policy, field",
    [
        (0, 5, "even", "batch_size"),
        (4, 0, "even", "steps"),
        (4, 5, "sometimes", "fork_policy"),
        (4, 5, (1,), "fork_policy"),
        (4, 5, (1, 5), "fork_policy"),
        (4, 5, (3, 1), "fork_policy"),
        (4, 5, (-1, 1), "fork_policy"),
        (4, 5, (1.0, 2.0), "fork_policy"),
    ],
)
def test_errors_name_the_field(batch: int, steps: int, policy: object, field: str) -> None:
    with pytest.raises(OptionError) as caught:
        fork_schedule(batch, steps, policy)  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan"), float("inf")])
def test_fork_strength_is_checked(strength: float) -> None:
    with pytest.raises(OptionError, match="fork_strength"):
        ForkOptions("even", strength)


def test_the_schedule_needs_no_torch() -> None:
    code = "import sys, prompt_pins.sampling.schedule; assert not {'torch', 'numpy'} & set(sys.modules)"
    library = str(Path(__file__).parents[2] / "lib")
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": library})


def test_fork_steps_are_read_from_text_too() -> None:
    assert fork_schedule(8, 20, "5, 10,15") == fork_schedule(8, 20, (5, 10, 15)) == fork_schedule(8, 20, "even")
    assert ForkOptions("1,2").policy == (1, 2)
