"""The benchmark of the search: its functions, and that its small part runs and holds what it promises."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("cma")

from benchmarks import functions, search


@pytest.mark.parametrize("place", functions.PLACES)
@pytest.mark.parametrize("name", functions.NAMES)
def test_functions_have_their_minimum_where_they_say(name, place):
    problem = functions.problem(name, 6, 3, place)
    assert problem.function(problem.minimiser[None])[0] == pytest.approx(0.0, abs=1e-12)
    rng = np.random.default_rng(1)
    around = problem.minimiser + 0.3 * rng.standard_normal((200, 6))
    assert (problem.function(around) > 0).all()
    if place != "unbounded":
        assert ((problem.minimiser >= problem.low) & (problem.minimiser <= problem.high)).all()
    on_bound = (problem.minimiser == 0.0) | (problem.minimiser == 2.0)
    assert on_bound.sum() == (3 if place == "edge" else 0)


def test_condition_of_the_ellipsoids():
    for name in ("ellipsoid", "rotated ellipsoid"):
        problem = functions.problem(name, 5, 2)
        step = 1e-3
        hessian = np.array(
            [
                [
                    problem.function((problem.minimiser + step * (a + b))[None])[0]
                    - problem.function((problem.minimiser + step * (a - b))[None])[0]
                    for a in np.eye(5)
                ]
                for b in np.eye(5)
            ]
        ) / (4 * step**2)
        values = np.linalg.eigvalsh(hessian + hessian.T) / 2
        assert values[-1] / values[0] == pytest.approx(1e4, rel=1e-4)


def test_counter_stops_at_the_first_hit():
    problem = functions.problem("sphere", 3, 1)
    counter = search.Counter(problem, "none", 100, 1)
    counter(np.ones((4, 3)) * 9.0)
    with pytest.raises(search.Finished):
        counter(np.array([[9.0] * 3, problem.minimiser, [9.0] * 3]))
    assert (counter.count, counter.success) == (6, True)
    spent = search.Counter(problem, "none", 5, 1)
    with pytest.raises(search.Finished):
        spent(np.ones((5, 3)) * 9.0)
    assert not spent.success


def test_quick_run_is_within_ten_percent_of_pycma(capsys):
    assert search.main(["--quick", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    plain = [row for row in report["rows"] if row["noise"] == "none"]
    assert len(plain) == 4
    for row in plain:
        assert row["ours"]["successes"] == report["seeds"]
        assert row["ratio_to_pycma"] < 1.1
    unbounded = {row["name"]: row for row in plain if row["place"] == "unbounded"}
    row = unbounded["rotated ellipsoid"]
    assert row["ours"]["median"] < 0.9 * row["deap"]["median"]


def test_ratio_of_medians():
    assert search.ratio([2.0, 4.0, 3.0], [2.0, 2.0, 2.0]) == (1.5, (1.0, 2.0))
    assert search.ratio([1.0, None, None], [2.0, 2.0, 2.0]) == (None, None)
    found, (low, high) = search.ratio([90.0, 100.0, 110.0] * 20, [100.0] * 60)
    assert found == 1.0
    assert 0.9 <= low <= 1.0 <= high <= 1.1
