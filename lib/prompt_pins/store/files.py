"""Files appear whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import StoreError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes `path`'s place if the block ends without an error.

    Raises `StoreError` for every OSError, also of the block: a full disk is found out by whoever writes.
    """
    beside = path.parent / f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        mode = stat.S_IMODE(os.fstat(handle).st_mode)  # what the user's umask leaves
        os.close(handle)
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from error
    try:
        yield beside
        os.chmod(beside, mode)  # a writer may have put a file of its own there
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        if isinstance(error, OSError):
            raise _unwritten(path, error) from error
        raise


def check_place(path: Path) -> None:
    """Raises `StoreError` where a file cannot be written; leaves nothing there."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that is too long
        raise _unwritten(path, error) from error
    made = [parent for parent in path.parents if not os.path.exists(parent)]
    with contextlib.suppress(_Tried), whole_file(path):
        raise _Tried
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()


class _Tried(Exception):
    """Ends a file that is only tried."""


def _unwritten(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with one key a line, whole or not at all.  Raises ValueError on NaN and infinity."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
