"""LoRA files: low-rank changes of a model's layers.  Imports torch and safetensors.

Read are kohya's files, those of LyCORIS's LoCon (with and without the core of a Tucker decomposition), and diffusers'
in peft's spelling and in the one before it.  Other kinds are refused by their names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, reason

UNET, TEXT, TEXT_2 = "lora_unet_", "lora_te1_", "lora_te2_"
PARTS = {
    "lora_down.weight": "down", "lora_up.weight": "up", "lora_mid.weight": "mid", "alpha": "alpha",
    "lora_A.weight": "down", "lora_B.weight": "up",
    "lora.down.weight": "down", "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down", "lora_linear_layer.up.weight": "up",
}  # fmt: skip
"""What ends a key, behind its layer and a point."""
OLD = re.compile(r"\.processor\.(to_[qkv]|to_out)_lora\.")
PREFIXES = (("base_model.model.", ""), ("unet.", UNET), ("text_encoder_2.", TEXT_2), ("text_encoder.", TEXT))
UNET_PARTS = ("down_blocks.", "mid_block.", "up_blocks.", "time_embedding.", "add_embedding.", "conv_in.", "conv_out.")
KINDS = (
    ("hada_", "a LoHa"), ("lokr_", "a LoKr"), ("dora_scale", "a DoRA"), ("magnitude_vector", "a DoRA"),
    ("oft_", "an OFT"), ("on_input", "an IA3"), ("w_norm", "a norm"), ("bundle_emb", "one with textual inversions"),
    (".diff ", "one of full differences"), ("a1.", "a GLoRA"), ("a2.", "a GLoRA"),
)  # fmt: skip
"""What is said of a key that is none of those, by what it holds."""
KEYS = ("attn2_to_k", "attn2_to_v")
"""What ends the name of a layer that hears the prompt."""
SDXL = 2048
MODELS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", SDXL: "SDXL"}
"""Models by how many numbers their prompts' vectors have."""
ADAPTER = "lora_adapter_metadata"
"""Where diffusers keeps peft's configuration."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """What is added to one weight: scale x up @ down, at multiplier 1.

    down: rank x in (x kernel).  up: out x rank.  mid: the core of a Tucker decomposition, rank x rank x kernel.
    """

    up: Tensor
    down: Tensor
    mid: Tensor | None = None
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it is for."""
        kernel = self.down.shape[2:] if self.mid is None else self.mid.shape[2:]
        return (self.up.shape[0], self.down.shape[1], *kernel)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether it is for a weight of this shape; a 1 x 1 convolution is as good as a linear layer."""
        return self.shape[:2] == shape[:2] and math.prod(self.shape) == math.prod(shape)

    def change(self, weight: Tensor, rank: int | None = None) -> Tensor:
        """What it adds to a weight, at multiplier 1: float32, where the weight is.  rank: use no more than so many."""
        up, down = (part.to(weight.device, torch.float32).flatten(1) for part in (self.up, self.down))
        if self.mid is None:
            found = up[:, :rank] @ down[:rank]
        else:
            mid = self.mid.to(up)
            found = torch.einsum("nmkl,in,mj->ijkl", mid, up, down)
        return found.reshape(weight.shape) * self.scale


@dataclasses.dataclass(frozen=True, eq=False)
class Lora:
    """A file's changes, under kohya's names of the layers.

    name: as prompts name it.  sha256: of the file.  short: the WebUI's hash of it, 12 digits, for infotexts.
    """

    name: str
    path: Path
    layers: Mapping[str, Layer]
    sha256: str
    short: str

    @property
    def context(self) -> int | None:
        """How many numbers the vectors of a prompt have in the model that it is for; None: it does not tell."""
        keys = (layer.shape[1] for name, layer in self.layers.items() if name.startswith(UNET) and name.endswith(KEYS))
        return next(keys, SDXL if any(name.startswith(TEXT_2) for name in self.layers) else None)

    @property
    def speaks(self) -> bool:
        """Whether it changes text encoders, too."""
        return any(not name.startswith(UNET) for name in self.layers)


def model_of(context: int) -> str:
    """What a model is called in a message, by how many numbers its prompts' vectors have."""
    return MODELS.get(context, f"a model whose prompts' vectors have {context} numbers")


def metadata_of(path: Path) -> dict[str, str]:
    """What a file says of itself.  Raises `CheckpointError`."""
    if not os.path.isfile(path):  # opening a pipe would wait for its writer
        raise CheckpointError(f"loras: {path} is no file")
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"loras: {path} is damaged or is no safetensors file ({error})") from None


def load_lora(path: Path, name: str) -> Lora:
    """A file, to be called `name`.  Raises `CheckpointError`, which says what is wrong with it or what kind it is."""
    said = metadata_of(path)
    parts: dict[str, dict[str, Tensor]] = {}
    seen = set[tuple[str, str]]()
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - no mapping
                layer, part = _split(path, key)
                if (_kohya(layer), part) in seen:
                    raise CheckpointError(f"loras: {path} holds {key[:120]} a second time, in another spelling")
                seen.add((_kohya(layer), part))
                parts.setdefault(layer, {})[part] = file.get_tensor(key)
        sha256, short = _hashes(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"loras: {path} cannot be read ({reason(error)})") from None
    scaling = _Scaling(said)
    layers = {_kohya(layer): _layer(path, layer, found, scaling) for layer, found in parts.items()}
    if not layers:
        raise CheckpointError(f"loras: {path} holds no layers")
    return Lora(name, path, layers, sha256, (said.get("sshs_model_hash") or short)[:12])


def _split(path: Path, key: str) -> tuple[str, str]:
    """(layer, part) of a key."""
    plain = OLD.sub(lambda found: f".{found[1]}{'.0' if found[1] == 'to_out' else ''}.lora.", key)
    for end, part in PARTS.items():
        if plain.endswith(f".{end}"):
            return plain.removesuffix(f".{end}"), part
    kind = next((said for mark, said in KINDS if mark in f"{key} "), "of an unknown kind")
    raise CheckpointError(f"loras: {path} is {kind} (it holds {key[:120]}); known are LoRA and LoCon")


def _kohya(layer: str) -> str:
    """kohya's name of a layer: one word, and which network it is in."""
    for prefix, known in PREFIXES:
        if layer.startswith(prefix):
            layer = known + layer.removeprefix(prefix)
    return (UNET if layer.startswith(UNET_PARTS) else "") + layer.replace(".", "_")


def _layer(path: Path, name: str, parts: Mapping[str, Tensor], scaling: _Scaling) -> Layer:
    missing = [part for part in ("down", "up") if part not in parts]
    if missing:
        raise CheckpointError(f"loras: {path} holds no {missing[0]} for {name[:120]}")
    up, down, mid = parts["up"], parts["down"], parts.get("mid")
    if not _whole(up, down, mid):
        raise CheckpointError(f"loras: {path}, {name[:120]}: its shapes do not fit one another")
    alpha = parts.get("alpha")
    if alpha is not None and (alpha.numel() != 1 or alpha.is_complex()):
        raise CheckpointError(f"loras: {path}, {name[:120]}: its alpha is no number")
    scale = scaling(name, len(down)) if alpha is None else float(alpha) / len(down)
    # as float32, as not every precision of files can be asked
    finite = all(bool(torch.isfinite(part.float()).all()) for part in (up, down, mid) if part is not None)
    if not finite or not math.isfinite(scale):
        raise CheckpointError(f"loras: {path}, {name[:120]} holds numbers that are none (NaN or infinite)")
    return Layer(up, down, mid, scale)


def _whole(up: Tensor, down: Tensor, mid: Tensor | None) -> bool:
    """Whether a layer's parts are floating-point numbers that can be multiplied."""
    parts = [part for part in (up, down, mid) if part is not None]
    if not all(part.ndim >= 2 and part.numel() and part.is_floating_point() for part in parts):
        return False
    if mid is None:
        return up[0].numel() == len(down)
    return mid.ndim == 4 and tuple(mid.shape[:2]) == (up[0].numel(), len(down)) and down[0].numel() == down.shape[1]


class _Scaling:
    """The scale of a layer without an alpha of its own: 1, or what peft's configuration says."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        try:
            found = json.loads(metadata.get(ADAPTER, "{}"), parse_int=float)  # a whole number may be too large for one
        except (ValueError, RecursionError):
            found = {}
        self._said: Mapping[str, Any] = found if isinstance(found, dict) else {}

    def __call__(self, layer: str, rank: int) -> float:
        network, _, place = layer.partition(".")
        patterns = self._said.get(f"{network}.alpha_pattern")
        alpha = self._said.get(f"{network}.lora_alpha", rank)
        for pattern, own in patterns.items() if isinstance(patterns, dict) else ():
            if f".{place}".endswith(f".{pattern}"):
                alpha = own
        root = self._said.get(f"{network}.use_rslora") is True
        return float(alpha) / (math.sqrt(rank) if root else rank) if isinstance(alpha, (int, float)) else 1.0


def _hashes(path: Path) -> tuple[str, str]:
    """SHA-256 of a whole file, and of what is behind its header, as kohya's tools and the WebUI count it."""
    whole, data = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        start = file.read(8)
        header = file.read(int.from_bytes(start, "little"))
        whole.update(start + header)
        while block := file.read(1 << 20):
            whole.update(block)
            data.update(block)
    return whole.hexdigest(), data.hexdigest()
