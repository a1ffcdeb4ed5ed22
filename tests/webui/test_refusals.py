"""What is answered where a run ended without an image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import MovedError
from prompt_pins.run import pin
from prompt_pins.store import Runs
from prompt_pins.store.events import CandidateDone
from prompt_pins.webui.refusals import RunFailed

from tests.run.painter import Painter

CONFIG: dict[str, Any] = {"steps": 1, "batch_size": 2, "lambda_": 3, "generations": 4, "width": 64, "height": 64}


def test_a_folder_that_went_away_leaves_its_best_prompt_in_the_answer(tmp_path: Path) -> None:
    with pytest.raises(MovedError) as caught:
        for event in pin.start(RunConfig(prompt="a red circle", **CONFIG), Painter(), Runs(tmp_path / "runs")):
            if isinstance(event, CandidateDone):
                os.rename(tmp_path / "runs", tmp_path / "elsewhere")
    said = str(RunFailed("00000000", caught.value, goes_on=True))
    assert said.endswith(f"the best prompt until then: {caught.value.record.best.prompt}")
    assert "it is kept as it is" not in said
