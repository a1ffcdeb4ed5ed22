"""The benchmarks of the embedded model run: their smallest cases."""

from __future__ import annotations

import pytest
import torch

from benchmarks import hyperbatch


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
