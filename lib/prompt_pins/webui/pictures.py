"""Images of a run as the host's gallery shows them.  Imports Pillow."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ..errors import StoreError


def opened(path: Path) -> Image.Image:
    """An image that the host's gallery serves from the file where it is."""
    try:
        image = Image.open(path)
        image.load()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error})") from error
    image.already_saved_as = str(path)  # type: ignore[attr-defined]
    return image
