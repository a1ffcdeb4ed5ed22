"""Writes a merged checkpoint, one weight at a time, with what it was made of.  Imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from .blocks import as_list
from .sources import PRECISIONS, Sources

TYPES = {"fp16": "F16", "fp32": "F32"}  # as safetensors names them


def save_merged(path: Path, sources: Sources, weights: Mapping[str, float], precision: str, by: str) -> None:
    """weights: of every block.  precision: "fp16" or "fp32", of what is merged; the rest is as in A.  by: our version.

    Never more in memory than one weight of each checkpoint.
    """
    entries, end = {}, 0
    for key in sources.keys:
        kind, shape = sources.stored(key)
        tensor = sources.tensor(key)
        size = tensor.numel() * tensor.element_size()
        if key in sources.merges:
            kind, size = TYPES[precision], tensor.numel() * PRECISIONS[precision].itemsize
        entries[key] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    head = json.dumps({"__metadata__": metadata(sources, weights, precision, by), **entries}, ensure_ascii=False)
    raw = head.encode()
    raw += b" " * (-len(raw) % 8)
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little"))
        file.write(raw)
        for key in sources.keys:
            block = sources.merges.get(key)
            if block is None:
                file.write(_bytes(sources.tensor(key)))
            else:
                file.write(_bytes(sources.merge(key, weights[block], PRECISIONS[precision])))


def metadata(sources: Sources, weights: Mapping[str, float], precision: str, by: str) -> dict[str, str]:
    """The recipe as the WebUI's checkpoint merger writes it, and the block weights as other mergers take them."""
    hashes = sources.hashes
    a, b, c = (*hashes, None)[:3]
    unlike = set(weights.values())
    recipe = {
        "type": "prompt-pins",
        "primary_model_hash": a,
        "secondary_model_hash": b,
        "tertiary_model_hash": c,
        "interp_method": "Weighted sum" if c is None else "Add difference",
        "multiplier": unlike.pop() if len(unlike) == 1 else None,
        "block_weights": dict(weights),
        "save_as_half": precision == "fp16",
        "custom_name": "",
        "config_source": 0,
        "bake_in_vae": "None",
        "discard_weights": "",
        "is_inpainting": False,
        "is_instruct_pix2pix": False,
    }
    models: dict[str, object] = {}
    for place, (path, digest) in enumerate(zip(sources.paths, hashes)):
        own = sources.metadata(place)
        models |= {digest: {
            "name": path.name, "legacy_hash": _legacy(path), "sd_merge_recipe": _json(own.get("sd_merge_recipe")),
        }}  # fmt: skip
        earlier = _json(own.get("sd_merge_models"))
        models |= earlier if isinstance(earlier, dict) else {}
    return {
        "format": "pt",
        "sd_merge_recipe": json.dumps(recipe),
        "sd_merge_models": json.dumps(models),
        "prompt_pins": by,
        "block_weights": as_list(weights),
    }


def _json(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _legacy(path: Path) -> str:
    """The WebUI's short hash of old: of 64 KiB, 1 MiB into the file."""
    with path.open("rb") as file:
        file.seek(2**20)
        return hashlib.sha256(file.read(2**16)).hexdigest()[:8]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
