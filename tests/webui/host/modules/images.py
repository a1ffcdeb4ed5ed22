"""Infotexts in image files."""

from __future__ import annotations

from typing import Any

from PIL import Image


def read_info_from_image(image: Image.Image) -> tuple[str | None, dict[str, Any]]:
    """(infotext, the rest)."""
    comment = image.getexif().get_ifd(0x8769).get(0x9286, b"")
    text = comment[8:].decode("utf-16-be") if comment.startswith(b"UNICODE\0") else image.info.get("parameters")
    return text, dict(image.info)


def flatten(image: Image.Image, colour: str) -> Image.Image:
    """RGB, with a colour where it was transparent."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, colour), image)
    return image.convert("RGB")
