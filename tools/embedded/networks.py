"""The three networks of the embedded model, as diffusers and transformers modules, and their sizes.

Every size can be said in the original Stable Diffusion 1.x yaml (`ddconfig`, `openaimodel.UNetModel`,
CLIP's text encoder), so that the trained weights export to that layout by renaming alone.
"""

from __future__ import annotations

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

LATENT_CHANNELS = 4
TOKENS = 77
END_TOKEN = 49407
START_TOKEN = 49406

VAE_CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (32, 32, 64, 64),
    "layers_per_block": 1,
    "latent_channels": LATENT_CHANNELS,
    "norm_num_groups": 32,
    "sample_size": 128,
    "scaling_factor": 1.0,
}

UNET_CONFIG = {
    "sample_size": 16,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (32, 96, 96),
    "layers_per_block": 1,
    "cross_attention_dim": 48,
    "attention_head_dim": 4,
    "norm_num_groups": 32,
}

TEXT_CONFIG = {
    "vocab_size": 49408,
    "hidden_size": 48,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": TOKENS,
    "hidden_act": "quick_gelu",
    "bos_token_id": START_TOKEN,
    "eos_token_id": END_TOKEN,
    "pad_token_id": END_TOKEN,
    "projection_dim": 48,
}


def make_vae() -> AutoencoderKL:
    """f8 KL autoencoder: 3 x H x W in [-1, 1] to 4 x H/8 x W/8 and back."""
    return AutoencoderKL(**VAE_CONFIG)


def make_unet() -> UNet2DConditionModel:
    """UNet over 4 x 16 x 16 latents, cross-attention at 8x8 and 4x4."""
    return UNet2DConditionModel(**UNET_CONFIG)


def make_text_encoder() -> CLIPTextModel:
    """CLIP's text transformer, small; only its last hidden state is used (77 x 48)."""
    return CLIPTextModel(CLIPTextConfig(**TEXT_CONFIG))
