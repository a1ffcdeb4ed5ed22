"""Stable Diffusion 1.x, 2.x and SDXL base: the published sizes of their networks, and small ones of the same build.

diffusers' and transformers' configurations, by part; torch is not needed here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

TOKENS = 49408
END = TOKENS - 1
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
UNET: dict[str, Any] = {
    "sample_size": 64,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
CLIP_L: dict[str, Any] = {
    "vocab_size": TOKENS,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "bos_token_id": END - 1,
    "eos_token_id": END,
    "pad_token_id": END,
    "projection_dim": 768,
}
CLIP_H = {
    **CLIP_L,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "pad_token_id": 0,
    "projection_dim": 1024,
}
"""Without the last of OpenCLIP's 24 layers, which 2.x does not read."""
CLIP_G = {
    **CLIP_H,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
XL_UNET: dict[str, Any] = {
    **UNET,
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """texts: of one text encoder, or of two.  prediction: as diffusers' schedulers call it."""

    name: str
    unet: dict[str, Any]
    vae: dict[str, Any]
    texts: tuple[dict[str, Any], ...]
    prediction: str = "epsilon"


FULL = {
    "sd1": Layout("sd1", UNET, VAE, (CLIP_L,)),
    "sd2": Layout(
        "sd2",
        {
            **UNET,
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
            "upcast_attention": True,
        },
        VAE,
        (CLIP_H,),
    ),
    "sdxl": Layout("sdxl", XL_UNET, {**VAE, "scaling_factor": 0.13025}, (CLIP_L, CLIP_G)),
}

WIDTH, HEADS, HEAD_WIDTH, LAYERS = 32, 4, 32, 3
"""Of the small networks: numbers of a text's vector, heads of 1.x, width of a head of the others, layers of a text
encoder."""


def _text(config: dict[str, Any], layers: int = LAYERS) -> dict[str, Any]:
    small = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "projection_dim": WIDTH}
    return {**config, **small, "num_hidden_layers": layers, "num_attention_heads": 1}


def _small(layout: Layout, sides: int) -> Layout:
    """sides: of the latents that it is made for."""
    levels = len(layout.unet["block_out_channels"])
    channels = (32,) * (levels - 2) + (64,) * 2
    unet = {
        **layout.unet,
        "sample_size": sides,
        "block_out_channels": channels,
        "layers_per_block": 1,
        "cross_attention_dim": WIDTH * len(layout.texts),
        "attention_head_dim": HEADS if layout.name == "sd1" else tuple(width // HEAD_WIDTH for width in channels),
    }
    if layout.name == "sdxl":
        unet["transformer_layers_per_block"] = (1, 1, 2)
        unet["projection_class_embeddings_input_dim"] = WIDTH + 6 * unet["addition_time_embed_dim"]
    vae = {**layout.vae, "block_out_channels": (32,) * 4, "layers_per_block": 1}
    texts = tuple(_text(config, LAYERS - (layout.name == "sd2")) for config in layout.texts)
    return Layout(layout.name, unet, vae, texts, "v_prediction" if layout.name == "sd2" else "epsilon")


TINY = {name: _small(layout, 128 if name == "sdxl" else 8) for name, layout in FULL.items()}
