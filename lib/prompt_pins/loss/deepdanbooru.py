"""DeepDanbooru, as AUTOMATIC1111's WebUI keeps it: one `.pt` file of a residual network and its tags.

Nothing is fetched, and nothing of the file is run: it holds numbers and texts.  Imports torch and Pillow.  The network
is version 3's of https://github.com/KichangKim/DeepDanbooru; the file, with convolutions numbered in their order,
https://github.com/AUTOMATIC1111/TorchDeepDanbooru.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from prompt_pins.loss.objectives import named
from prompt_pins.loss.weights import unpickled

SIDE = 512
Convolution = tuple[Tensor, "Tensor | None"]
"""Weight and bias; the last has none."""


@functools.lru_cache(maxsize=1)
def load(path: Path, device: torch.device) -> DeepDanbooru:
    """The tagger of a file, kept.  Raises what torch raises, and `ValueError` where it is another network."""
    return DeepDanbooru(path, device)


class DeepDanbooru:
    """Images (B x H x W x 3, uint8) to {tag: probability}.  Float16 on CUDA, float32 else."""

    def __init__(self, path: Path, device: torch.device) -> None:
        held = unpickled(path)
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        self._layers: list[Convolution] = []
        while (name := f"n_Conv_{len(self._layers)}") + ".weight" in held:
            weight, bias = held[f"{name}.weight"].to(device, self._dtype), held.get(f"{name}.bias")
            self._layers.append((weight, None if bias is None else bias.to(device, self._dtype)))
        self._tags = [str(tag) for tag in held.get("tags", ())]
        told = self._width(-1) if self._layers else 0
        if told != len(self._tags) or not told:
            raise ValueError(f"it tells {told} tags, and names {len(self._tags)}")
        self._device = device

    def __call__(self, images: NDArray[np.uint8]) -> Sequence[Mapping[str, float]]:
        found = []
        for image in images:
            pixels = torch.from_numpy(square(image)).to(self._device, self._dtype) / 255.0
            with torch.inference_mode():
                found.append(named(self._tags, self.probabilities(pixels.permute(2, 0, 1)[None])[0].cpu().numpy()))
        return found

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Of each tag, from 1 x 3 x H x W in 0 to 1: 1 x tags, float32.

        A residual block is three convolutions, 1 x 1, 3 x 3, 1 x 1.  One that changes the size has a fourth, 1 x 1,
        on its way around, which stands before the three, or after them where the width stays.  Halving is padded at
        the right and below, as TensorFlow does it.
        """
        x = functional.relu(functional.conv2d(functional.pad(pixels, (2, 3, 2, 3)), *self._layers[0], stride=2))
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
        place, last = 1, len(self._layers) - 1
        while place < last:
            before = self._side(place + 1) == 1
            block = self._layers[place + before : place + before + 3]
            after = not before and place + 3 < last and self._width(place + 3) == x.shape[1]
            around = self._layers[place if before else place + 3] if before or after else None
            stride = 2 if around and place > 1 else 1
            y = functional.relu(functional.conv2d(x, *block[0]))
            y = functional.pad(y, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
            y = functional.conv2d(functional.relu(functional.conv2d(y, *block[1], stride=stride)), *block[2])
            x = functional.relu(y + (x if around is None else functional.conv2d(x, *around, stride=stride)))
            place += 3 + (around is not None)
        return torch.sigmoid(functional.conv2d(x, *self._layers[last]).mean(dim=(2, 3)).float())

    def _side(self, place: int) -> int:
        return int(self._layers[place][0].shape[-1])

    def _width(self, place: int) -> int:
        return len(self._layers[place][0])


def square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H x W x 3 in the middle of a square, scaled, its outermost pixels repeated to both sides."""
    height, width = image.shape[:2]
    wide, high = (SIDE, height * SIDE // width) if width > height else (width * SIDE // height, SIDE)
    scaled = np.asarray(Image.fromarray(image).resize((max(1, wide), max(1, high)), Image.Resampling.LANCZOS))
    rows, columns = (SIDE // 2 - size // 2 for size in scaled.shape[:2])
    ends = ((rows, SIDE - scaled.shape[0] - rows), (columns, SIDE - scaled.shape[1] - columns), (0, 0))
    return np.pad(scaled, ends, mode="edge")
