"""A disk that gets full: a sentence, a run that says that it stopped, and that goes on when there is room again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import StoreError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import pin
from prompt_pins.store import Journal, Runs, folder


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_gets_full_stops_the_run_in_a_sentence(
    tmp_path: Path, model: HeadlessHost, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0
    with monkeypatch.context() as patch, pytest.raises(StoreError, match=r"cannot be written \(No space left"):
        for _ in pin.start(config, model, Runs(tmp_path)):
            seen += 1
            if seen == 4:
                patch.setattr(os, "replace", full)
    run = Runs(tmp_path).find("0")
    record = run.record()
    assert record.state == "stopped" and "No space left" in record.reason
    list(pin.resume(run, model))
    assert run.record().state == "finished"


@pytest.mark.parametrize("what", [(Journal, "append"), (folder, "FolderLock")])
def test_a_disk_that_is_full_from_the_start_keeps_no_folder(
    tmp_path: Path, model: HeadlessHost, config: RunConfig, monkeypatch: pytest.MonkeyPatch, what: tuple[Any, str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(*what, refuse)
    with pytest.raises(StoreError):
        list(pin.start(config, model, Runs(tmp_path)))
    assert not list(tmp_path.iterdir())
