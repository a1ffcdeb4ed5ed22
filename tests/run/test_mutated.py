"""A run whose journal has one fault goes on, or says in a sentence why not; it never writes outside its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prompt_pins.config import RunConfig
from prompt_pins.errors import HostInterrupted, PinError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import pin
from prompt_pins.store import RunFolder, Runs, read_journal

from tests.run.test_pin import Watched, finish
from tests.store.mutations import VICTIM, mutated


def test_it_goes_on_or_says_why_not(model: HeadlessHost, small: dict[str, Any], tmp_path: Path) -> None:
    """The host stops each at the first batch that is missing: what was replayed until then is what counts."""
    config = RunConfig(**{**small, "steps": 1, "batch_size": 2, "generations": 2})
    finish(pin.start(config, Watched(model, HostInterrupted("stop"), 8), Runs(tmp_path / "pins")))
    folder = Runs(tmp_path / "pins").find("0")
    records = read_journal(folder.journal_path)
    outcomes = []
    for version in (1, 2):
        for data in mutated(records, version, 60, seed=version):
            folder.journal_path.write_bytes(data)
            try:
                ended = finish(pin.resume(RunFolder(folder.path), Watched(model, HostInterrupted("stop"), 1)))
                outcomes.append(ended[-1].reason)
                assert folder.record().state == "stopped"
            except PinError as error:
                outcomes.append(str(error))
    assert "interrupted by the user" in outcomes and len(set(outcomes)) > 10
    assert {path.name for path in tmp_path.iterdir()} == {"pins"} and not list(tmp_path.rglob(f"*{VICTIM}*"))
