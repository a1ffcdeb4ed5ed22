"""One embedded model for all tests, and a small configuration that pins in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.headless.engine import HeadlessHost


@pytest.fixture(scope="session")
def model() -> HeadlessHost:
    """The embedded model.  Never interrupt it: it is shared."""
    return HeadlessHost()


@pytest.fixture(scope="session")
def red(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A target: a red disc on white."""
    path = tmp_path_factory.mktemp("targets") / "red.png"
    y, x = np.mgrid[:128, :128] - 63.5
    picture = np.full((128, 128, 3), 245, np.uint8)
    picture[np.hypot(x, y) < 24] = (220, 35, 40)
    Image.fromarray(picture).save(path)
    return str(path)


@pytest.fixture
def small(red: str) -> dict[str, Any]:
    """Options of a run of a few seconds."""
    return {
        "prompt": "a red blue circle, white background", "target": (red,), "steps": 3, "batch_size": 3,
        "generations": 3, "lambda_": 4, "held_out": 3, "contest_seeds": 2, "finalists": 1,
    }  # fmt: skip


@pytest.fixture
def config(small: dict[str, Any]) -> RunConfig:
    """The same as a configuration."""
    return RunConfig(**small)
