"""The WebUI's DeepDanbooru as an interrogator.  Imports the host's modules inside functions: a host may lack them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..host import Tagger
from ..loss.tagger import named

SIDE = 512
MISSING = (
    "the others: DeepDanbooru's weights are not in models/torch_deepdanbooru, where the WebUI fetches them when an "
    "image is interrogated with it in img2img, and no other tagger is in models/scorers/tagger"
)
"""What is said where tags are asked for and there is no interrogator."""


def find() -> Tagger | None:
    """DeepDanbooru, where the host has it and its weights lie in the models folder: nothing is ever downloaded."""
    try:
        deepbooru = importlib.import_module("modules.deepbooru")
        paths = importlib.import_module("modules.paths")
    except ImportError:
        return None
    if not any(Path(paths.models_path, "torch_deepdanbooru").glob("*.pt")):
        return None
    return lambda images: _tags(deepbooru.model, images)


def _tags(interrogator: Any, images: np.ndarray) -> Sequence[Mapping[str, float]]:
    """Every tag's probability for each image, named with underscores and with blanks."""
    interrogator.start()
    try:
        return [named(interrogator.model.tags, _probabilities(interrogator.model, image)) for image in images]
    finally:
        interrogator.stop()


def _probabilities(model: Any, image: np.ndarray) -> np.ndarray:
    import torch
    from modules.images import resize_image
    from PIL import Image

    pixels = np.asarray(resize_image(2, Image.fromarray(image), SIDE, SIDE), dtype=np.float32)[None] / 255
    weights = next(model.parameters())
    with torch.no_grad():
        answer = model(torch.from_numpy(pixels).to(weights.device, weights.dtype))[0]
    return answer.float().clamp(0.0, 1.0).cpu().numpy()
