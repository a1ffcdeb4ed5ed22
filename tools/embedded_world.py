"""The picture world of the embedded model: scenes, their pictures and their captions.

Imports only numpy and the standard library. A `Scene` is plain data; `render` turns it into an
anti-aliased 128x128 sRGB picture by signed distance functions (Inigo Quilez, "2D distance functions"),
`sample_scene` draws a random one and `caption` describes one in words, leaving attributes out at random.
All randomness comes in as a `numpy.random.Generator`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE = 128

SHAPES = ("circle", "square", "triangle", "star", "ring")

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (220, 35, 40),
    "orange": (250, 140, 20),
    "yellow": (245, 225, 50),
    "green": (35, 160, 65),
    "blue": (40, 75, 220),
    "purple": (145, 45, 175),
    "white": (245, 245, 245),
    "black": (18, 18, 18),
}
COLOURS = tuple(PALETTE)

PLACES: dict[str, tuple[float, float]] = {
    "left": (38.0, 64.0),
    "right": (90.0, 64.0),
    "top": (64.0, 38.0),
    "bottom": (64.0, 90.0),
    "center": (64.0, 64.0),
}

RADII: dict[str, tuple[float, float]] = {"small": (14.0, 18.0), "medium": (19.0, 26.0), "large": (28.0, 34.0)}
PAIR_RADII: dict[str, tuple[float, float]] = {"small": (13.0, 17.0), "medium": (18.0, 21.0), "large": (22.0, 25.0)}

BACKGROUNDS = ("plain", "striped", "gradient")
STRIPE_PERIOD = 32.0
COLOUR_JITTER = 8
PLACE_JITTER = 4.0

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Thing:
    """One object: `x`, `y` its centre and `radius` its circumradius, in pixels; `rgb` its true colour, 0..255."""

    shape: str
    colour: str
    size: str
    place: str
    rgb: Rgb
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Background:
    """What lies behind. `plain` uses one colour, `striped` and `gradient` two; `phase` in [0, 1) moves the stripes."""

    kind: str
    colours: tuple[str, ...]
    rgbs: tuple[Rgb, ...]
    phase: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One or two things, which never overlap, on a background."""

    things: tuple[Thing, ...]
    background: Background


def shape_distance(shape: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance in pixels (negative inside) of points (x, y) relative to the centre, y pointing down."""
    if shape == "circle":
        return np.hypot(x, y) - 0.92 * radius
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.76 * radius) - 0.24 * radius
    if shape == "square":
        dx, dy = np.abs(x) - 0.82 * radius, np.abs(y) - 0.82 * radius
        return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0)
    if shape == "triangle":
        side = np.sqrt(0.75) * np.abs(x) - 0.5 * (y + 0.15 * radius)
        return np.maximum(side, y + 0.15 * radius) - 0.5 * 1.08 * radius
    if shape == "star":
        return _star_distance(x, y, 1.12 * radius, 0.45)
    raise ValueError(f"shape {shape!r}: expected one of {', '.join(SHAPES)}")


def _star_distance(x: np.ndarray, y: np.ndarray, radius: float, inner: float) -> np.ndarray:
    """Five-pointed star, one point up; `inner` is the inner radius relative to the outer one."""
    k1x, k1y = 0.809016994375, -0.587785252292
    px, py = np.abs(x), -y
    for kx in (k1x, -k1x):
        fold = 2.0 * np.maximum(kx * px + k1y * py, 0.0)
        px, py = px - fold * kx, py - fold * k1y
    px, py = np.abs(px), py - radius
    bx, by = inner * -k1y, inner * k1x - 1.0
    along = np.clip((px * bx + py * by) / (bx * bx + by * by), 0.0, radius)
    return np.hypot(px - bx * along, py - by * along) * np.sign(py * bx - px * by)


def coverage(thing: Thing, size: int = SIZE) -> np.ndarray:
    """How much of each pixel the thing covers: float array, size x size, in [0, 1]."""
    y, x = np.mgrid[0:size, 0:size] + 0.5
    return np.clip(0.5 - shape_distance(thing.shape, x - thing.x, y - thing.y, thing.radius), 0.0, 1.0)


def draw_background(background: Background, size: int = SIZE) -> np.ndarray:
    """Float picture size x size x 3 in 0..255."""
    rgbs = np.asarray(background.rgbs, dtype=np.float64)
    if background.kind == "plain":
        return np.broadcast_to(rgbs[0], (size, size, 3)).copy()
    rows = np.arange(size) + 0.5
    if background.kind == "gradient":
        mix = rows / size
    elif background.kind == "striped":
        saw = np.abs((rows / STRIPE_PERIOD + background.phase) % 1.0 - 0.5)
        mix = np.clip((saw - 0.25) * STRIPE_PERIOD + 0.5, 0.0, 1.0)
    else:
        raise ValueError(f"background {background.kind!r}: expected one of {', '.join(BACKGROUNDS)}")
    column = rgbs[0] * (1.0 - mix[:, None]) + rgbs[1] * mix[:, None]
    return np.repeat(column[:, None, :], size, axis=1)


def render(scene: Scene, size: int = SIZE) -> np.ndarray:
    """Picture of the scene: uint8, size x size x 3, sRGB, edges anti-aliased over one pixel."""
    picture = draw_background(scene.background, size)
    for thing in scene.things:
        cover = coverage(thing, size)[:, :, None]
        picture = picture * (1.0 - cover) + np.asarray(thing.rgb, dtype=np.float64) * cover
    return np.rint(picture).astype(np.uint8)


def jittered(colour: str, rng: np.random.Generator) -> Rgb:
    """The palette's colour, each channel moved by up to `COLOUR_JITTER`."""
    moved = np.asarray(PALETTE[colour]) + rng.integers(-COLOUR_JITTER, COLOUR_JITTER + 1, 3)
    return tuple(int(v) for v in np.clip(moved, 0, 255))


def sample_background(rng: np.random.Generator, colours: tuple[str, ...] = COLOURS) -> Background:
    """Plain six times in ten, striped or gradient else; colours drawn from `colours` without repeats."""
    kind = str(rng.choice(BACKGROUNDS, p=(0.6, 0.2, 0.2)))
    names = tuple(str(c) for c in rng.choice(colours, 1 if kind == "plain" else 2, replace=False))
    return Background(kind, names, tuple(jittered(c, rng) for c in names), float(rng.random()))


def make_thing(shape: str, colour: str, size: str, place: str, rng: np.random.Generator, radii: dict = RADII) -> Thing:
    """A thing of these attributes with its free details (exact colour, place and radius) drawn from `rng`."""
    dx, dy = rng.uniform(-PLACE_JITTER, PLACE_JITTER, 2)
    x, y = PLACES[place]
    radius = float(rng.uniform(*radii[size]))
    return Thing(shape, colour, size, place, jittered(colour, rng), float(x + dx), float(y + dy), radius)


def sample_scene(rng: np.random.Generator, pair_chance: float = 0.3) -> Scene:
    """A random scene: one thing, or with `pair_chance` two side by side; no colour is used twice."""
    pair = rng.random() < pair_chance
    background = sample_background(rng)
    free = [c for c in COLOURS if c not in background.colours]
    colours = [str(c) for c in rng.choice(free, 2, replace=False)]
    sizes = [str(s) for s in rng.choice(tuple(RADII), 2)]
    shapes = [str(s) for s in rng.choice(SHAPES, 2)]
    if not pair:
        place = str(rng.choice(tuple(PLACES)))
        return Scene((make_thing(shapes[0], colours[0], sizes[0], place, rng),), background)
    places = ("left", "right") if rng.random() < 0.7 else ("top", "bottom")
    things = tuple(make_thing(*each, rng, PAIR_RADII) for each in zip(shapes, colours, sizes, places, strict=True))
    return Scene(things, background)
