"""The search for the lowest loss: it converges, replays, stays in its bounds and survives failures."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prompt_pins.errors import OptionError
from prompt_pins.search import PRESETS, SearchOptions, create
from prompt_pins.search.box import MARGIN
from prompt_pins.search.warm import WarmStart

from tests.search.search_cases import plain

MINIMUM = np.array([0.8, 1.3, 1.0, 0.6, 1.1, 1.9, 0.2, 1.0])


def sphere(points):
    return [float(((x - MINIMUM[: len(x)]) ** 2).sum()) for x in points]


def ellipsoid(points):
    axes = 1e4 ** (np.arange(8) / 7)
    return [float(((x - MINIMUM) ** 2) @ axes) for x in points]


def run(loss, size=8, low=0.0, high=2.0, warm=None, **options):
    search = create(np.ones(size), low, high, plain(**options), warm)
    while search.stop() is None:
        search.tell(loss(search.ask()))
    return search


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.0, 2.0), (0.2, 1.9)])
@pytest.mark.parametrize(("loss", "evaluations"), [(sphere, 1100), (ellipsoid, 2500)])
def test_known_optimum_in_few_evaluations(loss, evaluations, bounds):
    """The limits are 1.2 times the medians of `benchmarks.search`; (0.2, 1.9) has two coordinates on a bound."""
    spent = []
    for seed in range(5):
        search = run(
            loss, 8, *bounds, cma_seed=seed, generations=1000, target_loss=1e-8, initial_std=0.3, resolution=0.0
        )
        assert search.stop().code == "target"
        spent.append(search.evaluations)
    assert np.median(spent) < evaluations * 1.2


def test_active_update_pays_on_the_ellipsoid():
    def median(active):
        runs = [
            run(
                ellipsoid,
                cma_seed=seed,
                generations=1000,
                target_loss=1e-8,
                initial_std=0.3,
                resolution=0.0,
                active=active,
            )
            for seed in range(7)
        ]
        return np.median([search.evaluations for search in runs])

    assert median(True) < 0.9 * median(False)


def test_at_product_scale_it_gets_near_within_the_seeds_budget():
    """Default options: 32 generations of 10, step size 0.05, weights printed in steps of 0.001."""
    minimum = np.array([1.1, 0.9, 1.05, 1.0, 0.95, 1.15, 1.0, 0.85])
    search = create(np.ones(8), 0, 2, plain(cma_seed=5))
    while search.stop() is None:
        rows = np.round(search.ask(), 3)
        search.tell([float(((x - minimum) ** 2).sum()) for x in rows], rows)
    vector, loss = search.best
    assert search.evaluations == 320
    assert loss < 0.01 * ((1 - minimum) ** 2).sum()
    np.testing.assert_array_equal(np.round(vector, 3), vector)


@pytest.mark.parametrize(
    "options", [{}, {"start": "random"}, {"start": "anywhere"}, {"size_limit": 0.1, "start": "random"}]
)
@pytest.mark.parametrize("objectives", [1, 2])
def test_the_original_is_the_first_candidate(options, objectives):
    original = np.array([1.0, 0.7, 1.3])
    search = create(original, 0, 2, plain(objectives=objectives, **options))
    first = search.ask()
    np.testing.assert_array_equal(first[0], original)
    search.tell([1.0, *[2.0] * (len(first) - 1)])
    np.testing.assert_array_equal(search.best[0], original)


@pytest.mark.parametrize("objectives", [1, 2])
def test_replay_is_exact(objectives):
    """Losses through JSON and back, failures among them, restarts and injections included."""
    options = plain(
        cma_seed=7,
        objectives=objectives,
        generations=60,
        restarts=2 if objectives == 1 else 0,
        patience=4,
        size_limit=0.4,
        mo_lambda_=3,
    )
    first = create(np.ones(5), 0, 2, options)
    journal, asked, states = [], [], []
    while first.stop() is None:
        if first.generation == 3:
            first.inject([[0.5, 1.0, 1.0, 1.2, 1.0]])
        rows = first.ask()
        losses = [None if i % 7 == 3 else value for i, value in enumerate(sphere(rows))]
        first.tell(losses)
        asked.append(rows.tobytes())
        journal.append(json.dumps([losses, first.state()]))
    again = create(np.ones(5), 0, 2, SearchOptions(**json.loads(json.dumps(vars(options)))))
    for line, rows in zip(journal, asked, strict=True):
        losses, state = json.loads(line)
        if again.generation == 3:
            again.inject([[0.5, 1.0, 1.0, 1.2, 1.0]])
        assert again.ask().tobytes() == rows
        again.tell(losses)
        assert json.loads(json.dumps(again.state())) == state
        states.append(state)
    assert again.stop() == first.stop()
    if objectives == 1:
        assert states[-1]["restart"] >= 1


@pytest.mark.parametrize("objectives", [1, 2])
def test_seeds_differ_and_no_global_random_numbers_are_used(objectives):
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    searches = [
        run(sphere, generations=5, cma_seed=seed, objectives=objectives, start="random", size_limit=0.3)
        for seed in (1, 2)
    ]
    assert np.random.get_state()[1].tolist() == before
    assert searches[0].ask().tolist() != searches[1].ask().tolist()


def test_ask_repeats_itself_until_told():
    search = create(np.ones(4), 0, 2, plain())
    first = search.ask()
    first[:] = -1.0
    second = search.ask()
    assert (second >= 0).all()
    np.testing.assert_array_equal(search.ask(), second)
    search.tell(sphere(second))
    assert not np.array_equal(search.ask(), second)


@settings(max_examples=40)
@example(2, 2, 2, 1.0, "random", (0.1, "constraint"))
@given(
    st.integers(1, 6),
    st.integers(0, 1000),
    st.sampled_from([1, 2]),
    st.floats(0.001, 3.0),
    st.sampled_from(["original", "random", "anywhere"]),
    st.sampled_from([(0.0, "penalty"), (0.1, "penalty"), (0.1, "constraint"), (1.0, "constraint")]),
)
def test_bounds_and_size_limit_are_never_violated(size, seed, objectives, std, start, limiter):
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(-1, 0.9, size), rng.uniform(1.0, 2.5, size)
    original = rng.uniform(low, high)
    low[0] = original[0]
    options = plain(
        cma_seed=seed,
        initial_std=std,
        objectives=objectives,
        start=start,
        generations=8,
        size_limit=limiter[0],
        size_limiter=limiter[1],
    )
    search = create(original, low, high, options)
    while search.stop() is None:
        rows = search.ask()
        assert rows.dtype == np.float64 and rows.shape[1] == size
        assert (rows >= low).all() and (rows <= high).all()
        if limiter[0]:
            assert (np.linalg.norm(rows - original, axis=1) <= limiter[0] * 1.01 + 1e-12).all()
        search.tell([None if rng.random() < 0.2 else float(v) for v in rng.random(len(rows))])
        assert all(low <= x <= high for low, x, high in zip(low, search.state()["mean"], high, strict=True))


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("objectives", [1, 2])
def test_failed_candidates(bad, objectives):
    """A third of the candidates fail; the search still gets near, and never calls a failed one the best."""
    rng = np.random.default_rng(0)
    options = plain(generations=60, objectives=objectives, mo_lambda_=0, initial_std=0.2, resolution=0.0)
    search = create(np.ones(4), 0, 2, options)
    while search.stop() is None:
        search.tell([bad if rng.random() < 1 / 3 else value for value in sphere(search.ask())])
    assert search.stop().code == "generations"
    assert search.best[1] < 0.01
    assert math.isfinite(search.best[1])


def test_tell_is_checked():
    search = create(np.ones(4), 0, 2, plain())
    with pytest.raises(RuntimeError, match="tell before ask"):
        search.tell([1.0])
    rows = search.ask()
    with pytest.raises(ValueError, match="8 candidates were asked for, 7 losses told"):
        search.tell([1.0] * 7)
    with pytest.raises(ValueError, match="8 candidates"):
        search.tell([1.0] * 8, rows[:, :2])
    with pytest.raises(ValueError, match="8 candidates"):
        search.tell([1.0] * 8, partial=[True])


@pytest.mark.parametrize("objectives", [1, 2])
def test_injected_candidates_are_scored_as_they_are(objectives):
    options = plain(objectives=objectives, size_limit=0.5, initial_std=0.01, mo_lambda_=4)
    search = create(np.ones(4), 0, 2, options)
    search.inject([[1.2, 0.8, 1.0, 1.0], [3.0, 1.0, 1.0, 1.0]])
    rows = search.ask()
    np.testing.assert_array_equal(rows[1], [1.2, 0.8, 1.0, 1.0])
    np.testing.assert_allclose(rows[2], [1.5, 1.0, 1.0, 1.0])
    search.tell(sphere(rows))
    search.inject([MINIMUM[:4] * 0.1 + 0.9])
    rows = search.ask()
    search.tell([0.001, *[1.0] * (len(rows) - 1)])
    assert search.best[1] == 0.001
    assert search.state()["step_size"] < 0.1
    with pytest.raises(OptionError, match="4 finite numbers"):
        search.inject([[1.0, 2.0]])


def test_more_injections_than_fit_are_spread():
    search = create(np.ones(4), 0, 2, plain(lambda_=6))
    search.inject([[1.0, 1.0, 1.0, x] for x in (0.1, 0.2, 0.3)])
    assert search.ask()[:, 3].tolist()[:3] == [1.0, 0.1, 0.2]
    search.tell(sphere(search.ask()))
    assert search.ask()[0, 3] == 0.3


def test_screened_candidates_rank_behind_and_are_never_the_best():
    def told(losses, partial):
        search = create(np.ones(4), 0, 2, plain(lambda_=6, cma_seed=3))
        search.ask()
        search.tell(losses, partial=partial)
        return search

    screened = told([3.0, 2.0, 1.0, 0.5, 0.1, 0.2], [False, False, False, False, True, True])
    ranked = told([3.0, 2.0, 1.0, 0.5, 4.0, 5.0], None)
    assert screened.best[1] == 0.5
    np.testing.assert_array_equal(screened.ask(), ranked.ask())


def test_rotated_seeds_score_the_centre_which_is_the_best():
    """The first row is the distribution's centre; it is the best whatever a candidate had on one row of seeds."""
    search = create(np.ones(3), 0, 2, plain(seed_policy="rotated", lambda_=4))
    assert search.ask().shape == (4, 3)
    search.tell([1.0, 0.5, 2.0, 3.0])
    assert search.best[1] == 0.5
    rows = search.ask()
    assert rows.shape == (5, 3)
    np.testing.assert_array_equal(rows[0], search.state()["mean"])
    search.tell([0.7, 0.9, 0.1, 0.95, 1.0])
    np.testing.assert_array_equal(search.best[0], rows[0])
    assert search.best[1] == 0.7
    search.ask()
    search.tell([None, 1.0, 1.0, 1.1, 1.0])
    np.testing.assert_array_equal(search.best[0], rows[0])


def test_a_scored_centre_changes_nothing_that_the_distribution_learns():
    fixed, rotated = (
        create(np.ones(5), 0, 2, plain(seed_policy=policy, cma_seed=2)) for policy in ("fixed", "rotated")
    )
    for _ in range(8):
        rows = fixed.ask()
        np.testing.assert_array_equal(rotated.ask()[-len(rows) :], rows)
        fixed.tell(sphere(rows))
        rotated.tell(sphere(rotated.ask()))


def test_a_restart_with_rotated_seeds_has_to_beat_the_run_before():
    search = create(np.ones(3), 0, 2, plain(seed_policy="rotated", lambda_=4, restarts=1, patience=2))
    first = None
    while search.restart == 0:
        first = search.best
        rows = search.ask()
        search.tell([0.5 + 0.01 * index for index in range(len(rows))])
    before = search.best[0]
    np.testing.assert_array_equal(search.remembered, [before])
    assert first is not None and search.state()["restarted_because"].code == "stagnation"
    rows = search.ask()
    search.tell([0.6] + [0.1] * (len(rows) - 1))
    np.testing.assert_array_equal(search.best[0], before)
    rows = search.ask()
    search.tell([0.3] + [0.1, 0.2] * (len(rows) // 2))
    np.testing.assert_array_equal(search.best[0], rows[0])


def test_rounding_does_not_change_what_the_distribution_learns():
    still = create(np.ones(6), 0, 2, plain(cma_seed=3))
    rounded = create(np.ones(6), 0, 2, plain(cma_seed=3))
    for _ in range(5):
        rows = still.ask()
        losses = sphere(rows)
        still.tell(losses)
        rounded.tell(losses, np.round(rounded.ask(), 3))
    np.testing.assert_array_equal(still.ask(), rounded.ask())
    np.testing.assert_array_equal(np.round(rounded.best[0], 3), rounded.best[0])
    np.testing.assert_allclose(still.best[0], rounded.best[0], atol=0.0005)


def test_a_mean_beyond_a_bound_is_mirrored_with_its_distribution():
    """Folded into the box, the distribution is the same before and after."""
    search = create([0.1, 1.0], 0, 2, plain(initial_std=0.1))
    search._cma.centroid = np.array([-0.05 - 4.0 * MARGIN, 1.0])
    search._cma.C = np.array([[1.0, 0.9], [0.9, 1.0]])
    search._cma._decompose(late=False)
    before = search.box.reflect(search._cma.sample(100_000))
    search._stay_inside()
    np.testing.assert_allclose(search._cma.centroid, [0.05, 1.0])
    after = search.box.reflect(search._cma.sample(100_000))
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=0.002)
    np.testing.assert_allclose(np.cov(after.T), np.cov(before.T), atol=0.0002)
    assert abs(np.cov(before.T)[0, 1]) > 0.001


def test_restart_doubles_the_population_and_keeps_the_best():
    def two_wells(points):
        return [min(float(((x - 1.0) ** 2).sum()) + 1.0, float(((x - 0.4) ** 2).sum())) for x in points]

    search = run(two_wells, size=4, restarts=9, restart_start="anywhere", generations=2000, target_loss=0.001)
    assert search.stop().code == "target"
    state = search.state()
    assert state["restart"] >= 1
    assert state["population"] == int(8 * 2.0 ** state["restart"])
    assert state["restarted_because"].startswith("converged")
    np.testing.assert_allclose(search.best[0], 0.4, atol=0.05)
    assert run(two_wells, size=4, generations=2000).best[1] >= 1.0


def test_warm_start_saves_evaluations():
    rng = np.random.default_rng(6)
    options = {"generations": 1000, "target_loss": 1e-4, "initial_std": 0.3, "cma_seed": 2}
    cold = create(np.ones(8), 0, 2, plain(**options))
    vectors, losses = [], []
    while cold.stop() is None:
        rows = cold.ask()
        losses += ellipsoid(rows)
        vectors += rows.tolist()
        cold.tell(losses[-len(rows) :])

    def moved(points):
        return ellipsoid(points + 0.005 * rng.standard_normal(8))

    start = WarmStart.from_candidates(vectors[: len(vectors) // 2], losses[: len(vectors) // 2], spread=0.01)
    warm = run(ellipsoid, warm=start, **options)
    assert warm.stop().code == "target"
    assert warm.evaluations < 0.7 * cold.evaluations


def test_warm_start_from_candidates_is_the_mixtures_mean_and_covariance():
    vectors = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0], [7.0, 7.0]])
    start = WarmStart.from_candidates(vectors, [0.1, 0.2, np.nan, 3.0], share=0.7, spread=0.5)
    np.testing.assert_allclose(start.mean, [0.5, 0.0])
    np.testing.assert_allclose(start.step_size**2 * start.shape, [[0.25 + 0.25, 0.0], [0.0, 0.25]])
    assert np.linalg.det(start.shape) == pytest.approx(1.0)
    with pytest.raises(OptionError, match="vectors"):
        WarmStart.from_candidates(vectors, [np.nan] * 4)


def test_state_is_plain_json_of_the_right_sizes():
    search = create(np.ones(3), 0, 2, plain())
    empty = search.state()
    assert empty["best"] is None and empty["generation"] == 0 and empty["step_size"] == 0.05
    search.tell(sphere(search.ask()))
    state = json.loads(json.dumps(search.state(), allow_nan=False))
    assert state["generation"] == 1 and state["evaluations"] == 7
    assert len(state["mean"]) == len(state["std"]) == len(state["best"]) == 3
    assert state["axis_ratio"] >= 1


@pytest.mark.parametrize("name", PRESETS)
def test_presets_improve_the_prompt(name):
    """Half of the loss at least, on a smooth function of the weights, within the default budget."""
    search = create(np.ones(8), 0, 2, SearchOptions(preset=name, cma_seed=4))
    before = ellipsoid([np.ones(8)])[0]
    while search.stop() is None:
        search.tell(ellipsoid(np.round(search.ask(), 3)))
    assert search.best[1] < before / 2


def test_classic_is_the_seeds_plain_cma():
    """Every value of the seed's first table, and no active update."""
    classic, resolved = SearchOptions(preset="Classic"), SearchOptions(preset="Classic").resolve(12)
    assert (classic.initial_std, classic.initial_radius, classic.start) == (0.05, 0.25, "random")
    assert (resolved.generations, resolved.lambda_, resolved.mu) == (32, 11, 5)
    assert (classic.weights, classic.active, classic.rates, classic.size_limit) == ("superlinear", False, "deap", 0.0)
    assert [classic.cs, classic.damps, classic.ccum, classic.ccov1, classic.ccovmu] == [None] * 5


def test_presets_can_be_changed():
    assert SearchOptions(preset="Quick", patience=3).patience == 3
    with pytest.raises(OptionError, match="lambda_"):
        SearchOptions(preset="Balanced", lambda_=1)
