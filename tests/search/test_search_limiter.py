"""The size limiter: projection, the penalty of DEAP's ClosestValidPenalty, and the constraint."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_pins.search import create
from prompt_pins.search.box import Box
from prompt_pins.search.individual import Individual, LossAndDistance
from prompt_pins.search.limiter import SizeLimiter

from tests.search.search_cases import plain


def limiter(**options):
    box = Box.build(np.ones(3), 0.0, 2.0)
    chosen = plain(**options)
    return SizeLimiter.build(box, chosen, chosen.resolve(3))


def test_close_points_are_valid_and_stay():
    found = limiter(size_limit=0.5)
    points = np.array([[1.0, 1.0, 1.5], [1.0, 1.0, 1.504], [1.0, 1.0, 1.506]])
    assert found.valid(points).tolist() == [True, True, False]
    np.testing.assert_allclose(found.closest(points), [[1, 1, 1.5], [1, 1, 1.504], [1, 1, 1.5]])


def test_the_closest_valid_point_is_the_closest():
    """Against a search of the whole ball."""
    rng = np.random.default_rng(1)
    found = limiter(size_limit=0.6, size_limit_error=0.0)
    ball = rng.standard_normal((200_000, 3))
    ball = 1.0 + 0.6 * ball / np.linalg.norm(ball, axis=1, keepdims=True)
    for point in rng.uniform(0.0, 2.0, (10, 3)):
        if found.valid(point):
            continue
        nearest = ball[np.argmin(np.linalg.norm(ball - point, axis=1))]
        np.testing.assert_allclose(found.closest(point), nearest, atol=0.02)


def test_penalty():
    found = limiter(size_limit=0.5, size_limit_weight=3.0)
    near = Individual([1.2, 1.0, 1.0], LossAndDistance())
    assert found.penalised(near, [1.2, 1.0, 1.0], (0.4, 0.2)) == (0.4, 0.2)
    far = Individual([1.9, 1.0, 1.0], LossAndDistance())
    assert found.penalised(far, [1.5, 1.0, 1.0], (0.4, 0.5)) == pytest.approx((0.4 + 3 * 0.4, 0.5 + 3 * 0.4))


def test_no_limit():
    found = limiter()
    points = np.array([[0.0, 2.0, 0.0]])
    assert found.valid(points).all()
    np.testing.assert_array_equal(found.closest(points), points)


@pytest.mark.parametrize("kind", ["penalty", "constraint"])
def test_the_search_finds_the_best_point_of_the_ball(kind):
    """The minimum lies outside: the answer is where the way to it leaves the ball."""
    minimum = np.array([1.6, 0.6, 1.2, 1.0])
    away = minimum - 1.0
    expected = 1.0 + 0.3 * away / np.linalg.norm(away)
    options = plain(size_limit=0.3, size_limit_error=0.0, size_limiter=kind, generations=80, cma_seed=2)
    search = create(np.ones(4), 0, 2, options)
    while search.stop() is None:
        search.tell([float(((x - minimum) ** 2).sum()) for x in search.ask()])
    np.testing.assert_allclose(search.best[0], expected, atol=0.02)
    assert np.linalg.norm(search.best[0] - 1.0) <= 0.3 + 1e-12


def test_the_penalty_draws_the_distribution_back():
    """Beyond the limit every point scores like its projection; only the penalty tells them apart."""
    minimum = np.full(4, 2.0)

    def final_distance(weight):
        options = plain(size_limit=0.2, size_limit_weight=weight, generations=60, cma_seed=1)
        search = create(np.ones(4), 0, 2, options)
        while search.stop() is None:
            search.tell([float(((x - minimum) ** 2).sum()) for x in search.ask()])
        return np.linalg.norm(np.array(search.state()["mean"]) - 1.0)

    assert final_distance(20.0) < 0.25


def test_constraint_redraws_instead_of_moving():
    """In few dimensions most draws are inside, and none is moved onto the sphere."""
    options = plain(size_limit=0.1, size_limiter="constraint", initial_std=0.05, lambda_=50)
    rows = create(np.ones(2), 0, 2, options).ask()
    distances = np.linalg.norm(rows - 1.0, axis=1)
    assert (distances <= 0.101).all()
    assert not np.isclose(distances, 0.1, atol=1e-9).any()
