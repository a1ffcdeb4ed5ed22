"""What does a picture show? Analysis by synthesis, with no learned part.

The background is the median colour of each row (an object never fills half a row), the object is where the
picture leaves it, and the shape is the one whose own rendering overlaps that mask best. Pictures are uint8,
128 x 128 x 3, sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from embedded_world import COLOURS, PALETTE, PLACES, SHAPES, SIZE, Scene, shape_distance

MIN_CONTRAST = 40.0
MIN_AREA = 60
EDGE = 8
_PALETTE_ARRAY = np.array([PALETTE[c] for c in COLOURS], dtype=np.float64)


@dataclass(frozen=True)
class Seen:
    """One object as seen; all empty strings where there is none. `overlap` is the shape's IoU, in [0, 1]."""

    colour: str = ""
    shape: str = ""
    place: str = ""
    overlap: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """Which of the caption's attributes the picture has."""

    colour: bool
    background: bool
    shape: bool
    place: bool


def nearest_colour(rgb: np.ndarray) -> str:
    """Name of the palette's colour nearest to `rgb` (0..255) in RGB."""
    return COLOURS[int(np.argmin(((_PALETTE_ARRAY - rgb) ** 2).sum(1)))]


def row_background(picture: np.ndarray, pair: bool) -> np.ndarray:
    """Background colour of each row, 128 x 3 in 0..255; for pairs from the picture's left and right edges only."""
    pixels = np.concatenate([picture[:, 1:EDGE], picture[:, -EDGE:-1]], axis=1) if pair else picture
    return np.median(pixels.astype(np.float64), axis=1)


def background_matches(rows: np.ndarray, scene: Scene) -> bool:
    """Whether the rows' colours are those of the scene's background, in its arrangement."""
    wanted = scene.background.colours
    if scene.background.kind == "plain":
        return nearest_colour(np.median(rows, axis=0)) == wanted[0]
    if scene.background.kind == "gradient":
        return (nearest_colour(rows[2:10].mean(0)), nearest_colour(rows[-10:-2].mean(0))) == wanted
    names = [nearest_colour(row) for row in rows]
    return all(names.count(c) > 0.25 * SIZE for c in wanted)


def object_mask(picture: np.ndarray, rows: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask (bool, 128 x 128) of what differs from the background inside `window`, and its median colour.

    The outermost two pixels are left out. A pixel belongs to the object where it is nearer to the object's
    colour than to its row's background.
    """
    pixels = picture.astype(np.float64)
    inner = window.copy()
    inner[:2], inner[-2:], inner[:, :2], inner[:, -2:] = False, False, False, False
    away = np.sqrt(((pixels - rows[:, None, :]) ** 2).sum(2)) * inner
    sure = away > max(MIN_CONTRAST, 0.6 * float(np.quantile(away, 0.995)))
    if sure.sum() < MIN_AREA // 2:
        return np.zeros_like(window), np.zeros(3)
    colour = np.median(pixels[sure], axis=0)
    to_object = np.sqrt(((pixels - colour) ** 2).sum(2))
    return without_specks((away > to_object) & inner), colour


def without_specks(mask: np.ndarray) -> np.ndarray:
    """Each pixel becomes what most of its 3 x 3 neighbourhood is."""
    padded = np.pad(mask.astype(np.int8), 1)
    height, width = mask.shape
    return sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3)) >= 5


@cache
def unit_shape(shape: str) -> tuple[float, float, float]:
    """Area and centroid (x, y) of the shape of radius 1 about the origin."""
    y, x = np.mgrid[-60:60, -60:60] + 0.5
    inside_y, inside_x = np.nonzero(shape_distance(shape, x, y, 40.0) < 0)
    return len(inside_x) / 1600.0, (inside_x.mean() - 59.5) / 40.0, (inside_y.mean() - 59.5) / 40.0


def largest_overlap(mask: np.ndarray, shape: str) -> float:
    """Best IoU between the mask and the shape at the mask's centroid, over radii and small shifts."""
    y, x = np.nonzero(mask)
    area, unit_x, unit_y = unit_shape(shape)
    top, left = max(0, y.min() - 4), max(0, x.min() - 4)
    part = mask[top : y.max() + 5, left : x.max() + 5]
    grid_y, grid_x = np.mgrid[0 : part.shape[0], 0 : part.shape[1]]
    grid_y, grid_x = grid_y - (y.mean() - top), grid_x - (x.mean() - left)
    best, full = 0.0, np.count_nonzero(mask)
    for radius in np.sqrt(full / area) * np.array([0.94, 1.0, 1.06]):
        for sy in (-1.2, 0.0, 1.2):
            for sx in (-1.2, 0.0, 1.2):
                drawn = shape_distance(shape, grid_x + unit_x * radius + sx, grid_y + unit_y * radius + sy, radius) < 0
                both = np.count_nonzero(part & drawn)
                best = max(best, both / (full + np.count_nonzero(drawn) - both))
    return best


def see(picture: np.ndarray, rows: np.ndarray, window: np.ndarray | None = None) -> Seen:
    """The object inside `window` (everywhere if None)."""
    mask, colour = object_mask(picture, rows, np.ones((SIZE, SIZE), bool) if window is None else window)
    if mask.sum() < MIN_AREA:
        return Seen()
    overlaps = {shape: largest_overlap(mask, shape) for shape in SHAPES}
    shape = max(overlaps, key=overlaps.__getitem__)
    y, x = np.nonzero(mask)
    middle = np.array([x.mean(), y.mean()])
    place = min(PLACES, key=lambda p: float(((np.array(PLACES[p]) - middle) ** 2).sum()))
    return Seen(nearest_colour(colour), shape, place, overlaps[shape])


def window_of(place: str) -> np.ndarray:
    """The half of the picture that `place` names; bool, 128 x 128."""
    window = np.zeros((SIZE, SIZE), bool)
    half = SIZE // 2
    halves = {"left": np.s_[:, :half], "right": np.s_[:, half:], "top": np.s_[:half], "bottom": np.s_[half:]}
    window[halves[place]] = True
    return window


def judge(picture: np.ndarray, scene: Scene) -> Verdict:
    """Compare the picture with the scene; of a pair, both things must be right, each in its own half."""
    pair = len(scene.things) == 2
    rows = row_background(picture, pair)
    seen = [see(picture, rows, window_of(t.place) if pair else None) for t in scene.things]
    return Verdict(
        colour=all(s.colour == t.colour for s, t in zip(seen, scene.things, strict=True)),
        background=background_matches(rows, scene),
        shape=all(s.shape == t.shape for s, t in zip(seen, scene.things, strict=True)),
        place=all(bool(s.shape) if pair else s.place == t.place for s, t in zip(seen, scene.things, strict=True)),
    )
