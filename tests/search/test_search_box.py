"""Reflection into the box: where points land, and that the search's state can follow."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.search.box import MARGIN, Box

finite = st.floats(-50.0, 50.0)


def slow_reflection(x: float, low: float, high: float) -> tuple[float, int]:
    """Bounce off the bounds one at a time."""
    sign = 1
    while not low <= x <= high:
        x = 2 * low - x if x < low else 2 * high - x
        sign = -sign
    return x, sign


@given(st.lists(finite, min_size=1, max_size=6), st.floats(-2.0, 0.5), st.floats(0.51, 3.0))
def test_reflection_equals_bouncing(values, low, high):
    box = Box.build(np.full(len(values), (low + high) / 2), low, high)
    points = np.array(values)
    first, last = low - MARGIN * (high - low), high + MARGIN * (high - low)
    expected = [slow_reflection(x, first, last) for x in values]
    folded, sign = box.fold(points)
    np.testing.assert_allclose(folded, [x for x, _ in expected], atol=1e-10)
    clear = np.array([min(x - first, last - x) for x, _ in expected]) > 1e-9
    np.testing.assert_array_equal(sign[clear], np.array([s for _, s in expected])[clear])
    np.testing.assert_array_equal(box.reflect(points), np.clip(folded, low, high))


@given(st.lists(finite, min_size=1, max_size=6), st.sampled_from([(-np.inf, 1.0), (1.0, np.inf), (-np.inf, np.inf)]))
def test_one_bound_or_none(values, bounds):
    box = Box.build(np.ones(len(values)), *bounds)
    points = np.array(values)
    expected = [slow_reflection(x, *bounds) for x in values]
    np.testing.assert_allclose(box.reflect(points), [x for x, _ in expected], atol=1e-12)
    np.testing.assert_array_equal(box.fold(points)[1], [s for _, s in expected])


def test_points_inside_stay_to_the_bit():
    rng = np.random.default_rng(3)
    box = Box.build(np.ones(7), 0.0, 2.0)
    points = rng.uniform(0.0, 2.0, (50, 7))
    np.testing.assert_array_equal(box.reflect(points), points)


def test_each_variable_has_its_own_bounds():
    box = Box.build([1.0, 1.0, 0.9], [0.0, 0.5, -np.inf], [2.0, 1.5, 1.0])
    near, far = -2.0 * MARGIN, 1.5 + MARGIN
    np.testing.assert_allclose(box.fold([[-0.25, 1.75, 1.25]])[0], [[2 * near + 0.25, 2 * far - 1.75, 0.75]])


def test_points_between_a_bound_and_its_mirror_are_on_the_bound():
    box = Box.build(np.ones(3), 0.0, 2.0)
    np.testing.assert_array_equal(box.reflect([-MARGIN, 2.0 + MARGIN, 2.0 + 2.0 * MARGIN]), [0.0, 2.0, 2.0])
