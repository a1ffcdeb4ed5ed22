"""The journal: one JSON object a line, append-only; `framing` says how a line is written.

Every state of a run is the replay of its journal.  A torn last line (the process died while it wrote) is
dropped on reading; any other damage is a `JournalError` with the line's number.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import HostInterrupted, JournalError, MovedError, PinError, StoreError, reason
from .checks import Checker
from .framing import FORMAT_VERSION, FramingError, decode, encode
from .records import replay


def now() -> str:
    """The time as journals write it: ISO 8601, UTC, whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Every whole record of a journal of this or any older format version.  Raises `StoreError`, `JournalError`."""
    return _read(path)[0]


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records, and the length in bytes of the whole lines that hold them."""
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            raise StoreError(f"{path}: cannot be read (it is no file)")
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({reason(error)})") from error
    end = data.rfind(b"\n") + 1
    records: list[dict[str, Any]] = []
    checker, framed = Checker(), False
    for number, line in enumerate(data[:end].split(b"\n")[:-1], start=1):
        try:
            record, has_frame = decode(line, number)
        except FramingError as error:
            raise JournalError(path, number, str(error)) from None
        if number == 1:
            framed = _version(path, record) >= 2
        if has_frame != framed:
            raise JournalError(path, number, f"has {'no' if framed else 'a'} running number and checksum, as others do")
        if fault := checker.fault(record) or (number > 1 and record["kind"] == "run" and "is a second head"):
            raise JournalError(path, number, fault)
        records.append(record)
    return records, end


def _version(path: Path, head: dict[str, Any]) -> int:
    """The format version that a journal's first record tells."""
    if head["kind"] != "run":
        raise JournalError(path, 1, "a journal begins with a record of kind 'run'")
    version = head.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= FORMAT_VERSION:
        raise JournalError(path, 1, f"format version {version!r} is not known; known: 1 to {FORMAT_VERSION}")
    return version


class Journal:
    """An open journal, to append to in the format that its first line has.  Close it, or use it as a context manager.

    records: those in it.
    """

    def __init__(self, path: Path) -> None:
        """Open or create; a torn last line is cut off first.  Raises `StoreError` and `JournalError`."""
        self.path = path
        self.records: list[dict[str, Any]] = []
        self._end, self._torn = 0, False
        try:
            if os.path.lexists(path):
                self.records, self._end = _read(path)
                os.truncate(path, self._end)
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed by close)
            self._place = os.stat(path)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({reason(error)})") from error

    def append(self, record: dict[str, Any], sync: bool = False) -> None:
        """Write one record at once; `sync` also waits until the disk has it.

        Raises `StoreError` if not all of it could be written; then none of it is in the journal.  `MovedError`: it is
        not where it was any more, and would be written to for nobody.
        """
        self.check_place()
        version = _version(self.path, self.records[0] if self.records else record)
        line = encode(record, len(self.records) + 1, version)
        try:
            if self._torn:
                self._take_back()
            self._torn = True
            self._write(line)
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._take_back()
            raise StoreError(f"{self.path}: cannot be written ({reason(error)})") from error
        self._torn = False
        self._end += len(line)
        self.records.append(record)

    @property
    def moved(self) -> bool:
        """Whether another file, or none, is where this one was opened: it was removed or renamed, or a folder of it."""
        try:
            return not os.path.samestat(os.stat(self.path), self._place)
        except OSError as error:
            return isinstance(error, (FileNotFoundError, NotADirectoryError))

    def check_place(self) -> None:
        """Raises `MovedError` if it is not where it was opened."""
        if self.moved:
            raise MovedError(self.path.parent, replay(self.records))

    def end(self, state: str, reason: str) -> None:
        """Say that the run is "stopped" or "finished", and why.  Raises as `append` does."""
        self.append({"kind": state, "reason": reason, "time": now()}, sync=True)

    @contextlib.contextmanager
    def faults_told(self) -> Iterator[None]:
        """A fault within is written down, where it can be, and goes on; an interruption is none."""
        try:
            yield
        except HostInterrupted:
            raise
        except Exception as error:
            self.check_place()  # where the folder has gone, all else may come of that
            words = str(error) if isinstance(error, PinError) else f"{type(error).__name__}: {error}"
            with contextlib.suppress(StoreError):
                self.end("stopped", f"failed: {words}")
            raise

    def _write(self, data: bytes) -> None:
        """All of it: an unbuffered file may take a part only, as the last one that a full disk has room for."""
        while data:
            written = self._file.write(data)
            if not written:
                raise OSError("nothing was written")
            data = data[written:]

    def _take_back(self) -> None:
        """Cut off what is left of a record that could not be written whole, so that the next one is whole."""
        os.ftruncate(self._file.fileno(), self._end)
        self._torn = False

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
