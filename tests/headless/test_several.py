"""Payloads of two checkpoints on the headless engine."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import CheckpointError
from prompt_pins.headless.checkpoint import EMBEDDED
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.several import SeveralHosts
from prompt_pins.report import build
from prompt_pins.run import pin
from prompt_pins.store import Runs, events


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A second checkpoint's name, which is a copy of the first; and what was opened, in order."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for path in (EMBEDDED, EMBEDDED.with_suffix(".yaml")):
        shutil.copy(path, folder / path.name.replace("embedded", "other"))
    yield str(folder / EMBEDDED.name.replace("embedded", "other")), []


def test_each_checkpoint_is_loaded_once_a_generation_and_the_run_goes_on(
    engines: tuple[str, list[str]], tmp_path: Path
) -> None:
    other, opened = engines

    def opening(name: str) -> HeadlessHost:
        opened.append(name)
        return HeadlessHost(name)

    host = SeveralHosts(opening, ("", other))
    assert opened == [other, ""] and host.describe()["checkpoints"][other]["checkpoint"] == Path(other).name
    values: dict[str, Any] = {
        "prompt": "a {piece} circle", "piece": "red blue", "payload": ("--seed 3", f"--checkpoint {other}"),
        "steps": 1, "batch_size": 1, "lambda_": 2, "generations": 2, "finalists": 0, "held_out": 2, "width": 64,
        "height": 64, "plots": False, "gifs": False, "start": "original",
    }  # fmt: skip
    done, counts = list[events.Event](), list[int]()
    for event in pin.start(RunConfig(**values), host, Runs(tmp_path)):
        done.append(event)
        if isinstance(event, events.GenerationDone):
            counts.append(host.loaded)
    assert opened[:4] == [other, "", other, ""]  # not once more before the first image
    assert all(after - before <= 1 for before, after in itertools.pairwise(counts))
    record = Runs(tmp_path).find("0").record()
    assert record.state == "finished" and record.host["checkpoints"][other]["checkpoint_sha256"]
    assert record.held is not None and len(record.held.payload_gains) == 2
    assert np.allclose(record.held.checkpoint_gains, record.held.payload_gains)
    page = build(Runs(tmp_path).find("0")).read_text()
    assert "Its payloads on <b>the small model</b>" in page and f"on <b>{Path(other).name}</b>" in page

    known = {other: {**record.host["checkpoints"][other], "checkpoint_sha256": "0"}}
    with pytest.raises(CheckpointError, match="is not the one that this run was rendered with"):
        SeveralHosts(opening, ("", other), known)


def test_an_interruption_holds_for_the_next_checkpoint() -> None:
    host = SeveralHosts(HeadlessHost, ("",))
    host.interrupt()
    assert host.interrupted() and host._at("").interrupted()
