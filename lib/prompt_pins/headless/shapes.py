"""What a network of a single file looks like, read off the names and shapes of its weights.

Only the number of attention heads leaves no trace in them.  Stable Diffusion's text encoders have heads of 64 numbers
(or one, of fewer); the UNet of 1.x has 8 heads, those of 2.x and SDXL have heads of 64.  A UNet that is not as wide as
theirs needs a yaml beside it that says how many it has.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CheckpointError

Shapes = Mapping[str, list[int]]
WIDE = 320
"""Channels of Stable Diffusion's own UNets on their first level."""
HEAD = 64
SIZES = 6
SIZE_WIDTH = 256
"""SDXL is told six sizes, each as so many numbers."""


def count(shapes: Shapes, pattern: str) -> int:
    """How many of the names pattern.format(0), pattern.format(1) … begin a weight's name."""
    return next(n for n in itertools.count() if not any(key.startswith(pattern.format(n)) for key in shapes))


def unet_config(shapes: Shapes, upcast: bool, heads: int = 0, head_width: int = 0) -> dict[str, Any]:
    """diffusers' configuration of a UNet in the original layout.

    shapes: by names without their prefix.  upcast: whether attention needs full precision (2.x does).
    heads, head_width: what a yaml says: so many on every level, or so wide.  Raises `CheckpointError`.
    """
    levels = list(_levels(shapes))
    channels = [width for width, _, _ in levels]
    depths = [depth for _, _, depth in levels]
    linear = any(key.endswith("1.proj_in.weight") and len(shape) == 2 for key, shape in shapes.items())
    if not (heads or head_width):
        if channels[0] != WIDE:
            raise CheckpointError(
                f"checkpoint: its UNet has {channels[0]} channels, where Stable Diffusion's own have {WIDE}; such "
                "a one needs the yaml beside it that says num_heads or num_head_channels"
            )
        heads, head_width = (0, HEAD) if linear else (8, 0)
    config: dict[str, Any] = {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)],
        "block_out_channels": channels,
        "layers_per_block": levels[0][1],
        "cross_attention_dim": shapes["middle_block.1.transformer_blocks.0.attn2.to_k.weight"][1],
        # of the middle where the lowest level has no attention of its own
        "transformer_layers_per_block": [
            *(depth or 1 for depth in depths[:-1]),
            depths[-1] or count(shapes, "middle_block.1.transformer_blocks.{}."),
        ],
        "attention_head_dim": [heads or max(1, width // head_width) for width in channels],  # diffusers' name of it
        "use_linear_projection": linear,
        "upcast_attention": upcast,
    }
    if "label_emb.0.0.weight" in shapes:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = SIZE_WIDTH
        config["projection_class_embeddings_input_dim"] = shapes["label_emb.0.0.weight"][1]
    return config


def _levels(shapes: Shapes) -> Iterator[tuple[int, int, int]]:
    """(channels, residual blocks, transformer blocks in each attention; 0 for none) of each level, the widest first."""
    width, blocks, depth = 0, 0, 0
    for number in range(1, count(shapes, "input_blocks.{}.")):
        place = f"input_blocks.{number}."
        if f"{place}0.op.weight" in shapes:
            yield width, blocks, depth
            blocks = 0
        else:
            width, blocks = shapes[f"{place}0.in_layers.2.weight"][0], blocks + 1
            depth = count(shapes, place + "1.transformer_blocks.{}.")
    yield width, blocks, depth


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """diffusers' configuration of an autoencoder in the original layout; names without their prefix."""
    levels = count(shapes, "encoder.down.{}.")
    return {
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": [shapes[f"encoder.down.{n}.block.0.conv1.weight"][0] for n in range(levels)],
        "layers_per_block": count(shapes, "encoder.down.0.block.{}."),
        "latent_channels": shapes["decoder.conv_in.weight"][1],
    }


def text_config(shapes: Shapes, act: str) -> dict[str, Any]:
    """transformers' configuration of a text encoder under transformers' names.  act: its activation."""
    tokens, width = shapes["embeddings.token_embedding.weight"]
    return {
        "vocab_size": tokens,
        "hidden_size": width,
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": count(shapes, "encoder.layers.{}."),
        "num_attention_heads": max(1, width // HEAD),
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "hidden_act": act,
        "bos_token_id": tokens - 2,
        "eos_token_id": tokens - 1,
        "pad_token_id": tokens - 1,
        "projection_dim": shapes.get("text_projection.weight", [width])[0],
    }
