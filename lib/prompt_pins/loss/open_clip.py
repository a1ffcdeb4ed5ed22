"""CLIP models in OpenCLIP's own files, as transformers' models: HPS v2 is ViT-H/14.  Imports torch.

Shapes tell how large a model is; what they do not tell is ViT-H/14's: heads of 64 numbers for texts and of 80 for
images, and the exact GELU.  The names are those of https://github.com/mlfoundations/open_clip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from prompt_pins.loss.weights import fill, layers, read, side

FILES = tuple(f"HPS_v2{version}_compressed{kind}" for version in (".1", "") for kind in (".safetensors", ".pt"))
TEXT_HEAD, IMAGE_HEAD = 64, 80
ENDS = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
PROJECTION = "text_projection.weight"
TURNED = {"text_projection": PROJECTION, "visual.proj": "visual_projection.weight"}
PARTS = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1",
         "mlp.c_proj": "mlp.fc2"}  # fmt: skip
BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def model(path: Path) -> Any:
    """The `CLIPModel` of a file.  Raises what its readers raise, and `RuntimeError` for weights that are missing."""
    from transformers import CLIPConfig, CLIPModel

    weights = read(path)
    patches, words = weights["visual.conv1.weight"], weights["token_embedding.weight"]
    text = {
        **_tower(weights, "", words.shape[1], TEXT_HEAD), "vocab_size": words.shape[0],
        "max_position_embeddings": weights["positional_embedding"].shape[0],
        "bos_token_id": words.shape[0] - 2, "eos_token_id": words.shape[0] - 1,
    }  # fmt: skip
    vision = {
        **_tower(weights, "visual.", patches.shape[0], IMAGE_HEAD), "patch_size": patches.shape[-1],
        "image_size": side(weights["visual.positional_embedding"], patches.shape[-1]),
    }  # fmt: skip
    made = CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=weights["text_projection"].shape[1])
    )
    return fill(made, renamed(weights))


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenCLIP's weights under the names of transformers' `CLIPModel`; others are left out."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name in ENDS:
            found[ENDS[name]] = weight
        elif name in TURNED:
            found[TURNED[name]] = weight.T.contiguous()
        elif block := BLOCK.fullmatch(name):
            place = f"{'vision' if block[1] else 'text'}_model.encoder.layers.{block[2]}."
            if block[3] == "attn.in_proj":
                for letter, part in zip("qkv", weight.chunk(3), strict=True):
                    found[f"{place}self_attn.{letter}_proj.{block[4]}"] = part.contiguous()
            else:
                found[f"{place}{PARTS[block[3]]}.{block[4]}"] = weight
    return found


def _tower(weights: Mapping[str, Tensor], prefix: str, width: int, head: int) -> dict[str, Any]:
    blocks = f"{prefix}transformer.resblocks."
    return {
        "hidden_size": width, "intermediate_size": weights[f"{blocks}0.mlp.c_fc.weight"].shape[0], "hidden_act": "gelu",
        "num_hidden_layers": layers(weights, blocks), "num_attention_heads": width // head,
    }  # fmt: skip
