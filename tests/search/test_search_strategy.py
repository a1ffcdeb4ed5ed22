"""The CMA-ES strategy against DEAP's own, and the invariants of its state."""

from __future__ import annotations

import numpy as np
import pytest
from deap import cma as deap_cma
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.search.individual import Individual, Loss
from prompt_pins.search.strategy import MAX_CONDITION, ActiveStrategy


def scored(points, values):
    population = []
    for row, (point, value) in enumerate(zip(points, values, strict=True)):
        individual = Individual(point, Loss(), row)
        if value is not None:
            individual.fitness.values = (value,)
        population.append(individual)
    return population


def pair(size=6, seed=4, **params):
    ours = ActiveStrategy(np.ones(size), 0.3, np.random.default_rng(seed), active=False, **params)
    theirs = deap_cma.Strategy(np.ones(size), 0.3, **params)
    ours._lag = 0.0
    return ours, theirs


@pytest.mark.parametrize("weights", ["superlinear", "linear", "equal"])
def test_without_the_active_update_it_is_deaps(weights):
    ours, theirs = pair(weights=weights)
    for _ in range(40):
        points = ours.sample(ours.lambda_)
        values = [float(x @ np.diag(np.arange(1.0, 7.0)) @ x) for x in points]
        ours.update(scored(points, values))
        theirs.update([numpy_individual(x, v) for x, v in zip(points, values, strict=True)])
        np.testing.assert_allclose(ours.centroid, theirs.centroid, rtol=1e-9)
        np.testing.assert_allclose(ours.C, theirs.C, rtol=1e-7, atol=1e-12)
        assert ours.sigma == pytest.approx(theirs.sigma, rel=1e-9)


def test_an_active_update_by_the_book():
    """Two updates of the covariance matrix, term by term as in the tutorial's eqs. (45) to (47)."""
    strategy = ActiveStrategy(np.zeros(3), 0.5, np.random.default_rng(3), lambda_=6, cmatrix=np.diag([1.0, 4.0, 0.25]))
    strategy._lag = 0.0
    path = np.zeros(3)
    for _ in range(2):
        points = strategy.sample(6)
        mean, matrix, sigma = strategy.centroid, strategy.C, strategy.sigma
        c1, cmu, cc = strategy.ccov1, strategy.ccovmu, strategy.cc
        values = [3.0, 1.0, 6.0, 2.0, 5.0, 4.0]
        strategy.update(scored(points, values))
        ordered = (points[np.argsort(values)] - mean) / sigma
        path = (1 - cc) * path + np.sqrt(cc * (2 - cc) * strategy.mueff) * (strategy.ranks[:3] @ ordered[:3])
        expected = (1 - c1 - cmu * strategy.ranks.sum()) * matrix + c1 * np.outer(path, path)
        for rank, step in zip(strategy.ranks, ordered):
            scale = 1.0 if rank >= 0 else 3 / (step @ np.linalg.inv(matrix) @ step)
            expected = expected + cmu * rank * scale * np.outer(step, step)
        np.testing.assert_allclose(strategy.C, expected, rtol=1e-10, atol=1e-14)


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 2**32))
def test_pairs_lie_opposite_each_other_and_at_right_angles_to_the_next_ones(size, count, seed):
    strategy = ActiveStrategy(np.ones(size), 0.5, np.random.default_rng(seed), draws="pairs")
    steps = strategy.sample(count) - strategy.centroid
    assert steps.shape == (count, size)
    np.testing.assert_allclose(steps[0 : count - 1 : 2], -steps[1::2], atol=1e-12)
    for first in range(0, count, 2 * size):
        unlike = steps[first : first + 2 * size : 2]
        angles = unlike @ unlike.T
        np.testing.assert_allclose(angles, np.diag(np.diag(angles)), atol=1e-9)


def test_each_of_a_pair_is_normally_distributed():
    shape = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.3], [0.0, 0.3, 0.5]])
    strategy = ActiveStrategy(np.ones(3), 0.5, np.random.default_rng(7), cmatrix=shape, draws="pairs")
    many = np.array([strategy.sample(8) - 1.0 for _ in range(6000)])
    for place in range(8):
        np.testing.assert_allclose(many[:, place].mean(axis=0), 0.0, atol=0.04)
        np.testing.assert_allclose(np.cov(many[:, place].T), 0.25 * shape, atol=0.03)
        lengths = (strategy.whiten(many[:, place]) ** 2).sum(axis=1) / 0.25
        assert lengths.mean() == pytest.approx(3.0, rel=0.04)  # chi square's mean and variance: N and 2 N
        assert lengths.var() == pytest.approx(6.0, rel=0.12)


@pytest.mark.parametrize("draws", ["independent", "pairs"])
@pytest.mark.parametrize(("size", "lambda_"), [(4, 8), (4, 7), (8, 6), (3, 20)])
def test_ranks_that_mean_nothing_neither_lengthen_nor_shorten_the_path(draws, size, lambda_):
    """E |p_s|^2 = N after one generation ranked at random, or the step size would drift by itself."""
    rng, lengths = np.random.default_rng(11), []
    for _ in range(1500):
        strategy = ActiveStrategy(np.ones(size), 0.3, rng, draws=draws, lambda_=lambda_)
        strategy.update(scored(strategy.sample(lambda_), rng.random(lambda_)))
        lengths.append((strategy.ps @ strategy.ps) / (strategy.cs * (2.0 - strategy.cs)))
    assert np.mean(lengths) == pytest.approx(size, rel=0.07)


def test_pairs_of_which_all_are_parents_alike_stay_where_they_are():
    params = {"draws": "pairs", "weights": "equal", "lambda_": 8, "mu": 8}
    strategy = ActiveStrategy(np.ones(4), 0.3, np.random.default_rng(1), **params)
    for _ in range(5):
        strategy.update(scored(strategy.sample(8), np.arange(8.0)))
    np.testing.assert_allclose(strategy.centroid, 1.0, atol=1e-9)
    assert np.isfinite(strategy.C).all() and 0 < strategy.sigma < 0.3


class NumpyIndividual(np.ndarray):
    """What DEAP's own update expects: it subtracts a centroid from a list of these."""


def numpy_individual(point, value):
    individual = np.array(point).view(NumpyIndividual)
    individual.fitness = Loss((value,))
    return individual


@pytest.mark.parametrize("weights", ["superlinear", "linear", "equal"])
@pytest.mark.parametrize(
    ("size", "lambda_", "mu"), [(1, 4, 2), (8, 10, 5), (8, 10, 2), (8, 10, 9), (8, 10, 10), (3, 80, 40)]
)
def test_negative_weights(weights, size, lambda_, mu):
    strategy = ActiveStrategy(np.ones(size), 0.3, np.random.default_rng(1), weights=weights, lambda_=lambda_, mu=mu)
    ranks = strategy.ranks
    assert ranks[:mu].sum() == pytest.approx(1.0)
    assert (ranks[:mu] >= 0).all()
    assert (ranks[mu:] <= 0).all()
    assert (np.diff(ranks[:mu]) <= 1e-15).all()
    if mu < lambda_ and strategy.ccov1 + strategy.ccovmu < 1:
        assert ranks[-1] < 0
    # eqs. (50) and (52): C cannot lose more than it has
    least = 1 - strategy.ccov1 - strategy.ccovmu * ranks.sum()
    assert least + size * strategy.ccovmu * ranks[mu:].sum() > -1e-12


def test_default_negative_weights_leave_no_decay():
    strategy = ActiveStrategy(np.ones(8), 0.3, np.random.default_rng(1))
    assert strategy.ccov1 + strategy.ccovmu * strategy.ranks.sum() == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 2**32), st.lists(st.booleans(), min_size=40, max_size=40))
def test_covariance_stays_positive_definite(size, seed, failures):
    """Whatever the losses, random ones and failures included."""
    rng = np.random.default_rng(seed)
    strategy = ActiveStrategy(np.ones(size), 0.3, rng)
    for turn in range(30):
        points = strategy.sample(strategy.lambda_)
        values = [None if failures[(turn + i) % 40] else float(v) for i, v in enumerate(rng.random(len(points)))]
        strategy.update(scored(points, values))
        assert np.linalg.eigvalsh(strategy.C)[0] > 0
        assert np.isfinite(strategy.centroid).all() and strategy.sigma > 0


def test_eigenvalue_guard():
    strategy = ActiveStrategy(np.ones(3), 0.3, np.random.default_rng(1))
    strategy.C = np.diag([-1.0, 1.0, 4.0])
    strategy._decompose(late=False)
    assert strategy.repaired == 1
    assert np.linalg.eigvalsh(strategy.C)[0] > 0
    assert strategy.axis_ratio <= np.sqrt(MAX_CONDITION) * 1.001
    assert np.isfinite(strategy.sample(5)).all()


def test_failed_candidates_rank_last():
    """The update is the one that a huge loss in their place would give."""
    failing, huge = (ActiveStrategy(np.ones(5), 0.3, np.random.default_rng(2)) for _ in range(2))
    points = failing.sample(failing.lambda_)
    huge.sample(huge.lambda_)
    values = [float(v) for v in range(len(points))]
    failing.update(scored(points, [*values[:-2], None, None]))
    huge.update(scored(points, [*values[:-2], 1e300, 1e301]))
    np.testing.assert_array_equal(failing.centroid, huge.centroid)
    np.testing.assert_array_equal(failing.C, huge.C)


def test_fewer_valid_candidates_than_parents():
    strategy = ActiveStrategy(np.ones(5), 0.3, np.random.default_rng(2))
    points = strategy.sample(strategy.lambda_)
    strategy.update(scored(points, [0.5, *[None] * (len(points) - 1)]))
    np.testing.assert_allclose(strategy.centroid, points[0])


def test_no_valid_candidate_changes_nothing():
    strategy = ActiveStrategy(np.ones(5), 0.3, np.random.default_rng(2))
    before = strategy.centroid.copy(), strategy.C.copy(), strategy.sigma
    strategy.update(scored(strategy.sample(6), [None] * 6))
    np.testing.assert_array_equal(strategy.centroid, before[0])
    np.testing.assert_array_equal(strategy.C, before[1])
    assert strategy.sigma == before[2]


def test_sampling_has_the_right_distribution():
    shape = np.array([[4.0, 1.2, 0.0], [1.2, 1.0, 0.3], [0.0, 0.3, 2.0]])
    strategy = ActiveStrategy(np.array([1.0, 2.0, 3.0]), 0.5, np.random.default_rng(8), cmatrix=shape)
    points = strategy.sample(200_000)
    np.testing.assert_allclose(points.mean(axis=0), [1.0, 2.0, 3.0], atol=0.01)
    np.testing.assert_allclose(np.cov(points.T), 0.25 * shape, atol=0.02)


def test_mirroring_commutes_with_the_update():
    """A search of the mirrored function is the mirror image of the search."""
    sign = np.array([1.0, -1.0, 1.0, -1.0])
    axes = np.linspace(1.0, 9.0, 4)
    plain = ActiveStrategy(np.ones(4), 0.3, np.random.default_rng(5))
    turned = ActiveStrategy(np.ones(4), 0.3, np.random.default_rng(5))
    for _ in range(15):
        for strategy in (plain, turned):
            points = strategy.sample(8)
            strategy.update(scored(points, [float(((x - 0.2) ** 2) @ axes) for x in points]))
    turned.mirror(turned.centroid * sign, sign)
    turned.sample(8)
    points = plain.sample(8)
    values = [float(v) for v in np.random.default_rng(1).random(8)]
    plain.update(scored(points, values))
    turned.update(scored(points * sign, values))
    np.testing.assert_allclose(turned.centroid, plain.centroid * sign, rtol=1e-12)
    np.testing.assert_allclose(turned.C, plain.C * np.outer(sign, sign), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(turned.ps, plain.ps * sign, rtol=1e-9, atol=1e-12)
    assert turned.sigma == pytest.approx(plain.sigma, rel=1e-12)


def test_cap_holds_every_deviation():
    strategy = ActiveStrategy(np.ones(3), 1.0, np.random.default_rng(5), cmatrix=np.diag([4.0, 1.0, 0.01]))
    strategy.cap(np.array([0.5, np.inf, 0.5]))
    np.testing.assert_allclose(strategy.std, [0.5, 1.0, 0.1])
    np.testing.assert_allclose((strategy.BD @ strategy.BD.T), strategy.C, atol=1e-12)


def test_a_far_injection_does_not_throw_the_search():
    strategy = ActiveStrategy(np.ones(4), 0.01, np.random.default_rng(5))
    points = strategy.sample(strategy.lambda_)
    population = scored(points, [float(i + 1) for i in range(len(points))])
    population[0] = Individual([100.0] * 4, Loss((0.0,)), 0, injected=True)
    strategy.update(population)
    assert np.linalg.norm(strategy.centroid - 1.0) < 0.1
    assert strategy.sigma < 0.03
    assert strategy.axis_ratio < 10
