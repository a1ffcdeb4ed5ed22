"""Hosts that actors of Ray open in the tests, and what kills them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prompt_pins.config import RenderOptions
from prompt_pins.errors import CheckpointError, OptionError
from prompt_pins.host import Batch, Recipe

from tests.run.painter import Painter


class FarPainter(Painter):
    """pause: seconds of a batch.  deaths: a folder; a process dies in its second batch, once for each file there.

    model: a file whose content it describes; turn: a file that says what goes wrong.
    """

    def __init__(self, pause: float = 0.0, deaths: str = "", model: str = "", turn: str = "") -> None:
        super().__init__()
        self.pause, self.deaths, self.model, self.turn = pause, deaths, model, turn
        if turn and Path(turn).read_text() == "no model":
            raise CheckpointError("the model: is no model")

    def describe(self) -> dict[str, Any]:
        own = {"folder": self.model, "checkpoint": Path(self.model).read_text()} if self.model else {}
        return {**super().describe(), **own}

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        time.sleep(self.pause)
        if self.deaths and self.calls:
            for path in Path(self.deaths).iterdir():
                path.unlink(missing_ok=True)
                os.kill(os.getpid(), signal.SIGKILL)
        turn = Path(self.turn).read_text() if self.turn else ""
        if turn == "option":
            raise OptionError("sampler", "x", "y")
        if turn == "memory":
            raise MemoryError("of this machine")
        return super().render(recipe, seeds, job, forked)


def opened(**values: Any) -> FarPainter:
    """What actors call."""
    return FarPainter(**values)
