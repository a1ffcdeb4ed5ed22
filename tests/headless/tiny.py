"""Small models of the three layouts, at random, made by the project's own tool."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from layouts import FULL, TINY, WIDTH
from ldm_keys import ldm_weights, unet_blocks
from tiny_checkpoints import Tiny, make, write_beside

__all__ = [
    "FULL",
    "LAYOUTS",
    "WIDTH",
    "Tiny",
    "ldm_weights",
    "make",
    "unet_blocks",
    "weights",
    "write_beside",
    "write_json",
]
LAYOUTS = tuple(TINY)


def weights(tiny: Tiny) -> dict[str, Tensor]:
    """In the original layout, in full precision."""
    return {key: value.clone().contiguous() for key, value in ldm_weights(tiny.texts, tiny.unet, tiny.vae).items()}


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
