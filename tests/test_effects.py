"""Intervals on simulated data whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from prompt_pins.effects import effect, spread_values

DRAWS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal": (lambda rng, n: rng.normal(0.02, 0.05, n), 0.02),
    "skewed": (lambda rng, n: rng.gamma(2.0, 0.05, n), 0.1),
    "bounded": (lambda rng, n: rng.uniform(-0.1, 0.2, n), 0.05),
}


@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("name", DRAWS)
def test_intervals_cover_the_truth(name: str, size: int) -> None:
    draw, truth = DRAWS[name]
    rng = np.random.default_rng(5)
    found = [effect(draw(rng, size), rng, 400) for _ in range(600)]
    assert (0.88 if size == 8 else 0.91) <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.985


@pytest.mark.parametrize("size", [8, 16])
def test_intervals_of_a_spread_cover_the_truth(size: int) -> None:
    rng = np.random.default_rng(6)
    truth = 2.0 / np.sqrt(np.pi)  # of |x - y| for standard normal x and y
    hits = []
    for _ in range(500):
        x = rng.normal(0, 1, size)
        one = effect(spread_values(abs(x[:, None] - x[None])), rng, 400)
        hits.append(one.low <= truth <= one.high)
    assert (0.88 if size == 8 else 0.91) <= np.mean(hits) <= 0.985


@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0, 1.0), (0.2, 0.64, 0.56, 0.38), (4.0, 2.0, 1.0, 0.5)])
def test_intervals_of_strata_cover_the_truth(scales: tuple[float, ...]) -> None:
    rng = np.random.default_rng(5)
    values = [rng.normal((0.0, 1.0, 2.0, 3.0), scales, (4, 4)) for _ in range(600)]
    found = [effect(rows, rng, 1000) for rows in values]
    assert 0.91 <= np.mean([one.low <= 1.5 <= one.high for one in found]) <= 0.975


def test_a_stratum_is_resampled_within_itself() -> None:
    rng = np.random.default_rng(9)
    found = effect(np.array([[0.0, 100.0]] * 4), rng)
    assert (found.mean, found.low, found.high) == (50.0, 50.0, 50.0)
    rows = rng.normal(0, 1, (8, 1))
    assert effect(rows, np.random.default_rng(1)) == effect(rows[:, 0], np.random.default_rng(1))


def test_an_interval_does_not_depend_on_the_unit() -> None:
    values = np.random.default_rng(9).normal(0.1, 1, (8, 3))
    plain = effect(values, np.random.default_rng(1))
    for unit in (1e99, 1e-99):
        other = effect(values * unit, np.random.default_rng(1))
        for name in ("mean", "low", "high"):
            assert getattr(other, name) / unit == pytest.approx(getattr(plain, name))


def test_pseudo_values_average_to_the_mean_over_pairs() -> None:
    table = np.random.default_rng(7).uniform(0, 1, (9, 9))
    table = table + table.T
    np.fill_diagonal(table, 0.0)
    assert spread_values(table).mean() == pytest.approx(table.sum() / (9 * 8))


def test_values_that_are_all_alike_have_no_width() -> None:
    found = effect(np.full(6, 0.25), np.random.default_rng(1))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25) and found.proven
    assert not effect(np.zeros(6), np.random.default_rng(1)).proven
