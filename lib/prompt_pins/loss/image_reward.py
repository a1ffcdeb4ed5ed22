"""ImageReward (Xu et al. 2023, arXiv:2304.05977): BLIP's text encoder looks at an image, and a head marks what it saw.

It is in its own file.  The networks are transformers'; the names are those of https://github.com/THUDM/ImageReward.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompt_pins.loss.clip import MEAN, STD, colours, processed
from prompt_pins.loss.weights import below, fill, first, layers, linear, read, side

FILES = ("ImageReward.safetensors", "ImageReward.pt")
SHIFT, SCALE = 0.16717362830052426, 1.0333394966054072
"""Mean and standard deviation of the head's marks, by which they are made comparable."""
MOST_TOKENS, HEAD = 35, 64
EXACT = 1e-6  # the layer norms' epsilon of its transformer of vision
SEEN = (
    (re.compile(r"blocks\.(\d+)\.norm(\d)\."), r"encoder.layers.\1.layer_norm\2."),
    (re.compile(r"blocks\.(\d+)\.attn\.qkv\."), r"encoder.layers.\1.self_attn.qkv."),
    (re.compile(r"blocks\.(\d+)\.attn\.proj\."), r"encoder.layers.\1.self_attn.projection."),
    (re.compile(r"blocks\.(\d+)\.mlp\."), r"encoder.layers.\1.mlp."),
    (re.compile(r"patch_embed\.proj\."), "embeddings.patch_embedding."),
    (re.compile(r"norm\.(?=weight|bias)"), "post_layernorm."),
    (re.compile(r"cls_token"), "embeddings.class_embedding"),
    (re.compile(r"pos_embed"), "embeddings.position_embedding"),
)


class ImageReward:
    """One model on one device; half precision on CUDA, its head in float32 on the CPU."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import BertTokenizer, BlipTextConfig, BlipVisionConfig
        from transformers.models.blip.modeling_blip import BlipVisionModel
        from transformers.models.blip.modeling_blip_text import BlipTextModel

        path = first(folder, FILES)
        assert path is not None
        weights = read(path)
        eye, reader = below(weights, "blip.visual_encoder."), below(weights, "blip.text_encoder.")
        patches, words = eye["patch_embed.proj.weight"], reader["embeddings.word_embeddings.weight"]
        self.side = side(eye["pos_embed"], patches.shape[-1])
        vision = BlipVisionConfig(
            hidden_size=patches.shape[0], intermediate_size=eye["blocks.0.mlp.fc1.weight"].shape[0],
            num_hidden_layers=layers(eye, "blocks."), num_attention_heads=patches.shape[0] // HEAD,
            image_size=self.side, patch_size=patches.shape[-1], layer_norm_eps=EXACT, attention_dropout=0.0,
        )  # fmt: skip
        text = BlipTextConfig(
            vocab_size=words.shape[0], hidden_size=words.shape[1], encoder_hidden_size=patches.shape[0],
            intermediate_size=reader["encoder.layer.0.intermediate.dense.weight"].shape[0],
            num_hidden_layers=layers(reader, "encoder.layer."), num_attention_heads=words.shape[1] // HEAD,
            max_position_embeddings=reader["embeddings.position_embeddings.weight"].shape[0], pad_token_id=0,
        )  # fmt: skip
        self._device, self._dtype = device, torch.float16 if device.type == "cuda" else torch.float32
        parts = (
            (BlipVisionModel(vision), {_seen(name): value for name, value in eye.items()}),
            (BlipTextModel(text, add_pooling_layer=False), reader),
        )
        self._eye, self._reader = (fill(*part).to(device, self._dtype).eval() for part in parts)
        self._head = linear(below(weights, "mlp."))
        self._tokenizer: Any = BertTokenizer(str(folder / "vocab.txt"))
        self._mean, self._std = (colours(row, device) for row in (MEAN, STD))

    def marks(self, images: Tensor, text: str) -> Tensor:
        """Of N x 3 x H x W uint8 sRGB, for a text, of which the first 33 tokens count: N float32 on the CPU.

        About −2 to 2, the higher the better.
        """
        ids = self._tokenizer(text, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")["input_ids"]
        ids, found = ids.to(self._device), []
        for chunk in processed(images, self.side, self._mean, self._std):
            with torch.inference_mode():
                seen = self._eye(chunk.to(self._dtype)).last_hidden_state
                both = self._reader(
                    ids.expand(len(seen), -1), attention_mask=torch.ones_like(ids).expand(len(seen), -1),
                    encoder_hidden_states=seen,
                    encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=self._device),
                ).last_hidden_state[:, 0]  # fmt: skip
            found.append(both.float().cpu())
        values = torch.cat(found)
        for weight, bias in self._head:
            values = values @ weight.T + bias
        return (values[:, 0] - SHIFT) / SCALE


@functools.lru_cache(maxsize=1)
def load(folder: Path, device: torch.device) -> ImageReward:
    """The model of a folder, kept.  Raises what transformers and torch raise."""
    return ImageReward(folder, device)


def _seen(name: str) -> str:
    """The name that transformers has for a weight of the transformer of vision."""
    for pattern, new in SEEN:
        if pattern.match(name):
            return pattern.sub(new, name, count=1)
    return name
