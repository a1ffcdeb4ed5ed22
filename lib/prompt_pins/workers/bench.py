"""What an actor of Ray holds: the engine, opened once.  Imports no Ray, so that it runs anywhere.

Errors travel as values, since an exception of many arguments cannot be sent, and images as PNGs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import errors
from ..host import Batch, Host, Request

Content = Mapping[str, np.ndarray]
"""The files of a path: uint8 bytes by their names relative to it; "" for the path itself."""


@dataclasses.dataclass(frozen=True)
class Opening:
    """How the engine is opened: open(**paths).

    paths: files and folders by their names on the driver's machine; where they are missing, or others, they are sent.
    kind: tells the device.
    """

    open: Callable[..., Host]
    paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kind: Callable[[], str] = str


@dataclasses.dataclass(frozen=True)
class Sent:
    """An answer.  error: (name of its class, message) of what was raised."""

    value: Any = None
    error: tuple[str, str] | None = None

    def unpacked(self) -> Any:
        """The value.  Raises what was raised; what is none of ours as a `HostError` in the same words as here."""
        if self.error is None:
            return self.value
        name, words = self.error
        cls = getattr(errors, name, None)
        if cls is None:
            raise errors.HostError(f"the host could not render: {name}: {words}".rstrip(": "))
        error = cls.__new__(cls)
        Exception.__init__(error, words)
        raise error


class Bench:
    """Opens a host and answers for it.

    content, fingerprint: of a path of the driver's machine; None where this is that machine.
    """

    def __init__(
        self,
        opening: Opening,
        content: Callable[[str], Content] | None = None,
        fingerprint: Callable[[str], str] | None = None,
    ) -> None:
        self._opening, self._content, self._fingerprint = opening, content, fingerprint
        self._host: Host | None = None
        self._places: dict[str, str] = {}

    def call(self, name: str, *values: Any) -> Sent:
        """A method of the host, which the first call opens."""
        try:
            found: Any = self._render(values[0]) if name == "render" else getattr(self._opened(), name)(*values)
            return Sent(self._named(found) if name == "describe" else found)
        except Exception as error:
            return Sent(error=(type(error).__name__, " ".join(str(error).split())))

    def kind(self) -> str:
        """Of the device."""
        return self._opening.kind()

    def _opened(self) -> Host:
        if self._host is None:
            paths = {name: self._found(path) for name, path in self._opening.paths.items()}
            self._host = self._opening.open(**paths)
        return self._host

    def _found(self, path: str) -> str:
        """Where a path of the driver's machine is here."""
        if self._content is None or self._fingerprint is None:
            return path
        wanted = self._fingerprint(path)
        if os.path.exists(path) and fingerprint(read(path)) == wanted:
            return path
        place = Path(tempfile.gettempdir()) / "prompt-pins" / wanted / Path(path).name
        if not (place.exists() and fingerprint(read(str(place))) == wanted):
            for name, data in self._content(path).items():
                write(place / name if name else place, data)
        self._places[str(place)] = path
        return str(place)

    def _named(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """A description that names the driver's paths."""
        return {
            key: self._places.get(value, value) if isinstance(value, str) else value for key, value in found.items()
        }

    def _render(self, request: Request) -> Batch:
        batch = self._opened().render(request.recipe, request.seeds, request.job, request.forked)
        loss: Any = None
        if request.judge is not None:
            try:
                loss = request.judge(batch.images)
            except errors.PinError:
                loss = None  # the driver meets it, too, and says so
        files = () if request.pack is None else request.pack(batch.images, batch.infotexts)
        images: Any = () if lossless(files) else tuple(png(image) for image in batch.images)
        return dataclasses.replace(batch, images=images, loss=loss, files=files)


def unpacked(batch: Batch) -> Batch:
    """A batch whose images have travelled."""
    packed: Any = batch.images or batch.files
    return dataclasses.replace(batch, images=np.stack([opened(data) for data in packed]))


def lossless(files: tuple[bytes, ...]) -> bool:
    """Whether files are PNGs, which hold every bit."""
    return bool(files) and files[0].startswith(b"\x89PNG")


def png(image: np.ndarray) -> bytes:
    """An image (uint8, H x W x 3), packed quickly."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", compress_level=1)
    return out.getvalue()


def opened(data: bytes) -> np.ndarray:
    """uint8, H x W x 3."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def read(path: str) -> Content:
    """A file's content, or that of all files of a folder."""
    root = Path(path)
    if not root.is_dir():
        return {"": np.fromfile(root, np.uint8)}
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): np.fromfile(file, np.uint8) for file in files}


def write(path: Path, data: np.ndarray) -> None:
    """A file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    data.tofile(beside)
    os.replace(beside, path)


def fingerprint(content: Content) -> str:
    """SHA-256 of files and their names."""
    digest = hashlib.sha256()
    for name in sorted(content):
        digest.update(f"{name}\0{len(content[name])}\0".encode())
        digest.update(np.ascontiguousarray(content[name]).data)
    return digest.hexdigest()
