"""ST-LPIPS with its AlexNet trunk.  Imports torch; the weights come from the optional package stlpips-pytorch.

Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022.  Only the weight file of that
package is used: its code asks for torchvision, torchsummary and IPython, which a host need not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import combinations_with_replacement
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from prompt_pins.errors import OptionError

MIN_SIDE = 32
_PACKAGE = "stlpips_pytorch"
_WEIGHTS = Path("weights", "vST0.0", "alex_shift_tolerant.pth")
_CONVOLUTIONS = ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")
_PADDINGS = (2, 2, 1, 1, 1)
_POOLED = (False, True, True, False, False)  # max pooling and a blurred halving come before the layer
_BYTES_PER_PIXEL = 4 * (64 / 4 + (192 + 384 + 256 + 256) / 16)  # float32 features of one image, per image pixel


def load_weights(device: torch.device) -> dict[str, Tensor]:
    """The network's parameters; OptionError where the package, or the file in it, is absent."""
    spec = find_spec(_PACKAGE)
    places = [Path(place) / _WEIGHTS for place in (spec.submodule_search_locations or ())] if spec else []
    found = [place for place in places if place.is_file()]
    if not found:
        raise OptionError(
            "loss_objectives", "st-lpips", "the others, until its weights are there: pip install stlpips-pytorch"
        )
    loaded: dict[str, Tensor] = torch.load(str(found[0]), map_location=device, weights_only=True)
    return loaded


def st_lpips(images: Tensor, pairs: Sequence[tuple[int, int]], memory: int) -> Tensor:
    """ST-LPIPS of P index pairs of N x 3 x H x W uint8 sRGB images: P float64 ≥ 0 on the CPU.

    `memory`: bytes for the features; what does not fit is computed block against block.  Raises OptionError
    for images with a side under 32 pixels.
    """
    height, width = images.shape[2:]
    if min(height, width) < MIN_SIDE:
        raise OptionError(
            "loss_objectives", "st-lpips", f"the others: it needs images of {MIN_SIDE} pixels a side or more"
        )
    weights = load_weights(images.device)
    held = max(2, int(memory / (_BYTES_PER_PIXEL * height * width)))
    size = max(1, held // 2) if len(images) > held else len(images)
    blocks = range(0, len(images), size)
    found = torch.zeros(len(pairs), dtype=torch.float64)
    with torch.no_grad():
        for first, second in combinations_with_replacement(blocks, 2):
            mine = [n for n, pair in enumerate(pairs) if _starts(pair, size) == (first, second)]
            if not mine:
                continue
            known = {n: _features(images[n : n + 1], weights) for n in {n for m in mine for n in pairs[m]}}
            for n in mine:
                left, right = pairs[n]
                found[n] = _distance(known[left], known[right], weights)
    return found


def _starts(pair: tuple[int, int], size: int) -> tuple[int, int]:
    """First image of the blocks of a pair, in order."""
    first, second = sorted(index // size * size for index in pair)
    return first, second


def _features(image: Tensor, weights: Mapping[str, Tensor]) -> list[Tensor]:
    """Unit-length feature maps of the five layers, 1 x C x h x w each."""
    h = (image.float() / 127.5 - 1.0 - weights["scaling_layer.shift"]) / weights["scaling_layer.scale"]
    found: list[Tensor] = []
    for name, padding, pooled in zip(_CONVOLUTIONS, _PADDINGS, _POOLED):
        if pooled:
            h = _halve(functional.max_pool2d(h, kernel_size=3, stride=1))
        h = functional.conv2d(h, weights[f"net.{name}.weight"], weights[f"net.{name}.bias"], padding=padding)
        if not found:
            h = _halve(h)
        h = functional.relu(h)
        found.append(h / (h.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
    return found


def _halve(h: Tensor) -> Tensor:
    """Every second pixel of the binomial 3 x 3 blur, after two pixels of reflection on each side."""
    line = torch.tensor([0.25, 0.5, 0.25], device=h.device)
    kernel = torch.outer(line, line).expand(h.shape[1], 1, 3, 3)
    return functional.conv2d(functional.pad(h, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=h.shape[1])


def _distance(left: Sequence[Tensor], right: Sequence[Tensor], weights: Mapping[str, Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64, device=left[0].device)
    for layer, (a, b) in enumerate(zip(left, right)):
        linear = weights[f"lin{layer}.model.1.weight"]
        total += functional.conv2d((a - b).square_(), linear).mean(dtype=torch.float64)
    return total
