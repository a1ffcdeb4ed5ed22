"""Every reason to stop, brought about, and in words."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_pins.search import INTERRUPTED, SearchOptions, create
from prompt_pins.search.stopping import is_flat

from tests.search.search_cases import plain


def sphere(points):
    return [float(((x - 0.7) ** 2).sum()) for x in points]


def stopped(loss, low=0.0, high=2.0, limit=5000, **options):
    search = create(np.ones(4), low, high, plain(**options))
    for _ in range(limit):
        if search.stop() is not None:
            break
        search.tell(loss(search.ask()))
    return search


@pytest.mark.parametrize("objectives", [1, 2])
def test_generations(objectives):
    search = stopped(sphere, objectives=objectives, generations=3)
    assert search.stop() == "the budget of 3 generations is used up"
    assert (search.generation, search.stop().code) == (3, "generations")


@pytest.mark.parametrize("objectives", [1, 2])
def test_candidates(objectives):
    search = stopped(sphere, objectives=objectives, max_evaluations=30, mo_lambda_=0, generations=100)
    assert search.stop() == "24 candidates of a budget of 30: not enough left for a generation"
    assert search.evaluations == 24


def test_candidates_when_a_restart_needs_more():
    search = stopped(sphere, max_evaluations=400, generations=1000, restarts=9)
    assert search.stop().code == "candidates"
    assert search.evaluations <= 400


@pytest.mark.parametrize("objectives", [1, 2])
def test_target(objectives):
    search = stopped(sphere, objectives=objectives, target_loss=0.1, generations=1000, mo_lambda_=0)
    assert search.stop().startswith("the target loss is reached: 0.0")
    assert search.best[1] <= 0.1


@pytest.mark.parametrize("objectives", [1, 2])
def test_weights_without_effect(objectives):
    search = stopped(lambda points: [0.25] * len(points), objectives=objectives)
    assert search.generation == 1
    assert search.stop().startswith("all losses are equal: the weights have no effect on the images")


def test_no_restart_where_weights_have_no_effect():
    assert stopped(lambda points: [0.25] * len(points), restarts=5).stop().code == "no effect"


def test_later_flat_fitness():
    search = stopped(lambda points: [round(value, 2) for value in sphere(points)], generations=1000, resolution=0.0)
    assert search.stop().code == "flat"
    assert search.generation > 3


@pytest.mark.parametrize("objectives", [1, 2])
def test_stagnation(objectives):
    rng = np.random.default_rng(1)

    def worse_and_worse(points):
        worse_and_worse.level += 1.0
        return [worse_and_worse.level + float(v) for v in rng.random(len(points))]

    worse_and_worse.level = 0.0
    search = stopped(
        worse_and_worse, objectives=objectives, patience=6, generations=1000, mo_lambda_=2, initial_std=0.2
    )
    assert search.stop() == "no progress in the last 6 generations"
    assert search.generation < 100


def test_slow_progress_is_no_progress():
    def slow(points):
        slow.level *= 0.999
        return [slow.level * (1 + i) for i in range(len(points))]

    slow.level = 1.0
    search = stopped(slow, patience=5, min_progress=0.01, generations=1000)
    assert search.stop() == "no progress of more than 1.000% in the last 5 generations"
    assert search.generation <= 16


@pytest.mark.parametrize("objectives", [1, 2])
def test_slow_progress_adds_up(objectives):
    """Each generation gains less than `min_progress`, a dozen of them more."""

    def slow(points):
        slow.level -= 0.004
        return [slow.level] + [slow.level + 1.0] * (len(points) - 1)

    slow.level = 1.0
    search = stopped(slow, objectives=objectives, patience=12, min_progress=0.01, generations=20, mo_lambda_=0)
    assert search.stop().code == "generations"


@pytest.mark.parametrize("objectives", [1, 2])
def test_step_size_below_the_printed_resolution(objectives):
    def narrow(points):
        return [float(((x - 1.0) ** 2).sum()) for x in points]

    search = stopped(narrow, objectives=objectives, generations=1000, mo_lambda_=0, mo_mu=2)
    assert search.stop().code == "step size"
    assert "less than their printed resolution of 0.001" in search.stop()
    assert max(search.state()["std"]) < 0.001


def test_step_size_without_resolution():
    rng = np.random.default_rng(2)

    def centre_is_best(points):
        """Ranks only, so that the losses never settle."""
        order = np.argsort(np.argsort([((x - 0.7) ** 2).sum() for x in points]))
        return [float(rank) + rng.random() * 0.1 for rank in order]

    search = stopped(centre_is_best, generations=100_000, resolution=0.0)
    assert search.stop().startswith("converged: the weights change by only")


def test_converged():
    search = stopped(lambda p: [1.0 + v for v in sphere(p)], generations=100_000, resolution=0.0, lambda_=20)
    assert search.stop().code in {"converged", "flat"}
    tilted = stopped(
        lambda p: [1e-3 + v + 1e-13 * i for i, v in enumerate(sphere(p))], generations=10**5, resolution=0.0
    )
    assert tilted.stop().code == "converged"
    assert tilted.stop() == "converged: the losses of the last 25 generations are the same"


def test_divergence():
    search = stopped(lambda points: [-float(x[0]) for x in points], -np.inf, np.inf, generations=10_000)
    assert search.stop().startswith("the step size has grown to")


def test_condition():
    axes = np.array([1.0, 1.0, 1.0, 1e18])
    search = stopped(lambda points: [float((x - 0.7) ** 2 @ axes) for x in points], generations=100_000, resolution=0.0)
    assert search.stop().code == "condition"
    assert search.stop().endswith("out of numerical range")


@pytest.mark.parametrize("objectives", [1, 2])
def test_all_failed(objectives):
    search = stopped(lambda points: [None] * len(points), objectives=objectives, restarts=3 * (objectives == 1))
    assert search.stop() == "no candidate of the last 2 generations could be scored"
    assert search.best is None


@pytest.mark.parametrize("objectives", [1, 2])
def test_one_failed_generation_is_survived(objectives):
    def once(points):
        once.calls += 1
        return [None] * len(points) if once.calls == 1 else sphere(points)

    once.calls = 0
    assert stopped(once, objectives=objectives, generations=6).stop().code == "generations"


def test_interrupted_is_in_words():
    assert INTERRUPTED == "interrupted by the user"
    assert INTERRUPTED.code == "interrupted"


def test_flatness():
    assert is_flat([0.3, 0.3])
    assert is_flat([0.3, 0.3 + 1e-14])
    assert is_flat([0.0, 0.0])
    assert not is_flat([0.3])
    assert not is_flat([])
    assert not is_flat([0.3, 0.3 + 1e-9])
    assert not is_flat([0.0, 1e-300])


@pytest.mark.parametrize(("slope", "early", "generations"), [(0.0, 0, 9), (0.0, 6, 14), (-0.01, 0, 30), (-0.01, 6, 30)])
def test_with_rotated_seeds_patience_compares_the_centres_of_two_spans(slope, early, generations):
    """One lucky row of seeds is no progress, and one unlucky row is no end of it; half batches do not count."""
    options = SearchOptions(
        lambda_=4, seed_policy="rotated", patience=4, min_progress=0.002, generations=30, early_generations=early
    )
    search = create(np.ones(4), 0, 2, options)
    while search.stop() is None:
        luck = 0.4 if search.generation % 4 == 0 else 1.0
        level = luck + slope * search.generation
        search.tell([level + 0.01 * index for index in range(len(search.ask()))])
    assert search.generation == generations
    assert search.stop().code == ("generations" if slope else "stagnation")


def test_the_budget_of_candidates_counts_the_centre():
    search = create(np.ones(4), 0, 2, SearchOptions(lambda_=4, seed_policy="rotated", max_evaluations=13))
    while search.stop() is None:
        rows = search.ask()
        search.tell([float(np.sum((row - 0.5) ** 2)) for row in rows])
    assert search.evaluations == 9
    assert search.stop().code == "candidates"
