"""Images drawn by code, for the tests of the loss.  Every one is H x W x 3 uint8 and depends on its seed alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def noise(height: int, width: int, seed: int) -> Pixels:
    """Independent random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo(height: int, width: int, seed: int) -> Pixels:
    """Something like a photograph: a sky, soft blobs, hard-edged things, grain."""
    rng = np.random.default_rng(seed)
    y, x = (
        np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j][:2]
        if min(height, width) > 1
        else np.mgrid[0:height, 0:width] * 1.0
    )
    picture = rng.random(3) * (1 - y[..., None]) + rng.random(3) * y[..., None]
    for _ in range(6):
        centre, size, colour = rng.random(2), rng.uniform(0.05, 0.4), rng.random(3)
        distance = np.hypot(y - centre[0], x - centre[1]) / size
        soft = np.exp(-(distance**2)) if rng.random() < 0.5 else (distance < 1).astype(float)
        picture = picture * (1 - soft[..., None]) + colour * soft[..., None]
    picture += rng.normal(0, 0.02, picture.shape)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def gradient(height: int, width: int, seed: int) -> Pixels:
    """A ramp between two random colours along a random direction."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.cos(turn) * x / width + np.sin(turn) * y / height
    ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-9)
    low, high = rng.integers(0, 256, (2, 3))
    return (low + (high - low) * ramp[..., None] + 0.5).astype(np.uint8)


def flat(height: int, width: int, colour: tuple[int, int, int]) -> Pixels:
    """One colour."""
    return np.full((height, width, 3), colour, np.uint8)


def dot(height: int, width: int, seed: int) -> Pixels:
    """One white pixel on black."""
    rng = np.random.default_rng(seed)
    picture = flat(height, width, (0, 0, 0))
    picture[rng.integers(height), rng.integers(width)] = 255
    return picture


def checks(height: int, width: int, seed: int) -> Pixels:
    """A chequerboard of two random colours, squares of 1 to 4 pixels."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(1, 5))
    y, x = np.mgrid[0:height, 0:width]
    pattern = (y // side + x // side) % 2
    return rng.integers(0, 256, (2, 3)).astype(np.uint8)[pattern]


PAIRS = {
    "noise": lambda h, w, s: (noise(h, w, s), noise(h, w, s + 1)),
    "photos": lambda h, w, s: (photo(h, w, s), photo(h, w, s + 1)),
    "photo and grain": lambda h, w, s: (photo(h, w, s), photo(h, w, s) // 2 + noise(h, w, s) // 2),
    "photo moved": lambda h, w, s: (photo(h, w, s), np.roll(photo(h, w, s), (1, 2), axis=(0, 1))),
    "photo a shade darker": lambda h, w, s: (photo(h, w, s), photo(h, w, s) - (photo(h, w, s) > 0)),
    "gradients": lambda h, w, s: (gradient(h, w, s), gradient(h, w, s + 1)),
    "single pixels": lambda h, w, s: (dot(h, w, s), dot(h, w, s + 1)),
    "pixel on black": lambda h, w, s: (flat(h, w, (0, 0, 0)), dot(h, w, s)),
    "black and white": lambda h, w, s: (flat(h, w, (0, 0, 0)), flat(h, w, (255, 255, 255))),
    "green and blue": lambda h, w, s: (flat(h, w, (0, 255, 0)), flat(h, w, (0, 0, 255))),
    "identical": lambda h, w, s: (photo(h, w, s), photo(h, w, s)),
    "checks": lambda h, w, s: (checks(h, w, s), checks(h, w, s + 1)),
    "checks and grey": lambda h, w, s: (checks(h, w, s), flat(h, w, (128, 128, 128))),
}
