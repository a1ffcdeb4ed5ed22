"""SSIM and MS-SSIM as losses.  Imports torch; the measures come from the optional package pytorch-msssim."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from prompt_pins.errors import OptionError

_WINDOW = 11
MIN_SIDE = {"ssim": _WINDOW, "ms-ssim": (_WINDOW - 1) * 16 + 1}
_COPIES = 16  # float32 copies of a pair of images that the measures hold at once, about


def structural_losses(name: str, images: Tensor, pairs: Sequence[tuple[int, int]], memory: int) -> Tensor:
    """1 - SSIM or 1 - MS-SSIM (`name` "ssim" or "ms-ssim") of P index pairs: P float64 in [0, 1] on the CPU.

    `images`: N x 3 x H x W uint8; `memory`: bytes that a chunk of pairs may take.  Raises OptionError where
    the package is absent or the images are too small for the measure.
    """
    module = _module(name)
    height, width = images.shape[2:]
    if min(height, width) < MIN_SIDE[name]:
        allowed = f"the others: it needs images of {MIN_SIDE[name]} pixels a side or more"
        raise OptionError("loss_objectives", name, allowed)
    step = max(1, memory // (_COPIES * 4 * 3 * height * width))
    found = torch.empty(len(pairs), dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, len(pairs), step):
            left, right = (list(side) for side in zip(*pairs[start : start + step]))
            sides = images[left].float(), images[right].float()
            if name == "ssim":
                values = module.ssim(*sides, data_range=255, size_average=False, nonnegative_ssim=True)
            else:
                values = module.ms_ssim(*sides, data_range=255, size_average=False)
            found[start : start + len(left)] = (1.0 - values.double()).clamp_(0.0, 1.0).cpu()
    return found


def _module(name: str) -> Any:
    try:
        return import_module("pytorch_msssim")
    except ImportError as problem:
        allowed = "the others, until its package is there: pip install pytorch-msssim"
        raise OptionError("loss_objectives", name, allowed) from problem
