"""The layers that a LoRA may change, under the names that files give them.

kohya's tools name a UNet's layers as diffusers does, or, for SDXL, as the original layout does; both are known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from .lora import TEXT, TEXT_2, UNET
from .towers import Tower

TEXT_1 = "lora_te_"
"""Of a model that has one text encoder."""
# inner names of a residual block, and layers outside the blocks
RESNET = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def layers_of(unet: Any, towers: Sequence[Tower]) -> dict[str, nn.Module]:
    """Every linear layer and convolution of a model by each of its names."""
    found = {}
    places = {**ENDS, **dict(block_places(unet))}
    for path, module in _changeable(unet):
        found[UNET + _word(path)] = module
        found[UNET + _word(_original(path, places))] = module
    prefixes = ((TEXT_1, TEXT),) if len(towers) == 1 else ((TEXT,), (TEXT_2,))
    for tower, names in zip(towers, prefixes, strict=True):
        for path, module in _changeable(tower.network):
            inner = path.removeprefix("text_model.")
            for prefix in names:
                found[prefix + _word(inner)] = found[f"{prefix}text_model_{_word(inner)}"] = module
    return found


def _changeable(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            yield path, module


def _word(path: str) -> str:
    return path.replace(".", "_")


def _original(path: str, places: dict[str, str]) -> str:
    """The original layout's name of a layer.  places: of the blocks, by diffusers' names."""
    if path in places:
        return places[path]
    for depth in range(path.count("."), 0, -1):
        block = ".".join(path.split(".")[:depth])
        if block in places:
            inner = path.removeprefix(f"{block}.")
            return f"{places[block]}.{RESNET.get(inner, inner) if 'resnets' in block else inner}"
    return path


def block_places(unet: Any) -> Iterator[tuple[str, str]]:
    """(diffusers' name, original name) of each block of a UNet, and of what is between the levels."""
    number = 0
    for level, block in enumerate(unet.down_blocks):
        for index in range(len(block.resnets)):
            number += 1
            yield f"down_blocks.{level}.resnets.{index}", f"input_blocks.{number}.0"
            yield f"down_blocks.{level}.attentions.{index}", f"input_blocks.{number}.1"
        if block.downsamplers:
            number += 1
            yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{number}.0.op"
    yield from ((f"mid_block.{name}", f"middle_block.{place}")
                for place, name in enumerate(("resnets.0", "attentions.0", "resnets.1")))  # fmt: skip
    number = -1
    for level, block in enumerate(unet.up_blocks):
        for index in range(len(block.resnets)):
            number += 1
            yield f"up_blocks.{level}.resnets.{index}", f"output_blocks.{number}.0"
            yield f"up_blocks.{level}.attentions.{index}", f"output_blocks.{number}.1"
        if block.upsamplers:
            yield f"up_blocks.{level}.upsamplers.0", f"output_blocks.{number}.{1 + hasattr(block, 'attentions')}"
