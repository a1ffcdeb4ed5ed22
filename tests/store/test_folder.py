"""Run folders: numbers, locks, runs that nobody writes to any more, and folders that cannot be read."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.errors import StoreError
from prompt_pins.store import RunFolder, Runs, lock

from tests.store.test_framing import HEAD


def begun(runs: Runs) -> RunFolder:
    """A run that has its first line, and that nobody writes to."""
    folder = runs.claim()
    with folder.open() as journal:
        journal.append(HEAD)
    folder.close()
    return folder


def test_only_runs_count(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for name in ("20240131", "00000007", "٠٠٠٠٠٠٠٩", "000000011", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "20250101").write_text("")
    (tmp_path / "000000011" / "journal.jsonl").write_text("")
    assert [begun(runs).path.name for _ in range(2)] == ["00000000", "00000001"]
    assert runs.numbers() == [0, 1]


def test_gaps_stay_and_what_is_in_the_way_is_passed(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for number in (0, 3):
        (tmp_path / f"{number:08d}").mkdir()
        (tmp_path / f"{number:08d}" / "journal.jsonl").write_text("")
    (tmp_path / "00000004").write_text("no folder")
    (tmp_path / "00000005").mkdir()
    assert runs.claim().path.name == "00000006"
    assert runs.numbers() == [0, 3]


def test_analyses_are_numbered_alike(tmp_path: Path) -> None:
    Runs(tmp_path).claim().save_json("analysis.json", {})
    assert Runs(tmp_path).numbers() == [0]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_without_locks_a_run_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    monkeypatch.setattr(lock, "_lock", _failing(code))
    monkeypatch.setattr(lock, "_lock_shared", _failing(code))
    caplog.set_level(logging.WARNING)
    folder = begun(Runs(tmp_path))
    assert [record.getMessage().count("no locks") for record in caplog.records] == [1]
    assert folder.record().state == "running"  # which nobody can tell there


def test_a_lock_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_lock", _failing(errno.EIO))
    folder = Runs(tmp_path).claim()
    with pytest.raises(StoreError, match=r"journal\.lock: cannot be locked .Input/output error"):
        folder.open()
    assert not list(tmp_path.iterdir())


def _failing(code: int) -> Any:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_who_only_looks_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes the lock for an instant, in which a run may want to begin."""
    whole, tries = lock._lock, [errno.EAGAIN, errno.EACCES]

    def busy(handle: int) -> None:
        _failing(tries.pop())(handle) if tries else whole(handle)

    monkeypatch.setattr(lock, "_lock", busy)
    assert begun(Runs(tmp_path)).path.is_dir() and not tries


def test_a_run_is_alive_while_its_lock_is_held(tmp_path: Path) -> None:
    folder = begun(Runs(tmp_path))
    assert (folder.record().state, "resumed" in folder.record().reason) == ("interrupted", True)
    code = (
        "import sys; from pathlib import Path; from prompt_pins.store import RunFolder\n"
        "run = RunFolder(Path(sys.argv[1])); run.open(); print('open', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        assert folder.record().state == "running"
        process.kill()
    assert folder.record().state == "interrupted"
    with folder.open():
        assert folder.record().state == RunFolder(folder.path).record().state == "running"
    folder.close()


def test_a_second_opening_of_the_same_folder_harms_nothing(tmp_path: Path) -> None:
    folder = Runs(tmp_path).claim()
    with folder.open() as journal:
        with pytest.raises(StoreError, match="another process"):
            folder.open()
        journal.append(HEAD)
        assert lock.held(folder.path / "journal.lock")
    folder.close()


@pytest.mark.parametrize("content", [b"", b'{"kind":"run","version":2'], ids=["empty", "torn"])
def test_an_empty_journal_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    folder = begun(Runs(tmp_path))
    folder.journal_path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is empty .it has no first line.*delete this folder and begin the run again"):
        folder.record()


@pytest.mark.parametrize("what", ["folder", "loop", "pipe"])
def test_a_journal_that_is_no_file_is_said(tmp_path: Path, what: str) -> None:
    if what == "pipe" and sys.platform == "win32":
        pytest.skip("no pipes there")
    path = tmp_path / "00000000" / "journal.jsonl"
    path.parent.mkdir()
    {"folder": path.mkdir, "loop": lambda: path.symlink_to(path), "pipe": lambda: os.mkfifo(path)}[what]()
    folder = Runs(tmp_path).find("0")
    assert Runs(tmp_path).numbers() == [0]
    for opening in (folder.record, folder.open):
        with pytest.raises(StoreError):
            opening()


def test_a_root_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StoreError, match=r"cannot be read .Permission denied"):
        Runs(tmp_path).numbers()
