"""The quadratic fitted to a run's candidates, and the smallest change that it cannot tell from the best."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_pins.run.answers import MOST, simplest
from prompt_pins.search.surface import DOUBT, Surface, within
from prompt_pins.store import Axis, Candidate

ROWS = 12
Run = tuple[np.ndarray, np.ndarray, np.ndarray]


def loss(weights: np.ndarray) -> np.ndarray:
    """Only the difference of the first two weights matters: it is best at 0.8."""
    return np.asarray((weights[..., 1] - weights[..., 0] - 0.8) ** 2)


def valley(size: int) -> np.ndarray:
    """A point of the lowest loss, far from the original."""
    return np.r_[1.4, 2.2, np.full(size - 2, 1.3)]


def invented(rng: np.random.Generator, size: int, generations: int, noise: float) -> Run:
    """(weights around the valley, losses, generation of each).

    Every generation's losses share an offset larger than anything that the weights do.
    """
    weights = valley(size) + rng.normal(0.0, 0.25, (generations * ROWS, size))
    groups = np.repeat(np.arange(generations), ROWS)
    offsets = rng.normal(0.0, 3.0, generations)[groups]
    return weights, loss(weights) + offsets + rng.normal(0.0, noise, len(weights)), groups


def candidates(weights: np.ndarray, losses: np.ndarray, groups: np.ndarray) -> list[Candidate]:
    return [
        Candidate(int(group) + 1, index, str(index), tuple(row), "", "", value, value, None, "", (), 0)
        for index, (row, value, group) in enumerate(zip(weights.tolist(), losses.tolist(), groups, strict=True))
    ]


def box(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(original, low, high)."""
    return np.ones(size), np.zeros(size), np.full(size, 3.0)


def axes(size: int) -> list[Axis]:
    """The same as the run has it."""
    return [Axis(f"word {index}", *ends) for index, ends in enumerate(zip(*box(size), strict=True))]


@pytest.mark.parametrize("size", [2, 4, 12, 20])
def test_what_does_not_matter_goes_back_towards_the_original(size: int) -> None:
    changes = []
    for seed in range(8):
        weights, losses, groups = invented(np.random.default_rng(seed), size, 30, 0.02)
        found = Surface(weights, losses, groups, valley(size)).nearest(*box(size))
        assert found[1] - found[0] == pytest.approx(0.8, abs=0.15)
        changes.append(found - 1.0)
    valleys = valley(size) - 1.0
    assert np.median(np.linalg.norm(changes, axis=1)) < 0.75 * np.linalg.norm(valleys)
    assert (np.median(np.abs(changes), axis=0)[2:] < 0.1).all()
    assert size == 2 or (np.array(changes)[:, 2:] == 0.0).mean() > 0.3


def test_the_rise_is_the_losss_own_and_its_deviation_covers_the_error() -> None:
    inside, rises = 0, []
    for seed in range(40):
        weights, losses, groups = invented(np.random.default_rng(seed), 3, 10, 0.1)
        rise, deviation = Surface(weights, losses, groups, valley(3)).rise(valley(3) - [0.0, 0.4, 0.0])
        rises.append(rise)
        inside += abs(rise - 0.16) < 2.0 * deviation
    assert np.mean(rises) == pytest.approx(0.16, abs=0.03)
    assert inside >= 34


def test_the_nearest_is_within_the_bounds_and_not_clearly_above_the_centre() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        weights, losses, groups = invented(rng, 4, 8, 0.3)
        centre = np.clip(valley(4) + rng.normal(0.0, 0.1, 4), 0.5, 2.0)
        surface = Surface(weights, losses, groups, centre)
        found = surface.nearest(np.ones(4), np.full(4, 0.5), np.full(4, 2.0))
        rise, deviation = surface.rise(found)
        assert rise <= DOUBT * deviation + 1e-12
        assert ((found >= 0.5) & (found <= 2.0)).all()
        assert np.linalg.norm(found - 1.0) < np.linalg.norm(centre - 1.0)


def test_losses_that_tell_nothing_leave_the_prompt_as_it_was() -> None:
    rng = np.random.default_rng(5)
    weights, groups = rng.normal(1.0, 0.2, (60, 3)), np.repeat(np.arange(5), ROWS)
    noise = Surface(weights, rng.normal(1.0, 0.1, 60), groups, [1.2, 0.8, 1.1]).nearest(*box(3))
    assert noise == pytest.approx(np.ones(3), abs=0.1)
    flat = Surface(weights, np.ones(60), groups, [1.2, 0.8, 1.1]).nearest(*box(3))
    assert flat == pytest.approx(np.ones(3), abs=0.01)


def test_generations_are_compared_only_where_they_have_the_same_seeds() -> None:
    run = candidates(*invented(np.random.default_rng(2), 4, 30, 0.02))
    rotated = simplest(run, valley(4), axes(4), rotated=True)
    assert rotated == pytest.approx([0.6, 1.4, 1.0, 1.0], abs=0.1)
    fixed = simplest(run, valley(4), axes(4), rotated=False)  # the offsets are noise to it, larger than all the rest
    assert fixed == pytest.approx(np.ones(4), abs=0.1)


def test_too_few_candidates_leave_the_centre() -> None:
    run = candidates(np.array([[1.0, 1.0], [1.2, 0.9]]), np.array([1.0, 0.9]), np.array([0, 0]))
    assert simplest(run, [1.2, 0.9], axes(2), rotated=True).tolist() == [1.2, 0.9]
    assert simplest([], [1.2, 0.9], axes(2), rotated=True).tolist() == [1.2, 0.9]


def test_a_word_that_never_moved_keeps_its_weight() -> None:
    weights, losses, groups = invented(np.random.default_rng(4), 3, 10, 0.05)
    weights[:, 2] = 1.0
    found = Surface(weights, losses, groups, [1.4, 2.2, 1.0]).nearest(*box(3))
    assert found[2] == 1.0 and found[1] - found[0] == pytest.approx(0.8, abs=0.15)


def test_sixty_words() -> None:
    run = candidates(*invented(np.random.default_rng(1), 60, MOST // ROWS, 0.1))
    found = simplest(run, valley(60), axes(60), rotated=True)
    assert np.linalg.norm(found - 1.0) < 0.5 * np.linalg.norm(valley(60) - 1.0)
    assert loss(found) < 0.3 * loss(np.ones(60))


def test_within_takes_the_mean_of_each_group_away() -> None:
    values = np.array([[1.0, 5.0], [3.0, 6.0], [10.0, 0.0]])
    assert within(values, np.array([7, 7, 2])).tolist() == [[-1.0, -0.5], [1.0, 0.5], [0.0, 0.0]]
