"""The benchmarks of the embedded model run: their smallest cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prompt_pins.headless.engine import HeadlessHost

from benchmarks import hyperbatch, progress, search_curves, search_pinning, search_tasks, workers


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "DPM++ 2S a"])
def test_a_cell_of_the_table_of_hyperbatches(sampler):
    with torch.inference_mode():
        bench = hyperbatch.Bench(device="cpu")
        row = hyperbatch.compare(bench, sampler, batch=4, steps=6, repeats=1)
    assert (row["evaluations"], row["plain_evaluations"]) == (14, 24)
    assert row["evaluations_ratio"] == pytest.approx(14 / 24)
    assert 0.0 < row["diversity"] < row["plain_diversity"]
    assert row["cpu_speedup"] > 0.0 and row["cpu_predicted_speedup"] > 0.0
    assert f"| {sampler} |" in hyperbatch.tables([{**row, "sampler": name} for name in hyperbatch.SAMPLERS])
    assert hyperbatch.summary([row])["even_8_20"] == [75, 160]


def test_the_figure_of_progress_is_compared_by_ranks():
    assert progress.correlation([3.0, 1.0, 2.0], [0.3, 0.1, 0.2]) == pytest.approx(1.0)
    assert progress.correlation([1.0, 1.0, 2.0], [2.0, 2.0, 1.0]) == pytest.approx(-1.0)
    weights = [[1.0, 1.0], [0.9, 1.2], [0.8, 1.1], [1.1, 1.3], [0.7, 0.9], [0.6, 1.4]]
    done = [[1, index, row, 1.0 + (row[0] - 0.5) ** 2] for index, row in enumerate(weights)]
    done += [[2, index, row, 3.0 + (row[0] - 0.5) ** 2] for index, row in enumerate(weights[::-1])]
    row = {"candidates": done, "original": weights[0], "scale": [1.0, 1.0], "best": [weights[4], weights[5]]}
    row |= {"held": [1.04, 1.01], "held_original": 1.25}
    told, raw = (progress.compared([row], tell) for tell in (progress.figure, progress.losses))
    assert told["within"] == told["median"] == pytest.approx(1.0) and told["worse"] == 0 and told["off"] < 0.05
    assert raw["within"] < 0 and raw["worse"] == 1


def test_what_several_workers_are_worth():
    assert workers.best([1.0, 2.0, 3.0], 1) == pytest.approx(6.0)
    assert workers.best([1.0, 2.0, 3.0], 2) == pytest.approx(3.0) == workers.best([1.0, 2.0, 3.0], 9)
    row = workers.measured(2, seconds=0.02, generations=2)
    assert 0.0 < row["share_of_best"] <= 1.0 and row["best_s"] >= 2 * 16 / 2 * 0.02 * (1 - workers.JITTER)
    assert row["driver_ms_per_candidate"] > 0.0
    rng = np.random.default_rng(1)
    assert 3.0 < workers.predicted(10, 4, rng) < workers.predicted(32, 4, rng) <= 4.0


def test_a_pinning_task_broken_off_early_and_its_end_alone():
    host = HeadlessHost(precise=True)
    task, smallest = search_tasks.TASKS[1], {**search_tasks.RENDER, "batch_size": 2, "steps": 2}
    whole, alone = (search_pinning.row(task, 1, "early", host, smallest, end_alone) for end_alone in (False, True))
    early = search_pinning.EARLY * search_pinning.deap_budget(3) * 2 * 2
    assert early < whole["evaluations"] < 2 * early
    assert [cost for cost, _ in alone["curve"]] == [0, whole["evaluations"]]
    assert (whole["weights"], whole["curve"][-1]) == (alone["weights"], alone["curve"][-1])
    assert len(whole["curve"]) > 3 and search_curves.hit([whole], whole["curve"][1][1]) == whole["curve"][1][0]
