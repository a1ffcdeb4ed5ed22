"""Distance of the colours of two images, wherever in the image they are.  Imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_DIRECTIONS = 16
_BINS = 256
_LOW, _HIGH = -1.25, 1.25  # every OKLab colour of sRGB, projected on any direction, lies inside

# Ottosson, "A perceptual color space for image processing", 2020: linear sRGB to cone responses to OKLab.
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def palette_distances(images: Tensor, pairs: Sequence[tuple[int, int]], mask: Tensor | None = None) -> Tensor:
    """Sliced Wasserstein-1 distance of the pixels' colours in OKLab: P float64 ≥ 0 on the CPU.

    `images`: N x 3 x H x W uint8 sRGB; `mask`: H x W weights in [0, 1] or None.  The distance is the mean, over
    16 fixed directions of colour space, of how far the colours of one image must move along it to become those
    of the other.  A shift of every colour by d costs the mean of |d·u|; moving pixels about costs nothing.
    """
    curves = torch.stack([_cumulative(image, mask) for image in images])
    left, right = (list(side) for side in zip(*pairs))
    width = (_HIGH - _LOW) / (_BINS - 1)
    return ((curves[left] - curves[right]).abs().sum(dim=2).mean(dim=1) * width).cpu()


def oklab(rgb: Tensor) -> Tensor:
    """3 x n OKLab (L in [0, 1]) of 3 x n sRGB in [0, 1]."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = _mix(_CONES, linear) ** (1 / 3)
    return _mix(_OKLAB, cones)


def _mix(matrix: Sequence[Sequence[float]], planes: Tensor) -> Tensor:
    return torch.stack([sum(plane * weight for plane, weight in zip(planes, row)) for row in matrix])


def _directions() -> list[tuple[float, float, float]]:
    """Points spread evenly over the half sphere (a Fibonacci lattice)."""
    found = []
    for n in range(_DIRECTIONS):
        up = (n + 0.5) / _DIRECTIONS
        turn = n * math.pi * (3.0 - math.sqrt(5.0))
        across = math.sqrt(1.0 - up * up)
        found.append((up, across * math.cos(turn), across * math.sin(turn)))
    return found


def _cumulative(image: Tensor, mask: Tensor | None) -> Tensor:
    """Cumulative share of the pixels along every direction, directions x bins float64.

    A pixel's share is split between its two nearest bins, so that small shifts are not lost.
    """
    colours = oklab(image.flatten(1).float() / 255.0)
    weight = torch.ones_like(colours[0]) if mask is None else mask.flatten()
    weight = weight.double() / weight.sum(dtype=torch.float64)
    found = []
    for direction in _directions():
        place = (_mix((direction,), colours)[0].double() - _LOW) * ((_BINS - 1) / (_HIGH - _LOW))
        below = place.long()
        upper = (place - below) * weight
        counts = torch.bincount(below, weight - upper, _BINS) + torch.bincount(below + 1, upper, _BINS)
        found.append(counts.cumsum(0))
    return torch.stack(found)
