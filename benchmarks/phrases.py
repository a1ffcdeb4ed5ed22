"""Tag lists of 40 words on the embedded model, for `analyze --vary auto`.  (work in progress)"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "star", "ring")
SIZES = ("small", "large")
PLACES = ("left", "right", "top", "bottom", "center")
GROUNDS = ("white", "black")
FILLERS = (
    "masterpiece", "best quality", "highly detailed", "sharp focus", "beautiful", "very simple drawing",
    "minimal design", "soft light", "trending on artstation", "professional", "digital art", "award winning",
    "clean lines", "8k wallpaper", "intricate", "studio lighting", "concept art", "smooth", "elegant composition",
    "vivid", "cinematic", "nice mood", "absurdres", "official art", "depth of field",
)  # fmt: skip
WORDS = 40


def lists(count: int) -> Iterator[str]:
    """The first `count` tag lists: three or four tags that say what is drawn among fillers, 40 words in all."""
    rng = np.random.default_rng(18)
    for _ in range(count):
        colour, shape, size, place, ground = (str(rng.choice(row)) for row in (COLOURS, SHAPES, SIZES, PLACES, GROUNDS))
        tags = [f"{size} {colour} {shape}", f"{ground} background", place]
        for filler in rng.permutation(FILLERS):
            left = WORDS - sum(len(tag.split()) for tag in tags)
            if len(str(filler).split()) <= left:
                tags.append(str(filler))
        yield ", ".join(str(tag) for tag in rng.permutation(tags))
