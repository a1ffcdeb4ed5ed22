"""A run on a GPU: its losses are the CPU's, and it goes on from its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.opening import reopen_host
from prompt_pins.run import pin
from prompt_pins.store import Record, RunFolder, Runs, events

from tests.devices import CUDA, full_convolutions, needs_cuda

pytestmark = needs_cuda


def losses(record: Record) -> list[float]:
    """Of the first generation, whose candidates do not depend on any loss."""
    return [c.loss for c in record.candidates if c.generation == 1 and c.loss is not None]


def whole(config: RunConfig, host: HeadlessHost, place: Path) -> RunFolder:
    runs = Runs(place)
    list(pin.start(config, host, runs))
    return runs.find("0")


@pytest.mark.parametrize(("precise", "near"), [(True, 2e-3), (False, 5e-2)])
def test_the_losses_are_the_cpus(tmp_path: Path, small: dict[str, Any], precise: bool, near: float) -> None:
    config = RunConfig(**{**small, "generations": 2})
    with full_convolutions():
        here = whole(config, HeadlessHost(load(), "cpu"), tmp_path / "cpu").record()
        there = whole(config, HeadlessHost(load(), CUDA, precise=precise), tmp_path / CUDA).record()
    assert there.state == "finished" and there.host["device"] == CUDA and there.held is not None
    assert len(losses(there)) == len(losses(here)) == 4
    assert losses(there) == pytest.approx(losses(here), abs=near)


def test_a_run_goes_on(tmp_path: Path, config: RunConfig) -> None:
    plain = whole(config, HeadlessHost(load(), CUDA), tmp_path / "plain").record()
    host, runs = HeadlessHost(load(), CUDA), Runs(tmp_path / "again")
    for event in pin.start(config, host, runs):
        if isinstance(event, events.CandidateDone) and event.candidate.generation == 2:
            host.interrupt()
    folder = runs.find("0")
    assert folder.record().state == "stopped"
    list(pin.resume(folder, reopen_host(folder.record(), CUDA)))
    again = folder.record()
    assert again.state == "finished"
    assert [c.weights for c in again.candidates] == [c.weights for c in plain.candidates]
    assert [c.loss for c in again.candidates] == pytest.approx([c.loss for c in plain.candidates], abs=1e-9)
