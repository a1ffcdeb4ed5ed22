"""Renames diffusers' and transformers' weights to the keys of a single file: Stable Diffusion 1.x, 2.x and SDXL base.

The names follow CompVis' and Stability's `openaimodel.UNetModel`, `AutoencoderKL`, `FrozenCLIPEmbedder` and OpenCLIP's
text transformer; diffusers' own single-file loader is the tests' oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
CLIP_PREFIX = "cond_stage_model.transformer.text_model."
OPEN_CLIP_PREFIX = "cond_stage_model.model."
XL_CLIP_PREFIX = "conditioner.embedders.0.transformer.text_model."
XL_OPEN_CLIP_PREFIX = "conditioner.embedders.1.model."
TOKENS = 77

UNET_FIXED = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP_ENDS = {
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
OPEN_CLIP_PARTS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}

Weights = dict[str, torch.Tensor]


def unet_blocks(unet: Any) -> dict[str, str]:
    """Module path in diffusers to module path in ldm, for every block of this UNet."""
    names, per_level = dict(UNET_FIXED), unet.config.layers_per_block
    for level in range(len(unet.down_blocks)):
        for layer in range(per_level):
            place = f"input_blocks.{1 + level * (per_level + 1) + layer}"
            names[f"down_blocks.{level}.resnets.{layer}"] = f"{place}.0"
            names[f"down_blocks.{level}.attentions.{layer}"] = f"{place}.1"
        names[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{(level + 1) * (per_level + 1)}.0.op"
    for level, block in enumerate(unet.up_blocks):
        for layer in range(per_level + 1):
            place = f"output_blocks.{level * (per_level + 1) + layer}"
            names[f"up_blocks.{level}.resnets.{layer}"] = f"{place}.0"
            names[f"up_blocks.{level}.attentions.{layer}"] = f"{place}.1"
        last = f"output_blocks.{level * (per_level + 1) + per_level}"
        names[f"up_blocks.{level}.upsamplers.0.conv"] = f"{last}.{2 if hasattr(block, 'attentions') else 1}.conv"
    return names


def vae_blocks(vae: Any) -> dict[str, str]:
    """Module path in diffusers to module path in ldm, for every block of this autoencoder."""
    levels = len(vae.encoder.down_blocks)
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for half in ("encoder", "decoder"):
        names |= {f"{half}.conv_in": f"{half}.conv_in", f"{half}.conv_out": f"{half}.conv_out"}
        names |= {f"{half}.conv_norm_out": f"{half}.norm_out"}
        names |= {f"{half}.mid_block.resnets.{i}": f"{half}.mid.block_{i + 1}" for i in range(2)}
        names[f"{half}.mid_block.attentions.0"] = f"{half}.mid.attn_1"
    for level, block in enumerate(vae.encoder.down_blocks):
        for layer in range(len(block.resnets)):
            names[f"encoder.down_blocks.{level}.resnets.{layer}"] = f"encoder.down.{level}.block.{layer}"
        names[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"encoder.down.{level}.downsample.conv"
    for level, block in enumerate(vae.decoder.up_blocks):
        mirrored = levels - 1 - level
        for layer in range(len(block.resnets)):
            names[f"decoder.up_blocks.{level}.resnets.{layer}"] = f"decoder.up.{mirrored}.block.{layer}"
        names[f"decoder.up_blocks.{level}.upsamplers.0.conv"] = f"decoder.up.{mirrored}.upsample.conv"
    return names


def renamed(weights: Weights, blocks: dict[str, str], inner: dict[str, str]) -> Weights:
    """Every key with its block's path replaced, and the first part of what remains looked up in `inner`."""
    result = {}
    for key, value in weights.items():
        block = max((b for b in blocks if key.startswith(f"{b}.")), key=len)
        rest = key[len(block) + 1 :]
        for old, new in inner.items():
            if rest.startswith(f"{old}."):
                rest = new + rest[len(old) :]
                break
        result[f"{blocks[block]}.{rest}"] = value
    return result


def ldm_weights(texts: Sequence[nn.Module], unet: nn.Module, vae: nn.Module) -> Weights:
    """A whole checkpoint under its keys, in the modules' own precision.

    texts: CLIP for 1.x; OpenCLIP for 2.x, as transformers has it without its last layer; both for SDXL.
    """
    checkpoint = {UNET_PREFIX + k: v for k, v in renamed(unet.state_dict(), unet_blocks(unet), UNET_RESNET).items()}
    inner = VAE_ATTENTION | {"conv_shortcut": "nin_shortcut"}
    for key, value in renamed(vae.state_dict(), vae_blocks(vae), inner).items():
        is_matrix = ".attn_1." in key and value.ndim == 2
        checkpoint[VAE_PREFIX + key] = value[:, :, None, None] if is_matrix else value
    if len(texts) == 2:
        return checkpoint | clip_weights(texts[0], XL_CLIP_PREFIX) | open_clip_weights(texts[1], XL_OPEN_CLIP_PREFIX)
    open_clip = texts[0].config.hidden_act == "gelu"
    return checkpoint | (open_clip_weights(texts[0]) if open_clip else clip_weights(texts[0]))


def clip_weights(text: nn.Module, prefix: str = CLIP_PREFIX) -> Weights:
    """Of OpenAI's CLIP."""
    found = {prefix + key: value for key, value in getattr(text, "text_model", text).state_dict().items()}
    return found | {f"{prefix}embeddings.position_ids": torch.arange(TOKENS)[None]}


def open_clip_weights(text: nn.Module, prefix: str = OPEN_CLIP_PREFIX) -> Weights:
    """Of OpenCLIP.  Without a projection of its own (2.x) the unread last layer is a copy of the one before it."""
    weights = getattr(text, "text_model", text).state_dict()
    layers = int(text.config.num_hidden_layers)
    found = {prefix + OPEN_CLIP_ENDS[key]: value for key, value in weights.items() if key in OPEN_CLIP_ENDS}
    projection = text.state_dict().get("text_projection.weight")
    for number in range(layers + (projection is None)):
        own = f"encoder.layers.{min(number, layers - 1)}."
        block = f"{prefix}transformer.resblocks.{number}."
        for kind in ("weight", "bias"):
            for old, new in OPEN_CLIP_PARTS.items():
                found[f"{block}{new}.{kind}"] = weights[f"{own}{old}.{kind}"]
            thirds = [weights[f"{own}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{block}attn.in_proj_{kind}"] = torch.cat(thirds)
    width = int(text.config.hidden_size)
    found[f"{prefix}text_projection"] = torch.eye(width) if projection is None else projection.T
    return found | {f"{prefix}logit_scale": torch.tensor(4.6)}
