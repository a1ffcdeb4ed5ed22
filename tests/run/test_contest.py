"""Seeds that never meet, finalists, and an interval that covers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.config import RunConfig
from prompt_pins.run.contest import finalists, improvement, winner
from prompt_pins.run.seeds import SEEDS, contest_seeds, held_out_seeds, search_seeds
from prompt_pins.store import Candidate


@given(st.integers(0, SEEDS - 1), st.integers(1, 64), st.integers(1, 300), st.integers(1, 64))
def test_search_contest_and_held_out_seeds_never_meet(seed: int, batch: int, generations: int, count: int) -> None:
    searched = {s for g in (1, generations) for s in search_seeds(seed, batch, g, "rotated")}
    contest, unseen = set(contest_seeds(seed, count)), set(held_out_seeds(seed, count))
    assert not searched & contest and not searched & unseen and not contest & unseen
    assert len(contest) == len(unseen) == count
    assert all(0 <= s < SEEDS for s in searched | contest | unseen)


def test_seeds_are_fixed_or_rotate() -> None:
    assert search_seeds(5, 3, 1, "fixed") == search_seeds(5, 3, 9, "fixed") == (5, 6, 7)
    assert search_seeds(5, 3, 2, "rotated") == (8, 9, 10)


def candidate(index: int, loss: float | None, prompt: str) -> Candidate:
    return Candidate(1, index, prompt, (), prompt, "", loss, loss, None, "", (), 0)


def config(count: int, policy: str) -> RunConfig:
    return RunConfig(prompt="a cat", finalists=count, seed_policy=policy)


def test_finalists_are_the_original_the_centre_and_the_lowest_each_once() -> None:
    losses = [("original", 5.0), ("b", 1.0), ("b", 1.0), ("c", None), ("d", 3.0), ("e", 2.0), ("centre", 4.0)]
    searched = [candidate(i, loss, prompt) for i, (prompt, loss) in enumerate(losses[:-1])]
    answers = [replace(candidate(i, loss, prompt), generation=2) for i, (prompt, loss) in enumerate(losses[-1:])]
    candidates = searched + answers
    assert [c.prompt for c in finalists(candidates, config(2, "fixed"))] == ["original", "centre", "b", "e"]
    assert [c.prompt for c in finalists(candidates, config(9, "fixed"))] == ["original", "centre", "b", "e", "d"]
    simplest = replace(candidate(1, 9.0, "simplest"), generation=2)
    assert [c.prompt for c in finalists([*candidates, simplest], config(1, "fixed"))] == [
        "original", "centre", "simplest", "b"
    ]  # fmt: skip


def test_the_lowest_mean_wins_or_the_simplest_that_is_about_as_low() -> None:
    assert winner([(1.0, 3.0), (1.0, 1.0), (0.0, 2.0)]) == 1
    fits = [(5.0, 5.0, 5.0), (1.0, 2.0, 3.0), (1.3, 2.0, 3.1)]  # 0.13 above the lowest, with a standard error of 0.09
    assert winner(fits) == winner(fits, 1) == winner(fits, 2) == 1
    near = [*fits[:2], (1.3, 2.0, 2.8)]  # 0.03 above, 0.15
    assert winner(near, 2) == 2 and winner(near) == 1
    assert winner([(0.9, 2.0, 3.0), *near[1:]], 2) == 0
    assert winner([(2.0,), (1.0,), (1.1,)], 2) == 1 and winner([(2.0,), (1.0,), (1.0,)], 2) == 2


def test_with_rotated_seeds_finalists_are_those_furthest_below_the_centre_of_their_own_generation() -> None:
    told: list[tuple[int, str, float | None]] = [
        (1, "original", 5.0), (1, "early", 0.1), (2, "first centre", 3.0), (2, "before", 0.2),
        (3, "second centre", 1.0), (3, "lucky seeds", 1.0), (3, "level", 1.1),
        (4, "third centre", 3.0), (4, "ahead", 2.0), (4, "failed", None), (4, "little ahead", 2.9),
        (5, "fourth centre", None), (5, "lost", 0.1),
        (6, "centre", 4.0), (6, "simplest", 3.0),
    ]  # fmt: skip
    candidates = [replace(candidate(i, loss, name), generation=g) for i, (g, name, loss) in enumerate(told)]
    found = [c.prompt for c in finalists(candidates, config(9, "rotated"))]
    assert found == [
        "original", "centre", "simplest",
        "ahead", "little ahead", "second centre", "lucky seeds", "third centre", "level",
    ]  # fmt: skip
    assert [c.prompt for c in finalists(candidates, config(2, "rotated"))] == found[:5]


def test_with_rotated_seeds_one_generation_is_compared_with_the_original() -> None:
    told = [(1, "original", 2.0), (1, "b", 1.0), (1, "c", 3.0), (2, "centre", 1.0)]
    candidates = [replace(candidate(i, loss, name), generation=g) for i, (g, name, loss) in enumerate(told)]
    assert [c.prompt for c in finalists(candidates, config(1, "rotated"))] == ["original", "centre", "b"]


def test_with_rotated_seeds_a_candidate_of_the_users_own_is_a_finalist() -> None:
    told = [
        (1, "original", 2.0),
        (1, "own", 1.9),
        (1, "c", 1.0),
        (2, "first centre", 1.0),
        (2, "d", 1.0),
        (3, "centre", 1.0),
    ]
    candidates = [
        replace(candidate(i, loss, name), generation=g, weights=(1.0, i / 8)) for i, (g, name, loss) in enumerate(told)
    ]
    found = finalists(candidates, config(0, "rotated"), [[1.0, 0.125]])
    assert [c.prompt for c in found] == ["original", "centre", "own"]
    assert len(finalists(candidates, config(0, "fixed"), [[1.0, 0.125]])) == 2


def test_the_interval_covers_the_true_improvement() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        base = rng.gamma(8.0, 0.05, size=16)
        after = base * 0.7 * rng.gamma(50.0, 0.02, size=16)
        centre, low, high = improvement(base, after, seed=trial)
        assert low <= centre <= high
        hits += low <= 0.3 <= high
    assert 170 <= hits <= 199  # nominally 190; the percentile interval of 16 pairs covers a little less


def test_improvement_without_any_loss_is_none() -> None:
    assert improvement([0.0, 0.0], [0.0, 0.0], seed=0) == (0.0, 0.0, 0.0)


def test_one_pair_of_images_proves_nothing() -> None:
    assert improvement((0.5,), (0.51,), seed=1) == (pytest.approx(-0.02), -1.0, 1.0)
    assert improvement((0.5,), (2.0,), seed=1) == (-3.0, -3.0, 1.0)
    assert improvement((0.5, 0.5), (0.51, 0.51), seed=1)[2] < 0
