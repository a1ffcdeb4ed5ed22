"""Mean ꟻLIP of very many pairs: each image's features are kept at some of its pixels only.  Imports torch.

The features of a pixel are ꟻLIP's own, filtered over the whole image in full resolution; what is left out is only the
averaging over the other pixels.  So a pair costs `side`² pixels, whatever the size of the images.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prompt_pins.loss.csf import filters
from prompt_pins.loss.ldrflip import error, strip_features
from prompt_pins.loss.options import DEFAULT_PIXELS_PER_DEGREE, check_pixels_per_degree

SIDE = 32
"""Pixels along an image's longer side at which its features are kept, at most."""


def grid_features(
    images: NDArray[np.uint8], pixels_per_degree: float = DEFAULT_PIXELS_PER_DEGREE, side: int = SIDE
) -> NDArray[np.float32]:
    """(5, N, p) features of N x H x W x 3 uint8 sRGB images at p pixels of a regular grid, in the same order for all.

    With `side` at least H and W these are all pixels, and means over them are ꟻLIP's own.
    """
    kernels = filters(check_pixels_per_degree(pixels_per_degree))
    height, width = images.shape[1:3]
    step = max(1, math.ceil(max(height, width) / side))
    rows, columns = (range(min(step, size) // 2, size, step) for size in (height, width))
    found = []
    with torch.no_grad():
        for image in images:
            planes = torch.from_numpy(image[None].copy()).permute(0, 3, 1, 2)
            features = strip_features(planes, 0, height, kernels)
            found.append(features[:, :, rows.start :: step, columns.start :: step].flatten(2))
    return torch.cat(found, dim=1).numpy()


def grid_distances(
    features: NDArray[np.float32], tell: Callable[[int], None] = lambda done: None
) -> NDArray[np.float32]:
    """(N (N - 1) / 2,) mean errors of all pairs i < j of (5, N, p) features, pairs (0, 1), (0, 2) and so on; 0 to 1.

    tell: called with the number of images that are compared with all later ones.
    """
    planes = torch.from_numpy(features)
    count = planes.shape[1]
    found: list[Tensor] = []
    with torch.no_grad():
        for i in range(count - 1):
            errors = error(planes[:, i : i + 1], planes[:, i + 1 :])
            found.append(errors.mean(dim=1, dtype=torch.float64).float())
            tell(i + 1)
    return torch.cat(found).numpy() if found else np.zeros(0, np.float32)
