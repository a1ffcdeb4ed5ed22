"""The analysis on simulated data whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from prompt_pins.report import analysis

from tests.report.synthetic import Shape, SyntheticRun, truth


def simulate(rng: np.random.Generator, count: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(weights, losses, curvatures) of a quadratic loss with noise that grows away from the optimum."""
    size = 5
    curvature = rng.uniform(0.05, 1.0, size)
    weights = rng.normal(1.0, 0.3, (count, size))
    clean = 0.2 + 0.5 * (weights - 1.1) ** 2 @ curvature
    return weights, clean + rng.normal(0, noise, count) * (0.5 + clean), curvature


def curvatures(weights: np.ndarray, losses: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return analysis.curvature_intervals(weights, losses, centre, np.random.default_rng(0), 1)[0]


def test_without_noise_the_curvatures_are_exact() -> None:
    weights, losses, curvature = simulate(np.random.default_rng(1), 80, 0.0)
    assert curvatures(weights, losses, np.ones(5)) == pytest.approx(curvature, rel=1e-3)


def test_the_centre_does_not_change_curvatures() -> None:
    weights, losses, _ = simulate(np.random.default_rng(2), 80, 0.0)
    first = curvatures(weights, losses, np.ones(5))
    assert curvatures(weights, losses, np.full(5, 0.7)) == pytest.approx(first, rel=1e-2)


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(40):
        weights, losses, curvature = simulate(rng, 120, 0.05)
        _, low, high = analysis.curvature_intervals(weights, losses, np.ones(5), rng, resamples=150)
        hits.append((low <= curvature) & (curvature <= high))
    assert 0.88 <= np.mean(hits) <= 0.99


def test_intervals_cover_the_truth_where_each_generation_has_its_own_seeds() -> None:
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(15), 10)
    hits, widths = [], []
    for _ in range(40):
        weights, losses, curvature = simulate(rng, 150, 0.03)
        losses = losses + np.repeat(rng.normal(0.0, 0.3, 15), 10)
        _, low, high = analysis.curvature_intervals(weights, losses, np.ones(5), rng, 150, groups)
        _, bottom, top = analysis.curvature_intervals(weights, losses, np.ones(5), rng, 30)
        hits.append((low <= curvature) & (curvature <= high))
        widths.append(np.mean(high - low) / np.mean(top - bottom))
    assert 0.86 <= np.mean(hits) <= 0.99
    assert np.mean(widths) < 0.4


def test_values_are_compared_within_their_group() -> None:
    found = analysis.within(np.array([[1.0, 5.0], [3.0, 5.0], [10.0, 0.0]]), np.array([7, 7, 9]))
    assert found.tolist() == [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]


def test_a_run_ranks_tight_words_above_loose_ones(tmp_path: Path) -> None:
    shape = Shape(generations=30, population=8, batch=2, size=8, images=False, held=0)
    run = SyntheticRun(tmp_path / "00000000", shape)
    record = run.write().record()
    labels = [str(index) for index in range(run.count)]
    rows = analysis.tightness(record, labels, [None] * run.count)
    curvature = truth(run.count)[1]
    ranked = [curvature[int(row.label)] for row in rows]
    assert np.mean(ranked[: run.count // 2]) > np.mean(ranked[run.count // 2 :])
    assert rows == analysis.tightness(record, labels, [None] * run.count)
    assert all(row.low <= row.high for row in rows)


def test_correlations_are_a_correlation_matrix(tmp_path: Path) -> None:
    shape = Shape(generations=30, population=8, batch=2, size=8, images=False, held=0)
    matrix = analysis.correlations(SyntheticRun(tmp_path / "00000000", shape).write().record())
    assert matrix is not None
    assert np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1.0)
    assert np.abs(matrix).max() <= 1.0 + 1e-9


def test_short_runs_are_not_analysed(tmp_path: Path) -> None:
    shape = Shape(generations=1, population=4, batch=2, size=8, images=False, held=0)
    record = SyntheticRun(tmp_path / "00000000", shape).write().record()
    assert analysis.tightness(record, ["x"] * 10, [None] * 10) == ()
    assert analysis.correlations(record) is None
