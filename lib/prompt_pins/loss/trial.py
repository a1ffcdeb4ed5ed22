"""A look at scorers before a run: some that are in use like noise better than pictures.  Imports torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prompt_pins.errors import OptionError
from prompt_pins.loss.options import LossOptions
from prompt_pins.loss.score import chosen_device
from prompt_pins.loss.scorers import SCORERS, scores

COARSE = 8


def tried(image: NDArray[np.uint8], options: LossOptions) -> None:
    """Ask the scorers of some options for a real image (H x W x 3), and for noise, grey and a blur of it.

    Raises `OptionError`, with the figures, for one that likes any of these as much.
    """
    own = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    rivals = {"noise": _noise(own), "grey": torch.full_like(own, 128), "the blur": _blur(own)}
    stack = torch.stack([own, *rivals.values()]).to(chosen_device(options.device))
    for name, _ in options.loss_objectives:
        if name not in SCORERS:
            continue
        best, *others = scores(name, stack, options).tolist()
        if max(others) >= best:
            told = ", ".join(f"{what} {value:.4g}" for what, value in zip(rivals, others))
            wanted = "a scorer that likes an image of the prompt more than noise, grey and a blur of it"
            raise OptionError("loss_objectives", name, f"{wanted} (it gave the image {best:.4g}, {told})")


def _noise(image: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, image.shape, generator=generator, dtype=torch.uint8)


def _blur(image: Tensor) -> Tensor:
    """Only what is as large as an eighth of a side is left: means of squares, drawn out again."""
    small = torch.nn.functional.interpolate(image[None].float(), size=(COARSE, COARSE), mode="area")
    wide = torch.nn.functional.interpolate(small, size=tuple(image.shape[1:]), mode="bicubic")
    return wide[0].clamp(0, 255).to(image.dtype)
