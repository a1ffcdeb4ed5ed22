"""Images of a run: read from its folder, made small for pages.  Imports numpy and Pillow.

A picture that is missing or damaged is `None` or an empty text, never an error: runs may keep only some images.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..store.files import inside

THUMB = 176  # pixels of the longer side


def read_image(path: Path, side: int | None = None) -> np.ndarray | None:
    """uint8 RGB, H x W x 3; with `side`, shrunk to that longer side."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if side is not None:
                image.draft("RGB", (side, side))
            array = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if side is None:
        return array
    from .gif import shrink

    return shrink(array, side)


def read_images(folder: Path, names: Sequence[str], side: int | None = None) -> list[np.ndarray]:
    """Those of the images that can be read, in order, all of one size: payloads may have several."""
    from .gif import alike

    return alike([image for image in (read_image(folder / name, side) for name in names) if image is not None])


class Thumbs:
    """Small JPEG pictures as `data:` addresses, so that a page shows them wherever it is copied."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, str] = {}

    def get(self, name: str) -> str:
        """The picture at `name`, relative to the root, as a `data:` address; empty if it cannot be read."""
        if name not in self._known:
            image = read_image(inside(self.root, name), THUMB)
            if image is None:
                return ""
            self._known[name] = data_address(image)
        return self._known[name]

    def pictures(self, names: Sequence[str], alt: str, place: str = "") -> list[dict[str, str]]:
        """Pictures for the pages' templates, numbered from 1.  place: of the root, for links."""
        return [{"src": place + name, "thumb": self.get(name), "alt": f"{alt} {i}"} for i, name in enumerate(names, 1)]


def data_address(image: np.ndarray) -> str:
    """A uint8 RGB picture as a `data:` address of a JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
