"""Part two of the benchmark of the search: its tasks, and that its sums are right; the model is left alone here."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_pins.config import RunConfig
from prompt_pins.space import build

pytest.importorskip("diffusers")

from benchmarks import search_curves, search_noise, search_pinning, search_tasks


def test_twelve_tasks_of_every_kind_with_unique_names():
    tasks = search_tasks.TASKS
    assert len({task.name for task in tasks}) == len(tasks) == 12
    kinds = {"rival words", "unspecified attribute", "position", "background", "negative prompt", "two objects"}
    assert {task.kind for task in tasks} == kinds | {"hidden weights"}
    assert all(bool(task.things) != bool(task.hidden) for task in tasks)


@pytest.mark.parametrize("task", search_tasks.TASKS, ids=lambda task: task.name)
def test_every_task_has_few_weights_and_a_target(task):
    space = build(RunConfig(prompt=task.prompt, negative_prompt=task.negative))
    assert 2 <= space.size <= 8
    assert set(task.hidden) <= set(space.labels)
    config = search_tasks.config(task, ("x.png",), preset="Quick")
    assert isinstance(config, RunConfig) and config.lambda_ == 6
    if task.things:
        picture = search_tasks.drawn(task)
        assert picture.shape == (128, 128, 3) and picture.std() > 5


def test_plain_deaps_budget_is_the_seeds():
    assert [search_pinning.deap_budget(size) for size in (2, 3, 8)] == [16 * 6, 16 * 7, 32 * 10]


def test_best_so_far():
    trace = [(10, 3.0, (1.0,)), (10, 4.0, (2.0,)), (10, 2.0, (3.0,)), (10, 2.5, (4.0,))]
    assert search_pinning.best_so_far(trace) == [(10, (1.0,)), (30, (3.0,)), (40, (3.0,))]


def rows(method: str, curves: list[list[tuple[int, float]]]) -> list[dict]:
    fits = {"original": [1.0] * 16, "pinned": [0.5] * 16}
    return [
        {
            "task": "places", "method": method, "seed": seed, "curve": curve, "evaluations": curve[-1][0],
            "fits": fits, "cosine": None,
        }
        for seed, curve in enumerate(curves)
    ]  # fmt: skip


def test_medians_and_the_share_of_deaps_evaluations(tmp_path):
    deap = rows(
        "deap", [[(0, 1.0), (100, 0.8), (1000, 0.6)], [(0, 1.0), (500, 0.7), (1000, 0.5)], [(0, 1.0), (1000, 0.7)]]
    )
    ours = rows("Balanced", [[(0, 1.0), (100, 0.5), (300, 0.4)]] * 3)
    lines = {line["method"]: line for line in search_curves.summary([*deap, *ours])}
    assert lines["deap"]["end"] == 0.6 and lines["deap"]["share_to_deaps_end"] == 1.0
    assert lines["Balanced"]["share_to_deaps_end"] == pytest.approx(0.1, abs=0.01)
    assert lines["Balanced"]["share_of_the_median_run"] == pytest.approx(0.1, abs=0.01)
    assert lines["Balanced"]["improvement"] == 0.5
    grid, medians = search_curves.median_curve(ours)
    assert (np.diff(medians) <= 0).all() and grid[-1] == 300
    assert "| places | Balanced | 3 | 1.000 | 0.400 | 300 | 0.1" in search_curves.table(list(lines.values()))
    search_curves.plot([*deap, *ours], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_the_closed_form_world_has_its_best_where_it_says():
    world = search_noise.World(5, 3)
    best = world.loss(world.best, search_noise.UNSEEN)
    assert best < 0.6 * world.loss(np.ones(5), search_noise.UNSEEN)
    wide = search_noise.World(5, 3, idle=2)
    assert wide.size == 7 and wide.loss(np.r_[world.best, 0.1, 1.7], search_noise.UNSEEN) == best
    rng = np.random.default_rng(1)
    assert all(best < world.loss(world.best + 0.5 * rng.standard_normal(5), search_noise.UNSEEN) for _ in range(20))


def test_a_search_over_few_images_reaches_it():
    world = search_noise.World(5, 3)
    curve = search_noise.run_ours(world, 4, 1, {"preset": "Quick"})
    assert curve[-1][1] < 0.6 * world.loss(np.ones(5), search_noise.UNSEEN)
    assert [cost for cost, _ in curve] == sorted(cost for cost, _ in curve)
    early, whole = (
        search_noise.run_ours(world, 4, 1, {"preset": "Balanced", "generations": 4, "early_generations": count})
        for count in (1, 0)
    )
    assert early[0][0] < whole[0][0] and early[1][0] - early[0][0] == whole[1][0] - whole[0][0]
