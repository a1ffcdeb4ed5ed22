"""One writer for each run: an advisory lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import StoreError


class FolderLock:
    """Holds the lock file `path` until `release`.  Raises `StoreError` if another process holds it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = open(path, "a+b")  # noqa: SIM115 (closed by release)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from error
        try:
            _lock(self._file.fileno())
        except OSError:
            self._file.close()
            raise StoreError(f"{path.parent}: another process is writing to this run") from None

    def release(self) -> None:
        """Let go; a second call does nothing."""
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
