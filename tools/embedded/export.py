"""Export: rename diffusers' weights to the original Stable Diffusion 1.x keys and write one fp16 safetensors file.

The names follow CompVis' `openaimodel.UNetModel`, `ldm.models.autoencoder.AutoencoderKL` and
`ldm.modules.encoders.modules.FrozenCLIPEmbedder`; diffusers' own single-file loader is the test's oracle.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn

from embedded.networks import TOKENS

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer.text_model."
LIMIT_BYTES = 14_000_000

UNET_FIXED = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
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

Weights = dict[str, torch.Tensor]


def unet_blocks(unet: UNet2DConditionModel) -> dict[str, str]:
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


def vae_blocks(vae: AutoencoderKL) -> dict[str, str]:
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


def ldm_weights(text: nn.Module, unet: UNet2DConditionModel, vae: AutoencoderKL) -> Weights:
    """The whole checkpoint under its ldm keys, in the modules' own precision."""
    checkpoint = {UNET_PREFIX + k: v for k, v in renamed(unet.state_dict(), unet_blocks(unet), UNET_RESNET).items()}
    inner = VAE_ATTENTION | {"conv_shortcut": "nin_shortcut"}
    for key, value in renamed(vae.state_dict(), vae_blocks(vae), inner).items():
        is_matrix = ".attn_1." in key and value.ndim == 2
        checkpoint[VAE_PREFIX + key] = value[:, :, None, None] if is_matrix else value
    for key, value in getattr(text, "text_model", text).state_dict().items():
        checkpoint[TEXT_PREFIX + key] = value
    checkpoint[f"{TEXT_PREFIX}embeddings.position_ids"] = torch.arange(TOKENS)[None]
    return checkpoint


def export(text: nn.Module, unet: UNet2DConditionModel, vae: AutoencoderKL, path: Path) -> int:
    """Write the checkpoint as fp16 beside `path`, then rename; returns its size in bytes."""
    checkpoint = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().clone().contiguous()
        for k, v in ldm_weights(text, unet, vae).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    save_file(checkpoint, beside, metadata={"format": "pt"})
    size = beside.stat().st_size
    if size > LIMIT_BYTES:
        raise ValueError(f"the checkpoint has {size} bytes: expected at most {LIMIT_BYTES}")
    beside.replace(path)
    return size
