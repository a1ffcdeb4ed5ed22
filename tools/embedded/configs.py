"""The config files beside the checkpoint: the original yaml, and diffusers' folder of JSON files."""

from __future__ import annotations

import json
from pathlib import Path

from embedded.networks import TEXT_CONFIG, UNET_CONFIG, VAE_CONFIG

YAML_NAME = "prompt-pins-embedded.yaml"
CLIP_FOLDER = "models/Stable-diffusion/prompt-pins-embedded-clip"

YAML = """\
# Original Stable Diffusion 1.x layout, small. AUTOMATIC1111 reads this file when it lies beside the checkpoint.
# `version` below is a folder with the text encoder's config.json and CLIP's vocab.json and merges.txt, relative to
# the folder that the WebUI runs in.
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: "v"
    linear_start: 0.00085
    linear_end: 0.0120
    num_timesteps_cond: 1
    log_every_t: 200
    timesteps: 1000
    first_stage_key: "jpg"
    cond_stage_key: "txt"
    image_size: {latent_size}
    channels: 4
    cond_stage_trainable: false
    conditioning_key: crossattn
    monitor: val/loss_simple_ema
    scale_factor: 1.0
    use_ema: False

    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: {latent_size}
        in_channels: 4
        out_channels: 4
        model_channels: {model_channels}
        attention_resolutions: [ 4, 2 ]
        num_res_blocks: {unet_layers}
        channel_mult: {channel_mult}
        num_heads: {heads}
        use_spatial_transformer: True
        transformer_depth: 1
        context_dim: {context}
        use_checkpoint: False
        legacy: False

    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: 4
        monitor: val/rec_loss
        ddconfig:
          double_z: true
          z_channels: 4
          resolution: {size}
          in_channels: 3
          out_ch: 3
          ch: {vae_channels}
          ch_mult: {vae_mult}
          num_res_blocks: {vae_layers}
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity

    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params:
        version: {clip_folder}
"""

SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}

PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def multiples(channels: tuple[int, ...]) -> list[int]:
    """Channels per level as multiples of the first level's, as ldm wants them."""
    return [c // channels[0] for c in channels]


def yaml_text() -> str:
    """The original yaml of these networks."""
    return YAML.format(
        latent_size=UNET_CONFIG["sample_size"],
        model_channels=UNET_CONFIG["block_out_channels"][0],
        channel_mult=multiples(UNET_CONFIG["block_out_channels"]),
        unet_layers=UNET_CONFIG["layers_per_block"],
        heads=UNET_CONFIG["attention_head_dim"],
        context=UNET_CONFIG["cross_attention_dim"],
        size=VAE_CONFIG["sample_size"],
        vae_channels=VAE_CONFIG["block_out_channels"][0],
        vae_mult=multiples(VAE_CONFIG["block_out_channels"]),
        vae_layers=VAE_CONFIG["layers_per_block"],
        clip_folder=CLIP_FOLDER,
    )


def text_config() -> dict:
    """transformers' config.json of the text encoder."""
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        **TEXT_CONFIG,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-05,
        "attention_dropout": 0.0,
    }


def write_configs(folder: Path) -> None:
    """The yaml, and under `config/` one folder per part of the pipeline, without any weights or vocabulary."""
    config = folder / "config"
    files = {
        "model_index.json": PIPELINE,
        "scheduler/scheduler_config.json": SCHEDULER,
        "unet/config.json": {"_class_name": "UNet2DConditionModel", **UNET_CONFIG},
        "vae/config.json": {"_class_name": "AutoencoderKL", **VAE_CONFIG},
        "text_encoder/config.json": text_config(),
    }
    for name, content in files.items():
        path = config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / YAML_NAME).write_text(yaml_text(), encoding="utf-8")
