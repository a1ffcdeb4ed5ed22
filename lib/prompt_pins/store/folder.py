"""The folders of runs: `prompt_pins/00000000/` and so on.  Numbers are claimed atomically, never reused."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import StoreError, reason
from .files import check_links, inside, sweep, whole_file, write_files, write_json
from .journal import Journal, read_journal
from .lock import FolderLock, held
from .records import Record, replay

if TYPE_CHECKING:
    import numpy as np

JOURNAL, LOCK = "journal.jsonl", "journal.lock"
ANALYSIS = "analysis.json"
"""What an analysis writes into its folder."""
MAP, DISTANCES = "map.json", "distances.npy"
"""What a map writes into its folder, and the distances of its candidates."""
EXIF_BYTES = 65_000
"""Of a text in a JPEG, whose EXIF may take 65,533 bytes."""
INTERRUPTED = "it ended without a word (it was killed, or its disk was full); it can be resumed"
_NUMBER = re.compile("[0-9]{8}|[1-9][0-9]{8,11}")
_FORMATS = {"png": {"compress_level": 3}, "jpg": {"quality": 95}, "webp": {"quality": 95, "method": 3}}


class RunFolder:
    """One run's folder.  Writing to it needs `open`, which also keeps other processes from writing.

    claimed: made just now, for a run that is to begin.
    """

    def __init__(self, path: Path, claimed: bool = False) -> None:
        self.path, self._claimed = path, claimed
        self._lock: FolderLock | None = None
        self._journal: Journal | None = None

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return self.path / JOURNAL

    @property
    def _lock_path(self) -> Path:
        return self.path / LOCK

    def open(self) -> Journal:
        """The journal, to append to.

        Raises `StoreError` if another process writes to this run, or where something in it leads out of it; then a
        folder that was claimed does not stay behind.
        """
        try:
            inside(self.path, LOCK)
            lock = FolderLock(self._lock_path)
        except BaseException:
            self.discard()
            raise
        self._lock = lock
        try:
            check_links(self.path)
            if lock.locked:
                sweep(self.path)
            self._journal = Journal(self.journal_path)
        except BaseException:
            self.close()
            self.discard()
            raise
        return self._journal

    def close(self) -> None:
        """Let other processes write to this run."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def discard(self) -> None:
        """Remove the folder if it was claimed and nothing was written down in it; anything else stays."""
        if not self._claimed or self._lock is not None:
            return
        with contextlib.suppress(OSError):
            paths = list(self.path.iterdir())
            if all(path.name in (JOURNAL, LOCK) and path.lstat().st_size == 0 for path in paths):
                for path in paths:
                    path.unlink()
                self.path.rmdir()

    @contextlib.contextmanager
    def working(self) -> Iterator[Journal]:
        """The journal, as `open` gives it, for some work; a folder in which nothing was written is discarded."""
        journal = self.open()
        try:
            yield journal
        finally:
            journal.close()
            self.close()
            if not journal.records:
                self.discard()

    def record(self) -> Record:
        """The run as its journal tells it; one that goes on by that, though nobody writes to it, is "interrupted".

        Raises `StoreError` and `JournalError`.
        """
        quiet = held(self._lock_path) is False  # before and after: a run may begin or end while its journal is read
        lines = read_journal(self.inside(JOURNAL))
        if not lines:
            raise StoreError(
                f"{self.journal_path}: is empty (it has no first line), so there is nothing to show or to go on with; "
                "delete this folder and begin the run again"
            )
        record = replay(lines)
        if record.state == "running" and quiet and held(self._lock_path) is False:
            return dataclasses.replace(record, state="interrupted", reason=INTERRUPTED)
        return record

    def inside(self, name: str) -> Path:
        """A path that the journal names, below the run's folder.  Raises `StoreError` if it leads out of it."""
        return inside(self.path, name)

    def generation(self, number: int) -> Path:
        """The folder of a generation; 0 is the target's."""
        return self.path / f"{number:08d}"

    @property
    def moved(self) -> bool:
        """Whether it was removed or renamed since `open`: what is written to its path then is lost, or litter."""
        return self._journal is not None and self._journal.moved

    def save_images(
        self,
        folder: Path,
        images: np.ndarray,
        names: Sequence[str],
        infotexts: Iterable[str],
        files: Sequence[bytes] = (),
    ) -> None:
        """Write uint8 RGB images (B x H x W x 3) as `names`, each with its infotext in the WebUI's place.

        files: their content, where `packed` has made it already.
        Raises `StoreError`; `MovedError` where this folder is not there any more.
        """
        if self._journal is not None:
            self._journal.check_place()
        if files:
            write_files(folder, dict(zip(names, files)))
        for image, name, infotext in () if files else zip(images, names, infotexts, strict=True):
            save_image(folder / name, image, infotext)

    def save_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run."""
        write_json(self.path / name, value)


def map_name(index: int) -> str:
    """File name of the error map of an image, by its place in the batch."""
    return f"map-{index:05d}.png"


def save_image(path: Path, image: np.ndarray, infotext: str = "") -> None:
    """Write one uint8 RGB image (H x W x 3), whole or not at all.

    The infotext goes where the WebUI writes and reads it: PNG's text chunk `parameters`, EXIF's UserComment.
    """
    kind = path.suffix.lstrip(".").lower()
    with whole_file(path) as beside, open(beside, "wb") as file:
        _write(file, image, kind, infotext)


def packed(kind: str, images: np.ndarray, infotexts: Sequence[str]) -> tuple[bytes, ...]:
    """The content of the files that `save_image` writes of uint8 RGB images (B x H x W x 3)."""
    found = []
    for image, infotext in zip(images, infotexts, strict=True):
        out = io.BytesIO()
        _write(out, image, kind, infotext)
        found.append(out.getvalue())
    return tuple(found)


def _write(file: BinaryIO, image: np.ndarray, kind: str, infotext: str) -> None:
    from PIL import Image, PngImagePlugin

    options: dict[str, Any] = dict(_FORMATS[kind])
    if infotext and kind == "png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("parameters", infotext)
    elif infotext:
        options["exif"] = user_comment(fitting(infotext) if kind == "jpg" else infotext)
    Image.fromarray(image).save(file, format="JPEG" if kind == "jpg" else kind.upper(), **options)


def fitting(text: str) -> str:
    """A text whose UTF-16 a JPEG's EXIF can hold: of a longer one the middle is left out.

    So its last line stays, which tells how the image was made.
    """
    units = text.encode("utf-16-be", "replace")
    if len(units) <= EXIF_BYTES:
        return text
    half = EXIF_BYTES // 4 * 2 - 2
    return " … ".join(part.decode("utf-16-be", "ignore") for part in (units[:half], units[-half:]))


def user_comment(text: str) -> bytes:
    """EXIF with one entry, UserComment in UTF-16; its type is UNDEFINED (7), which Pillow does not write."""
    comment = b"UNICODE\0" + text.encode("utf-16-be")
    pointer = struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0)  # the first directory, at 8: where the second one is
    entry = struct.pack(">HHHIII", 1, 0x9286, 7, len(comment), 44, 0)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + pointer + entry + comment


class Runs:
    """All runs below one `prompt_pins/` folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def numbers(self) -> list[int]:
        """The numbers of the existing runs (and analyses), in order.  Other folders do not count, whatever their name.

        Raises `StoreError` if the folder cannot be read.
        """
        try:
            names = [entry.name for entry in self.root.iterdir()] if self.root.is_dir() else []
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be read ({reason(error)})") from error
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name) and _is_run(self.root / name))

    def claim(self) -> RunFolder:
        """A new folder of the next free number.  Raises `StoreError` if the folder cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            number = max(self.numbers(), default=-1) + 1
            while True:
                path = self.root / f"{number:08d}"
                try:
                    os.mkdir(path)
                    return RunFolder(path, claimed=True)
                except FileExistsError:  # claimed by another process just now, or no run
                    number += 1
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be written ({reason(error)})") from error

    def find(self, name: str) -> RunFolder:
        """The run of a number ("12", "00000012") or a path.  Raises `StoreError` if there is none."""
        short = name.isascii() and name.isdecimal() and len(name) <= 12
        path = self.root / f"{int(name):08d}" if short else Path(name)
        if path.name in ("", ".."):  # "." and the like, whose own name and whose parent are to be known
            path = Path(os.path.abspath(path))
        if not has(path, JOURNAL):
            raise StoreError(f"{path}: is not a run (it has no {JOURNAL})")
        return RunFolder(path)


def _is_run(path: Path) -> bool:
    return has(path, JOURNAL) or has(path, ANALYSIS)


def has(folder: Path, name: str) -> bool:
    """Whether the folder has something of that name; yes also where it does not let us look."""
    try:
        os.stat(folder / name)
    except (FileNotFoundError, NotADirectoryError):
        return os.path.islink(folder / name)
    except (OSError, ValueError) as error:
        return isinstance(error, OSError) and error.errno in (errno.EACCES, errno.ELOOP)
    return True
