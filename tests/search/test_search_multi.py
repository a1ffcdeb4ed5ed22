"""Two objectives: the front against brute force, hypervolume against DEAP's, the strategy against closed form."""

from __future__ import annotations

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.search import create
from prompt_pins.search.individual import Individual, LossAndDistance
from prompt_pins.search.pareto import FrontPoint, hypervolume, least_contributor, with_point

from tests.search.search_cases import plain

MINIMUM = np.array([1.3, 0.8, 1.1, 1.05])
coarse = st.integers(0, 6).map(float)
pairs = st.lists(st.tuples(coarse, coarse), min_size=1, max_size=25)


def sphere(points):
    return [float(((x - MINIMUM) ** 2).sum()) for x in points]


def run(**options):
    search = create(np.ones(4), 0, 2, plain(objectives=2, **options))
    rows, losses = [], []
    while search.stop() is None:
        asked = search.ask()
        told = sphere(asked)
        search.tell(told)
        rows += asked.tolist()
        losses += told
    return search, np.array(rows), np.array(losses)


def front_of(points):
    front = ()
    for loss, distance in points:
        front = with_point(front, FrontPoint((), loss, distance))
    return front


@given(pairs)
def test_front_is_what_brute_force_finds(points):
    expected = {
        p for p in points if not any((q[0] <= p[0] and q[1] <= p[1]) and (q[0] < p[0] or q[1] < p[1]) for q in points)
    }
    front = front_of(points)
    assert {(p.loss, p.distance) for p in front} == expected
    assert [p.distance for p in front] == sorted(p.distance for p in front)


@given(pairs)
def test_hypervolume_counts_unit_squares(points):
    """The area below (7, 7) that some point dominates, square by square."""
    squares = sum(any(p[0] <= x and p[1] <= y for p in points) for x in range(7) for y in range(7))
    assert hypervolume(front_of(points), 7.0, 7.0) == squares


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=2, max_size=12, unique=True))
def test_least_contributor_loses_the_least_area(points):
    front = [Individual([0.0], LossAndDistance((p.loss, p.distance))) for p in front_of(points)]
    if len(front) < 2:
        return
    ref = np.array([6.0, 6.0])

    def area_without(index):
        rest = [FrontPoint((), *ind.fitness.values) for i, ind in enumerate(front) if i != index]
        return hypervolume(rest, *ref)

    areas = [area_without(index) for index in range(len(front))]
    assert areas[least_contributor(front, ref)] == pytest.approx(max(areas))
    assert areas[tools.hypervolume(front, ref=ref)] == pytest.approx(max(areas))


@pytest.mark.parametrize("options", [{"mo_lambda_": 0, "generations": 100}, {"mo_lambda_": 1, "generations": 800}])
def test_front_approaches_the_closed_form(options):
    """The best loss at distance r is (R - r)^2, with R the distance of the minimum."""
    reach = np.linalg.norm(MINIMUM - 1.0)
    search, _, _ = run(**options, cma_seed=3)
    assert search.front[0].distance == 0.0
    assert search.best[1] < 0.001
    bound = [(reach - p.distance) ** 2 if p.distance < reach else 0.0 for p in search.front]
    found = [p.loss for p in search.front]
    assert (np.array(found) >= np.array(bound) - 1e-12).all()
    ideal = [FrontPoint((), (reach - r) ** 2, r) for r in np.linspace(0.0, reach, 2000)]
    share = hypervolume(search.front, reach**2, reach) / hypervolume(ideal, reach**2, reach)
    assert 0.9 < share < 1.0


def test_front_holds_every_candidate_that_no_other_beats():
    search, rows, losses = run(mo_lambda_=0, generations=12)
    distances = np.linalg.norm(rows - 1.0, axis=1)
    best = {
        tuple(row)
        for row, loss, distance in zip(rows.tolist(), losses, distances, strict=True)
        if not ((losses <= loss) & (distances <= distance) & ((losses < loss) | (distances < distance))).any()
    }
    assert {p.vector for p in search.front} == best
    for point in search.front:
        assert point.distance == pytest.approx(np.linalg.norm(np.array(point.vector) - 1.0))


@pytest.mark.parametrize("kind", ["penalty", "constraint"])
def test_front_ends_at_the_size_limit(kind):
    search, rows, _ = run(mo_lambda_=0, generations=60, size_limit=0.2, size_limiter=kind)
    assert np.linalg.norm(rows - 1.0, axis=1).max() <= 0.202 + 1e-12
    assert 0.15 < search.front[-1].distance <= 0.202 + 1e-12


def test_many_distinct_fitnesses_do_not_break_the_sorting():
    """One value makes DEAP 1.4 raise IndexError at four distinct fitnesses; two do not."""
    search, _, losses = run(mo_mu=12, mo_lambda_=0, generations=4)
    assert len(set(losses)) > 12
    assert search.stop().code == "generations"


@pytest.mark.parametrize(("mu", "lambda_"), [(1, 1), (1, 5), (6, 2), (3, 3), (2, 9)])
def test_any_population(mu, lambda_):
    search, rows, _ = run(mo_mu=mu, mo_lambda_=lambda_, generations=20, resolution=0.0)
    assert len(rows) == mu + 19 * lambda_
    assert search.best[1] < sphere([np.ones(4)])[0]


def test_one_variable():
    search = create([1.0], 0, 2, plain(objectives=2, mo_lambda_=0, generations=60))
    while search.stop() is None:
        search.tell([float((x[0] - 1.4) ** 2) for x in search.ask()])
    assert search.best[0][0] == pytest.approx(1.4, abs=0.02)


def test_parameters_reach_the_strategy():
    given_options = {"d": 2.0, "ptarg": 0.2, "cp": 0.1, "cc": 0.3, "ccov": 0.05, "pthresh": 0.4}
    search, _, _ = run(generations=2, mo_mu=5, mo_lambda_=3, **given_options)
    strategy = search._strategy
    assert {name: getattr(strategy, name) for name in given_options} == given_options
    assert (strategy.mu, strategy.lambda_) == (5, 3)


def test_defaults_are_the_seeds_formulas():
    search, _, _ = run(generations=2)
    strategy = search._strategy
    assert (strategy.d, strategy.ptarg, strategy.pthresh) == (1 + 4 / 2, 1 / 5.5, 0.44)
    assert strategy.cp == pytest.approx(strategy.ptarg / (2 + strategy.ptarg))
    assert (strategy.cc, strategy.ccov) == (2 / 6, 2 / 22)


def test_state_has_the_front():
    search, _, _ = run(generations=3)
    state = search.state()
    assert state["front"] == [[p.loss, p.distance] for p in search.front]
    assert len(state["mean"]) == len(state["std"]) == 4
    assert state["best_loss"] == min(p.loss for p in search.front)
