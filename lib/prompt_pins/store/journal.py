"""The journal: one JSON object a line, append-only.

Every state of a run is the replay of its journal.  A torn last line (the process died while it wrote) is
dropped on reading; any other damage is a `JournalError` with the line's number.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from pathlib import Path
from typing import Any

from ..errors import JournalError, StoreError

FORMAT_VERSION = 2


def now() -> str:
    """The time as journals write it: ISO 8601, UTC, whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def encode(record: dict[str, Any]) -> bytes:
    """One journal line.  Raises ValueError on NaN and infinity: a journal holds `null` there."""
    return (json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Every whole record of a journal of this or any older format version."""
    return _read(path)[0]


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records, and the length in bytes of the whole lines that hold them."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error})") from error
    end = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:end].split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise JournalError(path, number, "is not a JSON object") from None
        if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
            raise JournalError(path, number, "is not a journal record")
        records.append(record)
    if records:
        _check_head(path, records[0])
    return records, end


def _check_head(path: Path, head: dict[str, Any]) -> None:
    if head["kind"] != "run":
        raise JournalError(path, 1, "a journal begins with a record of kind 'run'")
    version = head.get("version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise JournalError(path, 1, f"format version {version!r} is not known; known: 1 to {FORMAT_VERSION}")


class Journal:
    """An open journal, to append to.  Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open or create; a torn last line is cut off first.  Raises `StoreError` and `JournalError`."""
        self.path = path
        self.records: list[dict[str, Any]] = []
        try:
            if path.exists():
                self.records, end = _read(path)
                os.truncate(path, end)
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from error

    def append(self, record: dict[str, Any], sync: bool = False) -> None:
        """Write one record at once, whole or not at all; `sync` also waits until the disk has it."""
        line = encode(record)
        start = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(line)
            while written < len(line):  # a disk that gets full takes a part, and says so at the next one
                written += self._file.write(line[written:])
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, start)
            raise StoreError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self.records.append(record)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
