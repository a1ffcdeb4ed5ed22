"""The infotext that brings a run's parameters back, on the stand-in's modules."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.webui.standing import importable

BEGUN = {"seed": 5, "batch_size": 4, "fork_policy": "1,2", "fork_strength": 2.0}


@pytest.fixture(scope="module")
def infotext() -> Iterator[Any]:
    with importable():
        yield importlib.import_module("prompt_pins.webui.infotext")


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
