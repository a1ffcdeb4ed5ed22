"""ꟻLIP of single images: error maps for people to look at, and means of pairs.  Imports torch.

The palette comes from the optional package matplotlib.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray

from prompt_pins.errors import OptionError, TargetError
from prompt_pins.loss.images import Pixels
from prompt_pins.loss.ldrflip import flip, mean_errors
from prompt_pins.loss.objectives import NEUTRAL
from prompt_pins.loss.options import DEFAULT_PIXELS_PER_DEGREE
from prompt_pins.loss.targets import Target, compared


def error_map(
    image: Pixels, target: Target, pixels_per_degree: float = DEFAULT_PIXELS_PER_DEGREE
) -> NDArray[np.float32]:
    """ꟻLIP error of one H x W x 3 uint8 image against a fitted target, H x W in [0, 1].

    Multiplied by the target's mask, so its mean over the mask's mean is the pair's loss.  Raises TargetError
    where the sizes differ.
    """
    if image.shape != target.pixels.shape:
        raise TargetError(f"{target.name}: {target.pixels.shape}; allowed: the shape of the image, {image.shape}")
    sides = np.stack([target.pixels, image])
    mask = compared(target.mask, target.name)
    if mask is not None:
        sides[:, mask == 0] = NEUTRAL
    planes = torch.from_numpy(sides).permute(0, 3, 1, 2).float().div_(255.0)
    found: NDArray[np.float32] = flip(planes[:1], planes[1:], pixels_per_degree)[0, 0].numpy()
    return found if mask is None else found * (mask.astype(np.float32) / np.float32(255.0))


def error_map_image(errors: NDArray[np.float32]) -> Pixels:
    """H x W x 3 uint8 picture of an H x W error map in [0, 1], in the magma palette of the ꟻLIP paper.

    Raises OptionError where matplotlib is absent.
    """
    try:
        palettes = import_module("matplotlib").colormaps
    except ImportError as problem:
        raise OptionError("palette", "magma", "none, until its package is there: pip install matplotlib") from problem
    steps = np.rint(palettes["magma"](np.arange(256))[:, :3] * 255.0).astype(np.uint8)
    index = np.floor(np.clip(errors, 0.0, 1.0) * 255.0 + 0.5).astype(np.intp)
    return np.ascontiguousarray(steps[index])


def flip_pairs(
    left: NDArray[np.uint8], right: NDArray[np.uint8], pixels_per_degree: float = DEFAULT_PIXELS_PER_DEGREE
) -> NDArray[np.float64]:
    """(N,) mean ꟻLIP of each image with its counterpart; both N x H x W x 3 uint8 sRGB.

    Raises OptionError where the shapes differ.
    """
    if left.shape != right.shape:
        raise OptionError("right", right.shape, f"the shape of the left images, {left.shape}")
    found = []
    for pair in zip(left, right):
        planes = torch.from_numpy(np.stack(pair)).permute(0, 3, 1, 2)
        found.append(float(mean_errors(planes, [(0, 1)], pixels_per_degree)[0]))
    return np.array(found)
