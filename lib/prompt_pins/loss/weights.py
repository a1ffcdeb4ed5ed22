"""Weights of networks, from files of others: numbers only, never code.  Imports torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


def first(folder: Path, names: Iterable[str]) -> Path | None:
    """The first file of these names in a folder."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors`, or of a `.pt` or `.pth` that holds nothing else, by their names, on the CPU.

    Raises what safetensors and torch raise.
    """
    loaded: Any = load_file(path) if path.suffix == ".safetensors" else unpickled(path)
    loaded = loaded.get("state_dict", loaded)
    return {name.removeprefix("module."): value for name, value in loaded.items() if isinstance(value, Tensor)}


def unpickled(path: Path) -> Any:
    """What a `.pt` or `.pth` holds, on the CPU: numbers and texts, never code.  Raises what torch raises.

    In AUTOMATIC1111 torch.load is the WebUI's own (`modules/safe.py`): its second place is not torch's, and it gives
    None for what it does not trust.
    """
    loaded = torch.load(str(path), map_location="cpu", weights_only=True)
    if loaded is None:
        raise ValueError(f"the WebUI does not trust {path.name}; its console says why")
    return loaded


def fill(network: Any, weights: Mapping[str, Tensor]) -> Any:
    """A network with these weights, in its own precision; those that it lacks are left out.

    Raises `RuntimeError` for one that is missing, or of another shape.
    """
    told = network.load_state_dict(weights, strict=False)
    if missing := [name for name in told.missing_keys if not name.endswith("position_ids")]:
        raise RuntimeError(f"the file has no {missing[0]}")
    return network


def below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, without it."""
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def linear(weights: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of a stack of linear layers called `layers.0` and so on, in order, float32."""
    numbers = sorted(int(found[1]) for name in weights if (found := re.fullmatch(r"layers\.(\d+)\.weight", name)))
    return [(weights[f"layers.{n}.weight"].float(), weights[f"layers.{n}.bias"].float()) for n in numbers]


def layers(weights: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered layers there are below a name that ends with a dot."""
    return len({name.split(".", 1)[0] for name in below(weights, prefix)})


def side(positions: Tensor, patch: int) -> int:
    """Pixels of a side of the images that a transformer of vision sees: its positions are the patches and one more."""
    return math.isqrt(positions.shape[-2] - 1) * patch
