"""Files appear whole or not at all: written beside their place, then renamed into it.  Standard library only."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import StoreError, reason, shorten
from .framing import load

PART = re.compile(r"\.prompt-pins-[0-9a-f]{8}\.part(\.\w+)?")
"""Names of files that are not whole yet; they stay behind only where a process was killed."""

_OPEN = re.compile(r"/(?:dev|proc/self)/(?:fd/(\d{1,9})|(stdout)|stderr)")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes `path`'s place if the block ends without an error.

    A symbolic link stays, and what it leads to is replaced; a pipe, a terminal and the like are written to.
    Raises `StoreError`.
    """
    try:
        if _is_stream(path):
            with _streamed(path) as beside:
                yield beside
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(str(target), target.suffix) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)  # what the user's umask leaves
            file.close()
            yield Path(file.name)
            os.chmod(file.name, mode)  # a writer may have put a file of its own there
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null byte" not in str(error):
            raise
        raise _unwritten(path, error) from error


@contextlib.contextmanager
def _replacing(target: str, suffix: str = "") -> Iterator[io.FileIO]:
    """A new file beside `target`, open and empty; it takes `target`'s place if the block ends without an error."""
    beside = os.path.join(os.path.dirname(target), f".prompt-pins-{secrets.token_hex(4)}.part{suffix}")
    file = io.FileIO(beside, "x")
    try:
        with file:
            yield file
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _is_stream(path: Path) -> bool:
    """Whether something is there that is written to, not replaced: a pipe, a device, a file that is open here."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return _handle(path) is not None or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _handle(path: Path) -> int | None:
    """The file of this process that a path like `/dev/stdout` stands for: opened anew, it would be overwritten."""
    found = _OPEN.fullmatch(os.path.abspath(path))
    return None if found is None else int(found[1]) if found[1] else 1 if found[2] else 2


@contextlib.contextmanager
def _streamed(path: Path) -> Iterator[Path]:
    """A temporary path whose content goes into `path`."""
    with tempfile.TemporaryDirectory(prefix="prompt-pins-") as folder:
        beside = Path(folder, f"whole{path.suffix}")
        yield beside
        handle = _handle(path)
        with open(beside, "rb") as source, open(path if handle is None else os.dup(handle), "ab") as target:
            shutil.copyfileobj(source, target)


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
    return StoreError(f"{path}: cannot be written ({reason(error)})")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_bytes(data)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a folder by their names, each whole or not at all, as `write_bytes` does one."""
    place = os.path.realpath(folder)
    try:
        os.makedirs(place, exist_ok=True)
        for name, data in files.items():
            target = os.path.join(place, name)
            if os.path.islink(target):
                write_bytes(Path(target), data)
                continue
            with _replacing(target) as file:
                while data:
                    data = data[file.write(data) :]
    except OSError as error:
        raise _unwritten(folder, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON with one key a line, whole or not at all.  Raises ValueError on NaN and infinity."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is none that can be read."""
    try:
        value = load(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def inside(root: Path, name: str) -> Path:
    """The path `name` below `root`.  Raises `StoreError` if it leads out of it, by itself or by a link on its way."""
    try:
        path = root / name
        if "\0" not in name and path.resolve().is_relative_to(root.resolve()):
            return path
    except (OSError, ValueError, RuntimeError):  # a circle of links, too
        pass
    raise StoreError(f"{root}: {shorten(name)} leads out of this folder")


def sweep(root: Path) -> None:
    """Remove the files below `root` that a killed process left unfinished."""
    for entry in _below(root):
        if PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


def check_links(root: Path) -> None:
    """Raise `StoreError` where something below `root` leads out of it, or is no file and no folder.

    What is written into a folder that came from elsewhere could otherwise end up anywhere.
    """
    for entry in _below(root):
        if entry.is_symlink():
            inside(root, os.path.relpath(entry.path, root))
        elif not (entry.is_file() or entry.is_dir()):
            raise StoreError(f"{entry.path}: is no file and no folder, so this run is not written to")


def _below(root: str | Path) -> Iterator[os.DirEntry[str]]:
    """All that lies below a folder; links are not followed, and what cannot be listed is left out."""
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
