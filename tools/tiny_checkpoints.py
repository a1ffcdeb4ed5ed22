"""Write small checkpoints of the true layouts, at random: `python tools/tiny_checkpoints.py FOLDER`.

For each of Stable Diffusion 1.x, 2.x (v-prediction) and SDXL base: `tiny-NAME.safetensors` (fp16, 6 to 10 MB) with the
yaml that AUTOMATIC1111 builds it by, and `diffusers-NAME/` with the same weights.  Beside them lie what the yamls name:
`clip/`, transformers' folder of the first text encoder with CLIP's tokenizer, and `open_clip/`, OpenCLIP's description
of the others, which a WebUI must be told of (`open_clip.add_model_config`) before it loads one.

The networks are random, but they denoise: the UNets of 1.x and SDXL answer with their input, which at high noise is
the noise, and a random function of the prompt.  The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from diffusers import AutoencoderKL, UNet2DConditionModel
from embedded.webui import write_clip_folder
from layouts import HEAD_WIDTH, HEADS, LAYERS, TINY, WIDTH, Layout
from ldm_keys import ldm_weights
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

ARCH = "prompt-pins-tiny"
"""OpenCLIP's name of the small text encoder."""
LEAK = 0.12
"""The random part of a UNet's answer."""

LDM = """\
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: {prediction}
    linear_start: 0.00085
    linear_end: 0.0120
    timesteps: 1000
    first_stage_key: jpg
    cond_stage_key: txt
    image_size: {side}
    channels: 4
    cond_stage_trainable: false
    conditioning_key: crossattn
    scale_factor: {scaling}
    use_ema: false
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: {side}
        in_channels: 4
        out_channels: 4
        model_channels: {channels}
        attention_resolutions: {resolutions}
        num_res_blocks: 1
        channel_mult: {multiples}
        {heads}
        use_spatial_transformer: true
        use_linear_in_transformer: {linear}
        transformer_depth: 1
        context_dim: {context}
        use_checkpoint: false
        legacy: false
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
{vae}
    cond_stage_config:
{text}
"""
SGM = """\
model:
  target: sgm.models.diffusion.DiffusionEngine
  params:
    scale_factor: {scaling}
    disable_first_stage_autocast: true
    denoiser_config:
      target: sgm.modules.diffusionmodules.denoiser.DiscreteDenoiser
      params:
        num_idx: 1000
        weighting_config:
          target: sgm.modules.diffusionmodules.denoiser_weighting.EpsWeighting
        scaling_config:
          target: sgm.modules.diffusionmodules.denoiser_scaling.EpsScaling
        discretization_config:
          target: sgm.modules.diffusionmodules.discretizer.LegacyDDPMDiscretization
    network_config:
      target: sgm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        adm_in_channels: {adm}
        num_classes: sequential
        use_checkpoint: false
        in_channels: 4
        out_channels: 4
        model_channels: {channels}
        attention_resolutions: {resolutions}
        num_res_blocks: 1
        channel_mult: {multiples}
        {heads}
        use_linear_in_transformer: true
        transformer_depth: {depths}
        context_dim: {context}
        spatial_transformer_attn_type: softmax
        use_spatial_transformer: true
        legacy: false
    conditioner_config:
      target: sgm.modules.GeneralConditioner
      params:
        emb_models:
          - is_trainable: false
            input_key: txt
            target: sgm.modules.encoders.modules.FrozenCLIPEmbedder
            params: {{version: {clip}, layer: hidden, layer_idx: {penultimate}}}
          - is_trainable: false
            input_key: txt
            target: sgm.modules.encoders.modules.FrozenOpenCLIPEmbedder2
            params:
              arch: {arch}
              version: none
              freeze: true
              layer: penultimate
              always_return_pooled: true
              legacy: false
{sizes}
    first_stage_config:
      target: sgm.models.autoencoder.AutoencoderKLInferenceWrapper
{vae}
"""
SIZE = """\
          - is_trainable: false
            input_key: {name}
            target: sgm.modules.encoders.modules.ConcatTimestepEmbedderND
            params: {{outdim: 256}}"""
SIZES = ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
VAE = """\
      params:
        embed_dim: 4
        monitor: val/rec_loss
        ddconfig:
          double_z: true
          z_channels: 4
          resolution: 64
          in_channels: 3
          out_ch: 3
          ch: {channels}
          ch_mult: {multiples}
          num_res_blocks: 1
          attn_resolutions: []
          dropout: 0.0
        lossconfig: {{target: torch.nn.Identity}}"""
CLIP_TEXT = """\
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params: {{version: {clip}}}"""
OPEN_CLIP_TEXT = """\
      target: ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder
      params: {{arch: {arch}, version: none, freeze: true, layer: penultimate}}"""
OPEN_CLIP_CONFIG = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": WIDTH, "head_width": WIDTH, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": WIDTH, "heads": 1, "layers": LAYERS},
}


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A small model and where it lies."""

    layout: Layout
    unet: Any
    vae: Any
    texts: tuple[Any, ...]
    file: Path
    folder: Path


def make(name: str, folder: Path, seed: int = 0) -> Tiny:
    """Draw the networks of a layout ("sd1", "sd2", "sdxl") and write them below `folder`."""
    layout = TINY[name]
    rng = torch.Generator().manual_seed(seed)
    unet = UNet2DConditionModel(**layout.unet).eval()
    vae = AutoencoderKL(**layout.vae).eval()
    texts = tuple(
        (CLIPTextModelWithProjection if number else CLIPTextModel)(CLIPTextConfig(**config)).eval()
        for number, config in enumerate(layout.texts)
    )
    for network in (unet, vae, *texts):
        draw(network, rng)
    for text in texts:  # emphasis divides by the mean of its vectors, which is not 0 in a trained one
        nn.init.constant_(getattr(text, "text_model", text).final_layer_norm.bias, 0.5)
    if layout.prediction == "epsilon":
        answer_with_the_input(unet)
    for network in (unet, vae, *texts):  # every place has the very same numbers
        network.requires_grad_(False).half().float()
    made = Tiny(layout, unet, vae, texts, folder / f"tiny-{name}.safetensors", folder / f"diffusers-{name}")
    folder.mkdir(parents=True, exist_ok=True)
    weights = ldm_weights(texts, unet, vae)
    save_file({key: value.half().clone().contiguous() for key, value in weights.items()}, made.file)
    made.file.with_suffix(".yaml").write_text(yaml_text(layout, folder.absolute() / "clip"), encoding="utf-8")
    write_diffusers(made)
    return made


def draw(network: nn.Module, rng: torch.Generator) -> None:
    """Every weight at random: matrices keep the size of what goes through them, norms do nothing, biases are small."""
    for module in network.modules():
        for key, weight in module.named_parameters(recurse=False):
            if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
                weight.data = torch.full_like(weight, float(key == "weight"))
            elif isinstance(module, nn.Embedding):
                weight.data = torch.randn(weight.shape, generator=rng) * (0.3 if len(weight) == 77 else 1.0)
            else:
                spread = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.05
                weight.data = torch.randn(weight.shape, generator=rng) * spread


def answer_with_the_input(unet: Any) -> None:
    """Lead a UNet's input to its output: as z through silu(z) - silu(-z) = z, with a small random part beside it.

    The input goes from the first convolution along the last skip connection, in 8 channels that nothing else enters.
    """
    with torch.no_grad():
        first, last, out = unet.conv_in, unet.up_blocks[-1], unet.conv_out
        block, width = last.resnets[-1], first.weight.shape[0]
        first.weight[:8] = first.bias[:8] = 0.0
        block.conv_shortcut.weight[:8] = block.conv_shortcut.bias[:8] = 0.0
        block.conv2.weight[:8] = block.conv2.bias[:8] = 0.0
        for attention in getattr(last, "attentions", [])[-1:]:
            attention.proj_out.weight[:8] = attention.proj_out.bias[:8] = 0.0
        out.weight *= LEAK
        out.bias *= LEAK
        out.weight[:, :8] = 0.0
        for channel in range(4):
            for place, sign in ((channel, 1.0), (4 + channel, -1.0)):
                first.weight[place, channel, 1, 1] = sign
                block.conv_shortcut.weight[place, block.conv_shortcut.weight.shape[1] - width + place] = 1.0
                out.weight[channel, place, 1, 1] = sign


def yaml_text(layout: Layout, clip: Path) -> str:
    """What AUTOMATIC1111 builds the networks by.  clip: the folder of the first text encoder, absolute."""
    channels, depths = layout.unet["block_out_channels"], layout.unet.get("transformer_layers_per_block")
    downs = layout.unet["down_block_types"]
    values = {
        "prediction": {"v_prediction": "v", "epsilon": "eps"}[layout.prediction],
        "side": layout.unet["sample_size"],
        "scaling": layout.vae["scaling_factor"],
        "channels": channels[0],
        "resolutions": [2**level for level, kind in enumerate(downs) if kind.startswith("Cross")][::-1],
        "multiples": [width // channels[0] for width in channels],
        "heads": f"num_heads: {HEADS}" if layout.name == "sd1" else f"num_head_channels: {HEAD_WIDTH}",
        "linear": str(layout.name != "sd1").lower(),
        "context": layout.unet["cross_attention_dim"],
        "adm": layout.unet.get("projection_class_embeddings_input_dim"),
        "depths": depths and list(depths),
        "clip": json.dumps(str(clip)),
        "arch": ARCH,
        "penultimate": LAYERS - 1,
        "sizes": "\n".join(SIZE.format(name=name) for name in SIZES),
    }
    wide = layout.vae["block_out_channels"]
    vae = VAE.format(channels=wide[0], multiples=[width // wide[0] for width in wide])
    text = (OPEN_CLIP_TEXT if layout.name == "sd2" else CLIP_TEXT).format(**values)
    return (SGM if layout.name == "sdxl" else LDM).format(**values, vae=vae, text=text)


def write_diffusers(made: Tiny) -> None:
    """The same model as a diffusers folder, without tokenizers: CLIP's own are in `clip/`."""
    layout, folder = made.layout, made.folder
    names = ("text_encoder", "text_encoder_2")
    for name, network in (("unet", made.unet), ("vae", made.vae), *zip(names, made.texts)):
        network.save_pretrained(folder / name)
    scheduler = {
        "_class_name": "EulerDiscreteScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": layout.prediction,
        "steps_offset": 1,
    }
    pipeline = {"_class_name": "StableDiffusionXLPipeline" if len(made.texts) > 1 else "StableDiffusionPipeline"}
    files = {"scheduler/scheduler_config.json": scheduler, "model_index.json": pipeline}
    for number, config in enumerate(layout.texts):
        pad = "!" if config["pad_token_id"] == 0 else "<|endoftext|>"
        files[f"tokenizer{'_2' if number else ''}/special_tokens_map.json"] = {"pad_token": pad}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_beside(folder: Path) -> None:
    """What the yamls name: `clip/` and `open_clip/`."""
    write_clip_folder(folder / "clip")
    (folder / "clip" / "config.json").write_text(json.dumps(TINY["sdxl"].texts[0], indent=2) + "\n", encoding="utf-8")
    (folder / "open_clip").mkdir(exist_ok=True)
    (folder / "open_clip" / f"{ARCH}.json").write_text(json.dumps(OPEN_CLIP_CONFIG, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in TINY:
        made = make(name, arguments.folder, arguments.seed)
        print(f"{made.file}: {made.file.stat().st_size} bytes")
    write_beside(arguments.folder)


if __name__ == "__main__":
    main()
