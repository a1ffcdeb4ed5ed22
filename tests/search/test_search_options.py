"""Options: the seed's defaults, DEAP's formulas, and messages that name field, value and what is allowed."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from deap import cma as deap_cma
from prompt_pins.config import RunConfig
from prompt_pins.config.presets import chosen
from prompt_pins.errors import OptionError
from prompt_pins.options import declarations
from prompt_pins.search import PRESETS, Budget, SearchOptions, create
from prompt_pins.search.strategy import ActiveStrategy
from prompt_pins.search.warm import WarmStart


def test_defaults_are_those_of_the_seeds_tables():
    options = SearchOptions(preset="Classic")
    assert (options.initial_std, options.initial_radius, options.size_limit, options.weights) == (
        0.05,
        0.25,
        0.0,
        "superlinear",
    )
    assert options.mo_lambda_ == 1
    for size in (3, 8, 20, 60):
        resolved = options.resolve(size)
        assert resolved.generations == int(16 * math.floor(math.log(size)))
        assert resolved.lambda_ == int(4 + 3 * math.log(size))
        assert resolved.mu == int(resolved.lambda_ / 2)
        assert resolved.mo_mu == resolved.lambda_


def test_few_weights_still_get_generations():
    assert SearchOptions().resolve(1).generations == 16
    assert SearchOptions().resolve(2).generations == 16


def test_size_limit_defaults_follow_the_limit():
    resolved = SearchOptions(size_limit=0.5).resolve(8)
    assert (resolved.size_limit_error, resolved.size_limit_weight) == (0.005, 5.0)
    chosen = SearchOptions(size_limit=0.5, size_limit_error=0.0, size_limit_weight=1.0).resolve(8)
    assert (chosen.size_limit_error, chosen.size_limit_weight) == (0.0, 1.0)


@pytest.mark.parametrize("weights", ["superlinear", "linear", "equal"])
@pytest.mark.parametrize("size", [1, 2, 8, 60])
def test_parameters_equal_deaps(size, weights):
    theirs = deap_cma.Strategy([1.0] * size, 0.05, weights=weights)
    ours = ActiveStrategy(np.ones(size), 0.05, np.random.default_rng(1), weights=weights)
    for name in ("lambda_", "mu", "mueff", "cs", "damps", "cc", "ccov1", "ccovmu", "chiN"):
        assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_array_equal(ours.ranks[: ours.mu], theirs.weights)


def test_tutorial_rates():
    """Table 1 of the tutorial, worked out by hand for N = 10, mu = 1."""
    strategy = ActiveStrategy(np.ones(10), 0.05, np.random.default_rng(1), rates="tutorial", lambda_=2)
    assert strategy.mueff == 1.0
    assert strategy.cc == pytest.approx(4.1 / 14.2)
    assert strategy.ccovmu == pytest.approx(2 * 0.25 / 145)
    given = ActiveStrategy(np.ones(10), 0.05, np.random.default_rng(1), rates="tutorial", ccum=0.2, ccovmu=0.1)
    assert (given.cc, given.ccovmu) == (0.2, 0.1)


def test_given_parameters_reach_the_strategy():
    given = {"cs": 0.31, "damps": 1.7, "ccum": 0.33, "ccov1": 0.11, "ccovmu": 0.12}
    search = create(np.ones(5), 0, 2, SearchOptions(lambda_=9, mu=3, **given))
    strategy = search._cma
    assert (strategy.lambda_, strategy.mu) == (9, 3)
    found = (strategy.cs, strategy.damps, strategy.cc, strategy.ccov1, strategy.ccovmu)
    assert found == tuple(given.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lambda_", 1),
        ("lambda_", -4),
        ("lambda_", 2.5),
        ("lambda_", True),
        ("generations", -1),
        ("cma_seed", -1),
        ("initial_std", 0.0),
        ("initial_std", math.nan),
        ("initial_std", 0.0005),
        ("initial_radius", -0.1),
        ("weights", "exponential"),
        ("start", "middle"),
        ("restart_start", ""),
        ("size_limiter", "soft"),
        ("rates", "fast"),
        ("draws", "twins"),
        ("seed_policy", "random"),
        ("objectives", 3),
        ("objectives", 0),
        ("cs", 1.5),
        ("damps", 0.0),
        ("ccov1", -0.1),
        ("ccovmu", math.inf),
        ("ptarg", 1.0),
        ("size_limit", -1.0),
        ("patience", -1),
        ("restart_growth", 0.5),
        ("active", 1),
        ("target_loss", math.nan),
        ("resolution", -0.001),
    ],
)
def test_what_is_not_allowed_is_named(field, value):
    with pytest.raises(OptionError) as caught:
        SearchOptions(**{field: value})
    assert caught.value.field == field
    assert field in str(caught.value)
    assert repr(value) in str(caught.value)


def test_mu_beyond_lambda():
    with pytest.raises(OptionError, match=r"mu: 9 .* at most lambda_, which is 8"):
        SearchOptions(lambda_=8, mu=9)
    with pytest.raises(OptionError, match="which is 10 for 8 weights"):
        SearchOptions(mu=11).resolve(8)


def test_learning_rates_that_sum_to_more_than_one():
    with pytest.raises(OptionError, match="ccovmu"):
        SearchOptions(ccov1=0.6, ccovmu=0.6)


def test_rotated_seeds_need_one_objective():
    with pytest.raises(OptionError, match="seed_policy"):
        SearchOptions(objectives=2, seed_policy="rotated")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (([], 0, 2), "original"),
        (([1.0, math.nan], 0, 2), "original"),
        (([1.0, 3.0], 0, 2), "original"),
        (([1.0, 1.0], [0.0, 1.0, 2.0], 2), "low"),
        (([1.0, 1.0], 0, math.nan), "high"),
        (([1.0, 1.0], [0.0, 1.0], [2.0, 1.0]), "low"),
    ],
)
def test_bounds_are_checked(arguments, field):
    with pytest.raises(OptionError) as caught:
        create(*arguments, SearchOptions())
    assert caught.value.field == field


def test_warm_start_is_checked():
    with pytest.raises(OptionError, match="step_size"):
        WarmStart(np.ones(2), 0.0)
    with pytest.raises(OptionError, match="mean"):
        WarmStart(np.array([1.0, np.inf]), 0.1)
    with pytest.raises(OptionError, match="2 x 2"):
        WarmStart(np.ones(2), 0.1, np.eye(3))
    with pytest.raises(OptionError, match="positive definite"):
        WarmStart(np.ones(2), 0.1, -np.eye(2))
    with pytest.raises(OptionError, match="distribution of 3 weights"):
        create(np.ones(3), 0, 2, SearchOptions(), WarmStart(np.ones(2), 0.1))


def test_budget():
    budget = Budget(images=100, minutes=2.0)
    assert budget.exceeded(99, 119.9) is None
    assert budget.exceeded(100, 0.0) == "100 images of a budget of 100 are rendered"
    assert budget.exceeded(60, 0.0, next_images=40) is None
    assert budget.exceeded(60, 0.0, next_images=41).code == "images"
    assert budget.exceeded(0, 120.0) == "the budget of 2 minutes is used up"
    assert Budget().exceeded(10**9, 1e9) is None
    with pytest.raises(OptionError, match="images"):
        Budget(images=-1)
    with pytest.raises(OptionError, match="minutes"):
        Budget(minutes=math.nan)


def test_importing_the_package_needs_the_standard_library_only():
    """The configuration and the interfaces read its options; `create` brings numpy and deap, and never torch."""
    script = (
        "import sys, prompt_pins.search as s; before = {'numpy', 'deap', 'torch'} & set(sys.modules);"
        "s.create([1.0, 1.0], 0, 2, s.SearchOptions()).ask();"
        "print(sorted(before), 'deap' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=_env())
    assert done.stdout.strip() == "[] True False"


def _env():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_in_what_is_left_empty(name):
    options = SearchOptions(preset=name)
    assert {field: getattr(options, field) for field in PRESETS[name]} == dict(PRESETS[name])
    mine = SearchOptions(preset=name, initial_std=0.077, patience=0, active=False)
    assert (mine.initial_std, mine.patience, mine.active) == (0.077, 0, False)
    assert mine.rates == PRESETS[name]["rates"]


def test_two_objectives_keep_their_seeds_fixed_in_every_preset():
    for name in PRESETS:
        assert SearchOptions(preset=name, objectives=2).seed_policy == "fixed"


def test_every_field_of_a_preset_may_be_empty_and_no_other():
    known = declarations(SearchOptions)
    for values in PRESETS.values():
        assert set(values) == {field for field, declaration in known.items() if declaration.by_preset}


def test_a_preset_is_read_back_from_its_resolved_values():
    """What a run keeps are the values, so that a later version's presets do not change it."""
    config = RunConfig(prompt="a cat", preset="Quick", patience=9)
    kept = config.to_dict()
    assert kept["initial_std"] == PRESETS["Quick"]["initial_std"]
    assert RunConfig.from_record(kept) == config
    assert chosen(kept)["patience"] == 9
    assert "initial_std" not in chosen(kept)
    old = {field: value for field, value in kept.items() if field != "preset"}
    assert RunConfig.from_record(old).patience == 9


@pytest.mark.parametrize(
    ("name", "now", "before"),
    [("early_generations", 8, 0), ("quarter_generations", 4, 0), ("draws", "pairs", "independent"),
     ("simplify", True, False)],
)  # fmt: skip
def test_a_journal_from_before_an_option_goes_on_as_it_began(name, now, before):
    config = RunConfig(prompt="a cat")
    assert getattr(config, name) == now
    kept = {field: value for field, value in config.to_dict().items() if field != name}
    assert RunConfig.from_record(kept) == dataclasses.replace(config, **{name: before})


@pytest.mark.parametrize(
    ("early", "generations", "policy", "expected"), [(8, 0, "rotated", 8), (8, 5, "rotated", 2), (8, 0, "fixed", 0)]
)
def test_half_batches_are_at_most_half_of_the_generations_and_need_seeds_of_their_own(
    early, generations, policy, expected
):
    options = SearchOptions(early_generations=early, generations=generations, seed_policy=policy)
    resolved = options.resolve(4)
    assert resolved.early_generations == expected and resolved.quarter_generations == expected // 2


def test_a_covariance_matrix_of_the_users_own():
    flat = create(np.ones(2), 0, 2, SearchOptions(cmatrix=(4.0, 1.0)))
    full = create(np.ones(2), 0, 2, SearchOptions(cmatrix=(4.0, 0.0, 0.0, 1.0)))
    np.testing.assert_array_equal(flat.ask(), full.ask())
    assert flat.state()["std"] == pytest.approx([0.4, 0.2])
    with pytest.raises(OptionError, match="cmatrix"):
        create(np.ones(3), 0, 2, SearchOptions(cmatrix=(1.0, 1.0)))
