"""Hostile image files in, plain arrays out.  Imports numpy and Pillow (9.5 to 13).

Everything that can be wrong with a file ends in one TargetError that names it and says what is allowed.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from prompt_pins.errors import TargetError, reason

Source = Union[str, "os.PathLike[str]", bytes, Image.Image, NDArray[np.uint8]]
Pixels = NDArray[np.uint8]
T = TypeVar("T")

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MAX_SIDE = 16384
MAX_PIXELS = 64 * 1024 * 1024
MAX_BYTES = 512 * 1024 * 1024
PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""Where a shell hands over what another program writes."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_ALLOWED = (
    f"a PNG, JPEG, WebP, GIF, BMP or TIFF image of up to {MAX_SIDE} pixels a side "
    f"and {MAX_PIXELS // 2**20} million pixels"
)


def read_rgb(source: Source, name: str | None = None) -> Pixels:
    """H x W x 3 uint8 sRGB of an image file, its bytes, a Pillow image or an H x W x 3 uint8 array.

    Turned upright by its EXIF tag; laid on white where it is transparent; the first frame of an animation;
    16-bit values scaled to 8.  Colour profiles are not applied.  Raises TargetError.
    """
    label = name or _label(source)
    if isinstance(source, np.ndarray):
        return _checked_array(source, label)
    image = _open(source, label)
    if _has_alpha(image):
        image = _guarded(lambda: image.convert("RGBA"), label)
        if image.getchannel("A").getextrema()[1] == 0:
            raise TargetError(f"{label}: the image is wholly transparent; allowed: {_ALLOWED}")
        return np.asarray(_on(image, (255, 255, 255, 255)).convert("RGB"))
    return np.asarray(_guarded(lambda: image.convert("RGB"), label))


def read_mask(source: Source, name: str | None = None) -> Pixels:
    """H x W uint8 mask, 255 (white) = compare: an image in grey, black where it is transparent.

    Takes what `read_rgb` takes, and an H x W uint8 array.  Raises TargetError.
    """
    label = name or _label(source)
    if isinstance(source, np.ndarray):
        if source.ndim == 2:
            return _checked_array(np.repeat(source[..., None], 3, axis=2), label)[..., 0]
        source = Image.fromarray(_checked_array(source, label))
    image = _open(source, label)
    if _has_alpha(image):
        image = _on(_guarded(lambda: image.convert("RGBA"), label), (0, 0, 0, 255))
    return np.asarray(_guarded(lambda: image.convert("L"), label))


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder by name, hidden ones left out; TargetError where there are none."""
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    except OSError as problem:
        raise TargetError(f"{folder}: cannot be read ({reason(problem)}); allowed: a folder of images") from problem
    if not found:
        raise TargetError(f"{folder}: holds no image; allowed: files named {', '.join('*' + s for s in SUFFIXES)}")
    return found


def _label(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "filename", "") or "image")


def _checked_array(array: NDArray[np.uint8], label: str) -> Pixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise TargetError(f"{label}: {array.dtype} array of shape {array.shape}; allowed: uint8, height x width x 3")
    _check_size(array.shape[1], array.shape[0], label)
    return np.ascontiguousarray(array)


def _check_size(width: int, height: int, label: str) -> None:
    if width < 1 or height < 1 or max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise TargetError(f"{label}: {width} x {height} pixels; allowed: {_ALLOWED}")


def _open(source: str | os.PathLike[str] | bytes | Image.Image, label: str) -> Image.Image:
    """Decoded first frame, upright, in an 8-bit mode."""
    if isinstance(source, Image.Image):
        _check_size(*source.size, label)
        image = source
    else:
        image = _header(source, label)
    _guarded(image.load, label)
    return _eight_bit(_upright(image), image.format, label)


def _header(source: str | os.PathLike[str] | bytes, label: str) -> Image.Image:
    """An opened, not yet decoded image whose declared size is within bounds."""
    try:
        data = source if isinstance(source, bytes) else _read(source, label)
    except (OSError, ValueError) as problem:
        raise TargetError(f"{label}: cannot be read ({reason(problem)}); allowed: {_ALLOWED}") from problem
    if len(data) > MAX_BYTES:
        raise TargetError(f"{label}: is larger than the {MAX_BYTES // 2**20} MiB that are allowed")
    if not data:
        raise TargetError(f"{label}: the file is empty; allowed: {_ALLOWED}")
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    image = _guarded(lambda: Image.open(io.BytesIO(data), formats=formats), label)
    _check_size(*image.size, label)
    return image


def _read(source: str | os.PathLike[str], label: str) -> bytes:
    """The bytes of a file, or of a pipe that the shell made, and at most one more than are allowed.  Raises OSError.

    Other special files may have no end, or nobody who writes to them.
    """
    path = os.fspath(source)
    mode = os.stat(path).st_mode
    if is_strange_pipe(path) or not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "a special file"
        raise TargetError(f"{label}: is {kind}; allowed: {_ALLOWED}")
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def is_strange_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether something is a pipe that no shell made: perhaps nobody ever writes to it.  Raises OSError."""
    return stat.S_ISFIFO(os.stat(path).st_mode) and not os.fspath(path).startswith(PIPES)


def _guarded(step: Callable[[], T], label: str) -> T:
    """The step's result; whatever a decoder raises for a damaged file becomes one TargetError."""
    try:
        return step()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise TargetError(f"{label}: too many pixels; allowed: {_ALLOWED}") from problem
    except UnidentifiedImageError as problem:
        raise TargetError(f"{label}: not an image that can be read; allowed: {_ALLOWED}") from problem
    except Exception as problem:  # decoders of damaged files raise almost anything
        raise TargetError(f"{label}: the image is damaged ({problem}); allowed: {_ALLOWED}") from problem


def _upright(image: Image.Image) -> Image.Image:
    """Turned by its EXIF orientation; a damaged EXIF block counts as none."""
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # the EXIF reader raises almost anything
        return image


def _eight_bit(image: Image.Image, kind: str | None, label: str) -> Image.Image:
    """Grey of 16 bits as 8, with its transparent value as alpha.

    What 32 bits count up to is not known, so that they are refused, but for PNG, which Pillow may hold in them.
    """
    if image.mode == "F":
        raise TargetError(f"{label}: floating-point pixels; allowed: 8 or 16 bits a channel")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    foreign = image.mode == "I" and kind not in ("PNG", None)
    if foreign or values.min() < 0 or values.max() > 65535:
        raise TargetError(f"{label}: 32-bit pixels; allowed: 8 or 16 bits a channel")
    grey = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if isinstance(image.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)))
    return grey


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _on(image: Image.Image, ground: tuple[int, int, int, int]) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image)
