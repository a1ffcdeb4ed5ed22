"""GIFs: frames of one size, each with its own palette, assembled block by block (GIF89a).  Imports numpy, Pillow.

Pillow encodes each frame; putting the frames together here saves its search for differences between frames,
which takes most of its time and finds nothing in images that all differ.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..store.files import write_bytes

LIMIT = 8_000_000  # bytes of a GIF
MAX_FRAMES = 100
T = TypeVar("T")
_SAMPLE = 2048  # pixels that a palette is made from


def encode_gif(frames: Sequence[np.ndarray], milliseconds: int, shared: bool = True) -> bytes:
    """An endless GIF of uint8 RGB frames (each H x W x 3, all alike), each shown for `milliseconds`.

    shared: one palette for all frames, for images of the same things; otherwise each frame has its own.
    Palettes are median cuts; no dithering, which would crawl from frame to frame.
    """
    height, width = frames[0].shape[:2]
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x70, 0, 0)]
    parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    common = _palette(frames) if shared else None
    for frame in frames:
        table, descriptor, data = _image(frame, common if common is not None else _palette([frame]))
        bits = (len(table) // 3).bit_length() - 2
        parts.append(b"\x21\xf9\x04\x04" + struct.pack("<H", milliseconds // 10) + b"\x00\x00")
        parts += [descriptor[:9], bytes([0x80 | bits]), table, data]
    return b"".join([*parts, b"\x3b"])


def _palette(frames: Sequence[np.ndarray]) -> Any:
    """A palette image of 256 colours from a grid of the frames' pixels."""
    from PIL import Image

    height, width = frames[0].shape[:2]
    step = max(1, int((len(frames) * height * width / _SAMPLE) ** 0.5))
    sample = np.concatenate([frame[step // 2 :: step, step // 2 :: step].reshape(-1, 3) for frame in frames])
    return Image.fromarray(np.ascontiguousarray(sample[None])).quantize(256, method=Image.Quantize.MEDIANCUT)


def _image(frame: np.ndarray, palette: Any) -> tuple[bytes, bytes, bytes]:
    """(colour table, image descriptor, compressed data) of one frame."""
    from PIL import Image

    flat = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    flat.save(buffer, format="GIF", interlace=0)
    data = buffer.getvalue()
    size = 3 * 2 ** ((data[10] & 7) + 1)
    start = 13 + size
    while data[start] == 0x21:  # extensions: skip their sub-blocks
        start += 2
        while data[start]:
            start += data[start] + 1
        start += 1
    return data[13 : 13 + size], data[start : start + 10], data[start + 10 : -1]


def write_gif(path: Path, frames: Sequence[np.ndarray], milliseconds: int, shared: bool = True) -> None:
    """Write a GIF of at most `LIMIT` bytes: at most `MAX_FRAMES` frames, scaled down if that is not enough."""
    kept = spread_evenly(frames, MAX_FRAMES)
    data = encode_gif(kept, milliseconds, shared)
    while len(data) > LIMIT and min(kept[0].shape[:2]) > 32:
        scale = min(0.9, 0.95 * (LIMIT / len(data)) ** 0.5)
        kept = [shrink(frame, int(max(frame.shape[:2]) * scale)) for frame in kept]
        data = encode_gif(kept, milliseconds, shared)
    write_bytes(path, data)


def spread_evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]


def shrink(frame: np.ndarray, side: int) -> np.ndarray:
    """The frame (H x W x 3, uint8) with its longer side at most `side` pixels."""
    from PIL import Image

    height, width = frame.shape[:2]
    if max(height, width) <= side:
        return frame
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))


def mosaic(images: Sequence[np.ndarray], side: int, columns: int | None = None) -> np.ndarray:
    """All images (each H x W x 3, alike) in a grid at most `side` pixels wide and high; grey where there is none."""
    columns = columns or _columns(len(images))
    rows = -(-len(images) // columns)
    tiles = [shrink(image, max(16, side // max(columns, rows))) for image in images]
    height, width = tiles[0].shape[:2]
    canvas = np.full((rows * height, columns * width, 3), 96, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * height, place % columns * width
        canvas[top : top + height, left : left + width] = tile[:height, :width]
    return canvas


def _columns(count: int) -> int:
    """Columns of a grid of `count` pictures, nearly square, with few empty places."""
    side = int(np.ceil(np.sqrt(count)))
    return min(range(side, 2 * side), key=lambda columns: (-count % columns, columns))


def caption(frame: np.ndarray, text: str) -> np.ndarray:
    """The frame with a dark line of text under it."""
    from PIL import Image, ImageDraw, ImageFont

    band = 20
    height, width = frame.shape[:2]
    image = Image.new("RGB", (width, height + band), (24, 24, 24))
    image.paste(Image.fromarray(frame), (0, 0))
    try:
        font = ImageFont.load_default(size=14)
    except TypeError:  # Pillow before 10.1 has one size only
        font = ImageFont.load_default()
    ImageDraw.Draw(image).text((5, height + 2), text, fill="white", font=font)
    return np.asarray(image)
