"""CLIP models from folders: images and texts as vectors.  Imports torch, numpy and Pillow.

Nothing is fetched: a folder holds `config.json` and `model.safetensors` as transformers saves them, or a file in
OpenCLIP's layout, and the tokenizer's files; it may hold `preprocessor_config.json`.  The library transformers is
imported when a model is asked for.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from prompt_pins.loss import open_clip
from prompt_pins.loss.weights import first

CHUNK = 32
"""Images that the model sees at once."""
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own training images, where a folder does not say."""
MOST_TOKENS = 77


class Clip:
    """One model on one device; half precision on CUDA."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import AutoTokenizer, CLIPModel

        dtype = torch.float16 if device.type == "cuda" else torch.float32
        model: Any
        if (own := first(folder, open_clip.FILES)) is not None:
            model = open_clip.model(own)
        else:
            model = CLIPModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
        self._model, self._device, self._dtype = model.to(device, dtype).eval(), device, dtype
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        self.side = int(model.config.vision_config.image_size)
        self.width = int(model.config.projection_dim)
        values = _read(folder / "preprocessor_config.json")
        self._mean, self._std = (
            colours(values.get(name, standard), device) for name, standard in (("image_mean", MEAN), ("image_std", STD))
        )

    def images(self, images: Tensor, whole: bool = False) -> Tensor:
        """N x 3 x H x W uint8 sRGB to N x D float32 on the CPU, each of length 1.  whole: as `processed` has it."""
        rows = []
        for chunk in processed(images, self.side, self._mean, self._std, whole):
            with torch.inference_mode():
                pooled = self._model.vision_model(pixel_values=chunk.to(self._dtype)).pooler_output
                rows.append(_unit(self._model.visual_projection(pooled)))
        return torch.cat(rows)

    def text(self, text: str) -> Tensor:
        """A text, its first 75 tokens, as D float32 on the CPU, of length 1."""
        tokens = self._tokenizer(text, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            pooled = self._model.text_model(input_ids=tokens["input_ids"].to(self._device)).pooler_output
            return _unit(self._model.text_projection(pooled))[0]


@functools.lru_cache(maxsize=3)  # of all scorers that have a CLIP of their own: a run may ask each of every batch
def load(folder: Path, device: torch.device) -> Clip:
    """The model of a folder, kept.  Raises what transformers raises."""
    return Clip(folder, device)


@functools.lru_cache(maxsize=8)
def text_vector(folder: Path, device: torch.device, text: str) -> Tensor:
    """`Clip.text`, kept."""
    return load(folder, device).text(text)


def colours(values: Sequence[float], device: torch.device) -> Tensor:
    """Three numbers, of red, green and blue, as float32, 3 x 1 x 1."""
    return torch.tensor(values, device=device, dtype=torch.float32).view(3, 1, 1)


def processed(images: Tensor, side: int, mean: Tensor, std: Tensor, whole: bool = False) -> Iterator[Tensor]:
    """Images (N x 3 x H x W, uint8 sRGB) as CLIP's own processor gives them to a model, `CHUNK` at a time.

    mean, std: as `colours` has them, on the device of the answers, n x 3 x side x side, float32.
    whole: not the middle square of an image, but all of it between black bars (`barred`).
    """
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK].cpu()
        if whole:
            pixels = barred(chunk, side)
        else:
            cut = torch.from_numpy(squares(chunk.permute(0, 2, 3, 1).numpy(), side))
            pixels = cut.permute(0, 3, 1, 2).float() / 255.0
        yield (pixels.to(mean.device) - mean) / std


def barred(images: Tensor, side: int) -> Tensor:
    """Images (N x 3 x H x W, uint8) with the longer side scaled to `side`, in the middle of a black square.

    N x 3 x side x side float32, about 0 to 1: bicubic overshoots stay.  As OpenCLIP's `ResizeMaxSize` does to tensors.
    """
    height, width = images.shape[2:]
    size = [max(1, round(part * (side / max(height, width)))) for part in (height, width)]
    top, left = ((side - part) // 2 for part in size)
    found = torch.zeros(len(images), 3, side, side)
    for place, image in zip(found, images, strict=True):
        scaled = torch.nn.functional.interpolate(image[None].float() / 255.0, size, mode="bicubic", antialias=True)
        place[:, top : top + size[0], left : left + size[1]] = scaled[0]
    return found


def squares(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle of images (N x H x W x 3), the shorter side scaled to `side` bicubically, as CLIP's own processor."""
    height, width = images.shape[1:3]
    short = min(height, width)
    size = (int(side * width / short), int(side * height / short))
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    found = []
    for image in images:
        scaled = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        found.append(np.asarray(scaled.crop((left, top, left + side, top + side))))
    return np.stack(found)


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors.float().cpu(), dim=-1)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; {} where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
