"""GIFs: frames of one size on one palette or on their own, assembled block by block (GIF89a).  Imports numpy, Pillow.

Pillow compresses each frame; putting the frames together here saves its search for differences between frames,
which takes most of its time and finds nothing in images that all differ.  Colours are chosen here, too: Pillow's
median cut takes five times as long and its colours are farther from the images.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..store.files import write_bytes

LIMIT = 8_000_000  # bytes of a GIF
MAX_FRAMES = 100
COLOURS = 256
EMPTY = 96  # the grey where there is no image
T = TypeVar("T")
_SAMPLE = 4096  # pixels that a palette starts from
_ROUNDS = 2  # of k-means, after that
_ROWS = 120


def encode_gif(frames: Sequence[np.ndarray], milliseconds: int, shared: bool = True) -> bytes:
    """An endless GIF of uint8 RGB frames (each H x W x 3, all alike), each shown for `milliseconds`.

    shared: one palette for all frames, for images of the same things; otherwise each frame has its own.
    No dithering, which would crawl from frame to frame.
    """
    height, width = frames[0].shape[:2]
    stacks = [np.stack(frames)] if shared else [frame[None] for frame in frames]
    reduced = [reduce_colours(stack) for stack in stacks]
    common = reduced[0][0].tobytes() if shared else b""
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0xF7 if shared else 0x70, 0, 0), common]
    parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    for table, indices in reduced:
        for picture in indices:
            parts.append(b"\x21\xf9\x04\x04" + struct.pack("<H", milliseconds // 10) + b"\x00\x00")
            parts.append(b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0x00 if shared else 0x87))
            parts += [b"" if shared else table.tobytes(), _compressed(picture)]
    return b"".join([*parts, b"\x3b"])


def reduce_colours(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A palette (256 x 3) for uint8 frames (N x H x W x 3), and each pixel's place in it (N x H x W), both uint8.

    Pixels are told apart by the upper five bits of each channel.  The palette starts as an octree's and is moved by
    k-means.  All distances are whole numbers that float32 holds, so the result is the same on every machine.
    """
    pixels = frames.reshape(-1, 3)
    keys = [_cells(frame.reshape(-1, 3)) for frame in frames]
    counts = np.bincount(np.concatenate(keys), minlength=1 << 15)
    used = np.flatnonzero(counts)
    cells = np.stack([used >> 10, used >> 5 & 31, used & 31], axis=1).astype(np.float32) * 8 + 4
    step = max(1, len(pixels) // _SAMPLE) | 1  # an odd one does not run along columns
    sample = pixels[::step]
    palette = _octree(sample)
    for _ in range(_ROUNDS):
        palette = _means(palette, _nearest(cells, palette), cells, counts[used])
    places = np.zeros(1 << 15, dtype=np.uint8)
    places[used] = _nearest(cells, palette)
    table = _means(palette, places[_cells(sample)], sample, None)  # true colours, not the middles of cells
    indices = np.stack([places.take(found) for found in keys])
    return table.astype(np.uint8), indices.reshape(frames.shape[:3])


def _cells(pixels: np.ndarray) -> np.ndarray:
    """The upper five bits of each channel of pixels (M x 3) in one number."""
    high = (pixels >> 3).astype(np.uint16)
    return np.asarray(high[:, 0] << 10 | high[:, 1] << 5 | high[:, 2])


def _octree(pixels: np.ndarray) -> np.ndarray:
    """256 colours (float32, whole numbers) for pixels (M x 3); black where there are fewer."""
    from PIL import Image

    flat = Image.fromarray(np.ascontiguousarray(pixels[None]))
    found = flat.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).getpalette() or []
    table = np.zeros(3 * COLOURS, dtype=np.float32)
    table[: len(found)] = found[: len(table)]
    return table.reshape(-1, 3)


def _nearest(points: np.ndarray, palette: np.ndarray) -> Any:
    """The place of the nearest colour of each point.  A few points at a time: fresh large arrays cost page faults."""
    columns = np.vstack([palette.T, -0.5 * np.square(palette).sum(axis=1)])
    rows = np.hstack([points, np.ones_like(points[:, :1])])
    parts = [np.argmax(rows[start : start + _ROWS] @ columns, axis=1) for start in range(0, len(rows), _ROWS)]
    return np.concatenate(parts)


def _means(palette: np.ndarray, places: np.ndarray, points: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Each colour moved to the mean of its points, to whole numbers; colours without points stay."""
    total = np.bincount(places, weights, COLOURS)[:, None]
    ones = 1 if weights is None else weights
    sums = np.stack([np.bincount(places, ones * points[:, channel], COLOURS) for channel in range(3)], axis=1)
    return np.where(total > 0, np.rint(sums / np.maximum(total, 1)), palette).astype(np.float32)


def _compressed(picture: np.ndarray) -> bytes:
    """The image data of one frame (H x W places in a table of 256 colours)."""
    from PIL import Image

    return b"\x08" + Image.fromarray(picture).tobytes("gif", "L", 8, 0) + b"\x00"


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


def alike(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The frames (each H x W x 3, uint8), smaller ones amid the grey that makes all as large as the largest."""
    height, width = (max((frame.shape[side] for frame in frames), default=0) for side in (0, 1))
    found = []
    for frame in frames:
        canvas = frame
        if frame.shape[:2] != (height, width):
            canvas = np.full((height, width, 3), EMPTY, dtype=np.uint8)
            top, left = (height - frame.shape[0]) // 2, (width - frame.shape[1]) // 2
            canvas[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
        found.append(canvas)
    return found


def shrink(frame: np.ndarray, side: int) -> np.ndarray:
    """The frame (H x W x 3, uint8) with its longer side at most `side` pixels."""
    from PIL import Image

    height, width = frame.shape[:2]
    if max(height, width) <= side:
        return frame
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))


def mosaic(images: Sequence[np.ndarray], side: int, places: int = 0) -> np.ndarray:
    """All images (each H x W x 3, alike) in a grid at most `side` pixels wide and high; grey where there is none.

    places: the grid has room for at least as many.
    """
    places = max(places, len(images))
    columns = _columns(places)
    rows = -(-places // columns)
    tiles = [shrink(image, max(16, side // max(columns, rows))) for image in images]
    height, width = tiles[0].shape[:2]
    canvas = np.full((rows * height, columns * width, 3), EMPTY, dtype=np.uint8)
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
    from PIL import Image, ImageDraw

    band = 20
    height, width = frame.shape[:2]
    image = Image.new("RGB", (width, height + band), (24, 24, 24))
    image.paste(Image.fromarray(frame), (0, 0))
    ImageDraw.Draw(image).text((5, height + 2), text, fill="white", font=small_type())
    return np.asarray(image)


def small_type() -> Any:
    """The font of lines that are drawn into pictures."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size=14)
    except TypeError:  # Pillow before 10.1 has one size only
        return ImageFont.load_default()
