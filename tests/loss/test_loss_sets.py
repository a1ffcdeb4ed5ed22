"""Set losses against a direct, slow definition; where they are monotone, and where not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.errors import OptionError
from prompt_pins.loss import LossOptions
from prompt_pins.loss.sets import PairTable, check_levels, level_weight, plain_levels, tree_loss

Tree = tuple[tuple[int, ...], ...]


def random_tree(size: int, rng: np.random.Generator) -> Tree:
    """Levels of a random tree over `size` leaves; it may stop before every leaf stands alone."""
    levels = [tuple([0] * size)]
    for _ in range(int(rng.integers(0, 5))):
        split = rng.integers(0, 2, size)
        labels = {pair: n for n, pair in enumerate(sorted(set(zip(levels[-1], split.tolist()))))}
        levels.append(tuple(labels[pair] for pair in zip(levels[-1], split.tolist())))
    if rng.random() < 0.5:
        levels.append(tuple(range(size)))
    return tuple(levels)


def random_table(size: int, targets: int, rng: np.random.Generator) -> PairTable:
    spread = rng.random((size, size))
    spread = np.triu(spread, 1) + np.triu(spread, 1).T
    return PairTable(rng.random((size, targets)), spread, rng.uniform(0.1, 3.0, targets))


def slow_set_loss(pairs: list[tuple[float, float, bool]], consistency: float | None, dispersion: str) -> float:
    """Of (loss, weight, is an image pair) triples, straight from the definition."""
    if consistency is not None:
        own = sum(weight for _, weight, inner in pairs if inner)
        other = sum(weight for _, weight, inner in pairs if not inner)
        share = 1.0 if other == 0 else 0.0 if own == 0 else consistency
        pairs = [(x, w / own * share if inner else w / other * (1 - share), inner) for x, w, inner in pairs]
    total = sum(weight for _, weight, _ in pairs)
    mean = sum(x * weight for x, weight, _ in pairs) / total
    gaps = [(x - mean if dispersion == "std" else max(0.0, x - mean), weight) for x, weight, _ in pairs]
    return mean + math.sqrt(sum(gap * gap * weight for gap, weight in gaps) / total)


def slow_loss(table: PairTable, tree: Tree | None, options: LossOptions) -> float:
    size, targets = table.fit.shape
    mean_weight = sum(table.target_weights) / targets if targets else 1.0
    levels = tree if tree is not None else plain_levels(size)
    terms, root = [], 0.0
    for k, level in enumerate(levels, 1):
        losses = []
        for node in sorted(set(level)):
            leaves = [i for i in range(size) if level[i] == node]
            pairs = [
                (table.fit[i, t], table.target_weights[t] / mean_weight, False) for i in leaves for t in range(targets)
            ]
            pairs += [
                (table.spread[i, j], 1.0, True)
                for i in range(size)
                for j in range(i + 1, size)
                if i in leaves or j in leaves
            ]
            losses.append(slow_set_loss(pairs, options.consistency, options.dispersion))
        x = sum(losses) / len(losses)
        s = options.hyperbatch_scale
        root = x if k == 1 else root
        if options.hyperbatch_type == "Geometric":
            terms.append(x ** (s / k))
        elif options.hyperbatch_type == "Exponential":
            terms.append(x * (0.5 + s) ** k)
        else:
            terms.append((1 + x) ** (s * k))
    on = options.hyperbatch_weights and (tree is not None or options.hyperbatch_force)
    return sum(terms) if on else root


def some_options(rng: np.random.Generator) -> LossOptions:
    return LossOptions(
        consistency=None if rng.random() < 0.4 else float(rng.choice([0.0, 0.3, 0.5, 1.0])),
        dispersion=str(rng.choice(["std", "upper"])),
        hyperbatch_weights=bool(rng.random() < 0.8),
        hyperbatch_force=bool(rng.random() < 0.5),
        hyperbatch_type=str(rng.choice(["Geometric", "Exponential", "Polynomial"])),
        hyperbatch_scale=float(rng.uniform(0.05, 2.0)),
    )


@pytest.mark.parametrize("size", range(1, 34))
def test_equals_the_slow_definition(size: int) -> None:
    rng = np.random.default_rng(size)
    for targets in (0, 1, 2, 5) if size > 1 else (1, 2, 5):
        for tree in (None, plain_levels(size), random_tree(size, rng), random_tree(size, rng)):
            table, options = random_table(size, targets, rng), some_options(rng)
            found, levels = tree_loss(table, tree, options)
            assert found == pytest.approx(slow_loss(table, tree, options), rel=1e-10)
            assert len(levels) == len(tree if tree is not None else plain_levels(size))


def test_the_seeds_rule() -> None:
    """Without tree or consistency: mean plus population standard deviation of all pair losses."""
    table = random_table(6, 2, np.random.default_rng(0))
    table = replace(table, target_weights=np.ones(2))
    found, _ = tree_loss(table, None, LossOptions(consistency=None, hyperbatch_force=False))
    values = table.values()
    assert len(values) == 6 * 2 + 15
    assert found == pytest.approx(values.mean() + values.std())


def test_consistency_chooses_between_fit_and_spread() -> None:
    table = random_table(5, 3, np.random.default_rng(1))
    table = replace(table, target_weights=np.ones(3))
    options = LossOptions(hyperbatch_weights=False)
    inner = table.spread[np.triu_indices(5, 1)]
    for consistency, values in ((0.0, table.fit.ravel()), (1.0, inner)):
        found, _ = tree_loss(table, None, replace(options, consistency=consistency))
        assert found == pytest.approx(values.mean() + values.std())


def test_parted_shows_the_level_where_images_part() -> None:
    """Two pairs of twins: the twins differ by 0.1, the pairs by 0.7."""
    spread = np.full((4, 4), 0.7)
    for i, j in ((0, 2), (1, 3)):
        spread[i, j] = spread[j, i] = 0.1
    np.fill_diagonal(spread, 0)
    table = PairTable(np.zeros((4, 1)), spread, np.ones(1))
    _, levels = tree_loss(table, ((0, 0, 0, 0), (0, 1, 0, 1), (0, 1, 2, 3)), LossOptions())
    assert [entry.parted for entry in levels] == [pytest.approx(0.7), pytest.approx(0.1), None]
    assert [len(entry.nodes) for entry in levels] == [1, 2, 4]


@settings(max_examples=150)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1), st.floats(0, 2), st.booleans())
def test_upper_dispersion_is_monotone_in_every_pair_loss(
    size: int, targets: int, seed: int, rise: float, forked: bool
) -> None:
    rng = np.random.default_rng(seed)
    table, options = random_table(size, targets, rng), replace(some_options(rng), dispersion="upper")
    tree = random_tree(size, rng) if forked else None
    before, _ = tree_loss(table, tree, options)
    after, _ = tree_loss(raise_one(table, rise, rng), tree, options)
    assert after >= before * (1 - 1e-12)


def raise_one(table: PairTable, rise: float, rng: np.random.Generator) -> PairTable:
    """The table with one pair loss, drawn at random, raised."""
    fit, spread = table.fit.copy(), table.spread.copy()
    size, targets = fit.shape
    if size > 1 and rng.random() < 0.5:
        i, j = rng.choice(size, 2, replace=False)
        spread[i, j] = spread[j, i] = spread[i, j] + rise
    else:
        fit[rng.integers(size), rng.integers(targets)] += rise
    return replace(table, fit=fit, spread=spread)


def one_row(values: list[float]) -> PairTable:
    """A single image against many targets: its pair losses are the values."""
    return PairTable(np.array([values]), np.zeros((1, 1)), np.ones(len(values)))


@settings(max_examples=150)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 11), st.floats(0, 2))
def test_std_is_monotone_above_mean_minus_std(values: list[float], index: int, rise: float) -> None:
    index %= len(values)
    mean, std = float(np.mean(values)), float(np.std(values))
    if values[index] < mean - std and len(values) > 2:
        return
    raised = [x + rise if n == index else x for n, x in enumerate(values)]
    before, after = (tree_loss(one_row(v), None, LossOptions())[0] for v in (values, raised))
    assert after >= before - 1e-9


@settings(max_examples=80)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 2), st.sampled_from(["std", "upper"]))
def test_raising_all_pairs_alike_raises_the_loss_by_as_much(values: list[float], rise: float, dispersion: str) -> None:
    options = LossOptions(dispersion=dispersion)
    before, after = (tree_loss(one_row(v), None, options)[0] for v in (values, [x + rise for x in values]))
    assert after == pytest.approx(before + rise)


def test_std_is_not_monotone_in_every_pair_loss() -> None:
    """Making the one good pair as bad as the others lowers mean + std: a law of the seed's rule, not a slip."""
    worse = [1.0] * 10
    better = [0.0] + [1.0] * 9
    loss = {name: tree_loss(one_row(v), None, LossOptions())[0] for name, v in (("worse", worse), ("better", better))}
    assert loss["better"] == pytest.approx(1.2) and loss["worse"] == pytest.approx(1.0)
    upper = LossOptions(dispersion="upper")
    assert tree_loss(one_row(better), None, upper)[0] < tree_loss(one_row(worse), None, upper)[0]


@given(st.floats(0, 3), st.floats(0, 3), st.integers(1, 8), st.floats(0.01, 10))
def test_level_weights_rise_with_the_set_loss(x: float, y: float, level: int, scale: float) -> None:
    low, high = sorted((x, y))
    for kind in ("Geometric", "Exponential", "Polynomial"):
        assert level_weight(low, level, kind, scale) <= level_weight(high, level, kind, scale)


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(OptionError, match="targets"):
        tree_loss(PairTable(np.zeros((1, 0)), np.zeros((1, 1)), np.zeros(0)), None, LossOptions())


@pytest.mark.parametrize(
    "levels", [(), ((0, 0),), ((0, 1, 2),), ((0, 0, 0), (0, 1, 0), (0, 0, 1)), ((0, 0, 0), (0, 1))]
)
def test_levels_that_are_no_tree_are_refused(levels: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(OptionError, match="levels"):
        check_levels(levels, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("consistency", 1.1),
        ("consistency", float("nan")),
        ("consistency", True),
        ("dispersion", "mad"),
        ("hyperbatch_type", "geometric"),
        ("hyperbatch_scale", 0.0),
        ("hyperbatch_scale", 11),
        ("loss_memory_mb", 1),
        ("hyperbatch_weights", "yes"),
        ("hyperbatch_force", 1),
        ("loss_objectives", ()),
        ("loss_objectives", {"flip": 0.0}),
        ("loss_objectives", "flip"),
        ("loss_objectives", ("flip:x",)),
        ("loss_objectives", 3),
        ("loss_objectives", [("a", 1), ("a", 2)]),
        ("device", "tpu"),
        ("device", "cuda:x"),
        ("device", 0),
        ("tags_wanted", "cat"),
        ("tags_wanted", 5),
        ("tags_unwanted", ["", "dog"]),
        ("pixels_per_degree", 4),
        ("pixels_per_degree", "67"),
        ("loss_memory_mb", True),
        ("loss_objectives", [(1, 1.0)]),
    ],
)
def test_options_are_checked(field: str, value: object) -> None:
    with pytest.raises(OptionError, match=field):
        LossOptions(**{field: value})  # type: ignore[arg-type]


def test_forms_of_objectives() -> None:
    expected = (("flip", 1.0), ("colour", 0.5))
    for given_form in (expected, {"flip": 1, "colour": 0.5}, ["flip", "colour:0.5"], [["flip", 1], "colour: 0.5"]):
        assert LossOptions(loss_objectives=given_form).loss_objectives == expected  # type: ignore[arg-type]
