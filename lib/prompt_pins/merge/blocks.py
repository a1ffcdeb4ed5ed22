"""The blocks of a checkpoint, and the block that each of its weights belongs to.  Standard library only.

Names and order are those of block-weighted merging: BASE, the UNet's input blocks IN00 …, M00, its output blocks
OUT00 …: 26 for Stable Diffusion 1.x and 2.x, 20 for SDXL.  Outside the UNet's blocks, `time_embed` and `label_emb` go
with IN00 and `out` with the last output block; all else is BASE: text encoders and autoencoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

BASE, MIDDLE = "BASE", "M00"
UNET = "model.diffusion_model."
BLOCK = re.compile(r"BASE|M00|(?:IN|OUT)\d\d")
GROUPS: Mapping[str, str] = {"BASE": "BASE", "INPUT": "IN", "MIDDLE": "M", "OUTPUT": "OUT"}
"""What the names of a group's blocks begin with."""
_NUMBERED = re.compile(r"(input|output)_blocks\.(\d+)\.")


def block_names(keys: Iterable[str]) -> tuple[str, ...]:
    """All blocks of a checkpoint with these keys, in order: BASE alone where it has no UNet."""
    counts = {"input": 0, "output": 0}
    for key in keys:
        match = _NUMBERED.match(key, len(UNET)) if key.startswith(UNET) else None
        if match:
            counts[match[1]] = max(counts[match[1]], int(match[2]) + 1)
    if not any(counts.values()):
        return (BASE,)
    inputs, outputs = ([f"{name}{i:02d}" for i in range(counts[side])]
                       for name, side in (("IN", "input"), ("OUT", "output")))  # fmt: skip
    return (BASE, *inputs, MIDDLE, *outputs)


def block_of(key: str, names: Sequence[str]) -> str:
    """The block of a weight, by its key in the original layout.  names: all of the checkpoint's, in order."""
    if not key.startswith(UNET) or len(names) == 1:
        return BASE
    place = key.removeprefix(UNET)
    match = _NUMBERED.match(place)
    if match:
        return f"{'IN' if match[1] == 'input' else 'OUT'}{int(match[2]):02d}"
    if place.startswith("middle_block."):
        return MIDDLE
    return names[-1] if place.startswith("out.") else names[1]


def group_of(block: str) -> str:
    """The group of a block: BASE, INPUT, MIDDLE or OUTPUT."""
    return next(group for group, start in GROUPS.items() if block.startswith(start))


def as_list(weights: Mapping[str, float]) -> str:
    """`0.5,0.25,…`: what other mergers take, BASE first; in the order that the weights have."""
    return ",".join(f"{weight:g}" for weight in weights.values())


def weights_of(settings: Mapping[str, float]) -> dict[str, float]:
    """The block weights among a recipe's settings, in their order."""
    return {name: value for name, value in settings.items() if BLOCK.fullmatch(name)}
