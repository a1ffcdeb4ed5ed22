"""Pinning to a cluster of a map: its own wording is the floor."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_pins.config import RunConfig
from prompt_pins.map import work
from prompt_pins.run import pin
from prompt_pins.store import RunFolder, Runs

from tests.map.four import PROMPT, Four, picture
from tests.map.test_map import begin

SMALL = {"prompt": PROMPT, "batch_size": 3, "steps": 1, "preset": "Quick", "generations": 2, "held_out": 4,
         "gifs": False, "plots": False}  # fmt: skip


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return begin(tmp_path_factory.mktemp("mapped"))


@pytest.mark.parametrize("options", [{"finalists": 0}, {"seed_policy": "rotated", "finalists": 1, "contest_seeds": 4}])
def test_the_cluster_s_own_wording_is_tried_and_meets_the_finalists(
    mapped: RunFolder, options: dict[str, object]
) -> None:
    """With fixed seeds it is one of the first candidates; where each generation has its own, it is in the contest."""
    found, runs = work.drawn(mapped), Runs(mapped.path.parent)
    for number, cluster in enumerate(found.clusters, 1):
        example = found.places[cluster.example]
        target = (str(mapped.path / example.folder),)
        config = RunConfig(**{**SMALL, **options, "target": target, "warm_start": f"0/{number}"})  # type: ignore[arg-type]
        list(pin.start(config, Four(), runs))
        record = runs.find(str(max(runs.numbers()))).record()
        own = next(candidate for candidate in record.candidates if candidate.weights == example.weights)
        assert record.winner is not None and picture(record.winner.prompt) == picture(example.prompt)
        if record.choice is None:
            assert own.generation == 1 and (record.winner.loss or 0) <= (own.loss or 0)
        else:
            assert own.id in record.choice.contestants
            fits = np.mean(record.choice.fits, axis=1)
            assert (
                fits[record.choice.contestants.index(record.choice.chosen)]
                <= fits[record.choice.contestants.index(own.id)]
            )
