"""Objectives in a run: those that cannot be had are refused before a folder is made; tags go to the host's tagger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Tagger
from prompt_pins.run import pin
from prompt_pins.store import Runs


class Tagging:
    """The real host, and an interrogator that calls an image red as far as it is."""

    def __init__(self, model: HeadlessHost) -> None:
        self.model, self.seen = model, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def tagger(self) -> Tagger:
        def tags(images: np.ndarray) -> Sequence[Mapping[str, float]]:
            self.seen += len(images)
            return [{"red": float(image[..., 0].mean() / 255)} for image in images]

        return tags


@pytest.mark.parametrize(("objective", "said"), [("nowhere", "flip"), ("tags", "interrogator")])
def test_what_cannot_be_had_is_refused_at_once(
    objective: str, said: str, small: dict[str, Any], model: HeadlessHost, tmp_path: Path
) -> None:
    settings = RunConfig(**{**small, "loss_objectives": (objective,), "tags_wanted": ("red",)})
    with pytest.raises(OptionError, match=f"loss_objectives.*{said}"):
        pin.start(settings, model, Runs(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_tags_are_scored_by_the_hosts_own_interrogator(
    small: dict[str, Any], model: HeadlessHost, tmp_path: Path
) -> None:
    options = {"loss_objectives": ("tags",), "tags_wanted": ("red",), "generations": 1, "held_out": 0, "finalists": 0}
    host = Tagging(model)
    runs = Runs(tmp_path / "runs")
    list(pin.start(RunConfig(**{**small, **options}), host, runs))
    record = runs.find("0").record()
    assert host.seen > 3 * len(record.candidates)
    losses = [candidate.loss for candidate in record.candidates]
    assert None not in losses and len(set(losses)) > 1
    stats = json.loads((runs.find("0").path / record.candidates[0].folder / "batch_stats.json").read_text())
    assert set(stats["objectives"]) == {"tags"}
