"""The infotext that brings a run's parameters back, on the stand-in's modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BEGUN = {"seed": 5, "batch_size": 4, "fork_policy": "1,2", "fork_strength": 2.0}


@pytest.fixture(scope="module")
def infotext() -> Iterator[Any]:
    before, place = set(sys.modules), str(Path(__file__).parent / "host")
    sys.path.insert(0, place)
    try:
        yield importlib.import_module("prompt_pins.webui.infotext")
    finally:
        sys.path.remove(place)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "modules" or name.startswith("prompt_pins.webui"):
                del sys.modules[name]


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Steps: 4, Seed: 3221225477, Size: 64x64", "Steps: 4, Seed: 5, Size: 64x64, Batch size: 4"),
        ("Seed: 9, Batch size: 2", "Seed: 5, Batch size: 2"),
        (
            "Seed: 9, Variation seed: 3221225477, Variation seed strength: 0.5",
            "Seed: 9, Variation seed: 5, Variation seed strength: 0.5, Batch size: 4",
        ),
        (
            "Seed: 9, Fork policy: none, Fork strength: 1.5, Model: some",
            'Seed: 5, Fork policy: "1,2", Fork strength: 2, Model: some, Batch size: 4',
        ),
        ("", ""),
    ],
)
def test_it_is_as_the_run_began(infotext: Any, written: str, wanted: str) -> None:
    prompts = "Seed: 7, a circle\nNegative prompt: Seed: 8, blue\n"
    assert infotext.as_begun(prompts + written, BEGUN) == prompts + wanted
