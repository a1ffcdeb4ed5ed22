"""One writer for each run: an advisory lock that ends with its process, however that ends."""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from pathlib import Path

from ..errors import StoreError, reason

PATIENCE = 0.5
"""Seconds until a lock counts as held: who only looks whether it is (`held`) has it for an instant."""
HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK, errno.EWOULDBLOCK})
LOCKLESS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
log = logging.getLogger(__name__)


class FolderLock:
    """Holds the lock file `path` until `release`.  Raises `StoreError` if another process holds it.

    locked: False on a file system that has no locks, where all go on without.
    """

    def __init__(self, path: Path) -> None:
        self.locked = False
        try:
            self._file = open(path, "a+b")  # noqa: SIM115 (closed by release)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({reason(error)})") from error
        try:
            self._wait()
            self.locked = True
        except OSError as error:
            if error.errno in LOCKLESS:
                log.warning("%s: its file system has no locks, so do not write to this run twice at once", path.parent)
                return
            self._file.close()
            if error.errno in HELD:
                raise StoreError(f"{path.parent}: another process is writing to this run") from None
            raise StoreError(f"{path}: cannot be locked ({reason(error)})") from error

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return _lock(self._file.fileno())
            except OSError as error:
                if error.errno not in HELD or time.monotonic() > until:
                    raise
            time.sleep(PATIENCE / 20)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        self._file.close()


def held(path: Path) -> bool | None:
    """Whether somebody, this process too, holds the lock file `path`; None where that cannot be told."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            try:
                _lock_shared(file.fileno())
            except OSError as error:
                return True if error.errno in HELD else None
    except OSError:
        return None
    return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    _lock_shared = _lock

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _lock_shared(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
