"""Targets: images to pin to, with their weights and masks, fitted to the size of the batch.

Imports numpy and Pillow.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prompt_pins.errors import OptionError, TargetError
from prompt_pins.loss.images import Pixels, Source, list_images, read_mask, read_rgb

FITS = ("crop", "pad", "stretch")
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Target:
    """One target: `pixels` H x W x 3 uint8 sRGB; `mask` H x W uint8 (255 = compare, 0 = never looked at) or
    None where everything is compared; `weight` above 0 against the other targets; `name` for messages."""

    pixels: Pixels
    mask: Pixels | None = None
    weight: float = 1.0
    name: str = "target"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])


def load_target(source: Source, mask: Source | None = None, weight: float = 1.0, name: str | None = None) -> Target:
    """One target from a file, its bytes, a Pillow image or an array; see `read_rgb` for how it is read.

    Raises TargetError for a file that cannot be used, OptionError for a weight that is not above 0.
    """
    label = name or (os.fspath(source) if isinstance(source, (str, os.PathLike)) else "target")
    if not isinstance(weight, (int, float)) or not 0.0 < weight <= 1e6:
        raise OptionError("target weight", weight, "a number above 0, up to 1000000")
    pixels = read_rgb(source, label)
    return Target(pixels, None if mask is None else _load_mask(mask), float(weight), label)


def load_targets(
    sources: Source | Iterable[Source], mask: Source | None = None, weights: Sequence[float] | None = None
) -> tuple[Target, ...]:
    """Targets from one source or several; a folder stands for its images by name.

    `weights`: one for each source (a folder's images share its weight as it is); `mask`: for all of them.
    Raises TargetError, or OptionError where the weights do not match the sources.
    """
    single = isinstance(sources, (str, os.PathLike, bytes, Image.Image, np.ndarray))
    entries: list[Source] = [sources] if single else list(sources)  # type: ignore[arg-type,list-item]
    if not entries:
        raise TargetError("targets: none given; allowed: one or more images or folders of images")
    shares = [1.0] * len(entries) if weights is None else list(weights)
    if len(shares) != len(entries):
        raise OptionError("target weights", shares, f"one for each of {len(entries)} targets")
    loaded: list[Target] = []
    for entry, weight in zip(entries, shares):
        folder = isinstance(entry, (str, os.PathLike)) and os.path.isdir(entry)
        for source in list_images(Path(entry)) if folder else [entry]:  # type: ignore[arg-type]
            loaded.append(load_target(source, mask, weight))
    return tuple(loaded)


def batch_targets(images: NDArray[np.uint8], mask: Source | None = None) -> tuple[Target, ...]:
    """A rendered batch, B x H x W x 3 uint8, as targets: what "pin to the first batch" means."""
    shared = None if mask is None else _load_mask(mask)
    return tuple(Target(read_rgb(image, f"image {n}"), shared, 1.0, f"image {n}") for n, image in enumerate(images))


def fit_targets(
    targets: Iterable[Target], size: tuple[int, int], fit: str = "crop", mask: Source | None = None
) -> tuple[Target, ...]:
    """Targets brought to (width, height), never dropped.

    crop      scaled to cover the frame, what sticks out is cut off evenly
    pad       scaled to fit inside; the empty bars are masked out, so they never count
    stretch   scaled along each side by itself
    A target's own mask goes the same way (a mask of another size is first stretched over its target).  `mask`
    applies to all, besides their own: to a target of its size as if it were that target's, else stretched over
    the frame of the batch.  Raises OptionError for another `fit`, TargetError where a mask leaves nothing to
    compare.
    """
    if fit not in FITS:
        raise OptionError("fit", fit, ", ".join(FITS))
    if mask is None:
        return tuple(_fit(target, size, fit, None) for target in targets)
    drawn = _load_mask(mask)
    frame = _resize(drawn, size, None, Image.Resampling.BILINEAR)
    return tuple(
        _fit(replace(target, mask=_over(target.mask, drawn)), size, fit, None)
        if drawn.shape == target.pixels.shape[:2] and target.size != size
        else _fit(target, size, fit, frame)
        for target in targets
    )


def compared(mask: Pixels | None, name: str) -> Pixels | None:
    """The mask, None if all of it is white; TargetError if all of it is black."""
    if mask is None or mask.min() == 255:
        return None
    if mask.max() == 0:
        raise TargetError(f"{name}: its mask is all black, so nothing is compared; allowed: a mask with some white")
    return mask


def _load_mask(source: Source) -> Pixels:
    label = f"mask {os.fspath(source)}" if isinstance(source, (str, os.PathLike)) else "mask"
    mask = read_mask(source, label)
    compared(mask, label)
    return mask


def _fit(target: Target, size: tuple[int, int], fit: str, shared: Pixels | None) -> Target:
    box, inner = _geometry(target.size, size, fit)
    pixels = _resize(target.pixels, inner, box, Image.Resampling.LANCZOS)
    mask = target.mask
    if mask is not None:
        if mask.shape != target.pixels.shape[:2]:
            mask = _resize(mask, target.size, None, Image.Resampling.BILINEAR)
        mask = _resize(mask, inner, box, Image.Resampling.BILINEAR)
    if inner != size:
        mask = _centre(np.full(pixels.shape[:2], 255, np.uint8) if mask is None else mask, size)
        pixels = _centre(pixels, size)
    if shared is not None:
        mask = _over(mask, shared)
    return replace(target, pixels=pixels, mask=compared(mask, target.name))


def _over(mask: Pixels | None, other: Pixels) -> Pixels:
    """Both masks at once: their product."""
    if mask is None:
        return other
    if mask.shape != other.shape:
        mask = _resize(mask, (other.shape[1], other.shape[0]), None, Image.Resampling.BILINEAR)
    return ((mask.astype(np.uint16) * other + 127) // 255).astype(np.uint8)


def _geometry(source: tuple[int, int], size: tuple[int, int], fit: str) -> tuple[Box | None, tuple[int, int]]:
    """(box of the source to use, size to scale it to)."""
    (width, height), (w, h) = source, size
    if fit == "stretch" or width * h == height * w:
        return None, size
    if fit == "pad":
        scale = min(w / width, h / height)
        return None, (min(w, max(1, round(width * scale))), min(h, max(1, round(height * scale))))
    scale = max(w / width, h / height)
    cut_w, cut_h = max(1, min(width, round(w / scale))), max(1, min(height, round(h / scale)))
    left, top = (width - cut_w) // 2, (height - cut_h) // 2
    return (left, top, left + cut_w, top + cut_h), size


def _resize(pixels: Pixels, size: tuple[int, int], box: Box | None, resample: Image.Resampling) -> Pixels:
    """Scaled part of an image, as an array; the same array where nothing changes."""
    if box is None and (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, resample, box=box))


def _centre(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """In the middle of a frame of zeros."""
    frame = np.zeros((size[1], size[0], *pixels.shape[2:]), np.uint8)
    top, left = (size[1] - pixels.shape[0]) // 2, (size[0] - pixels.shape[1]) // 2
    frame[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return frame
