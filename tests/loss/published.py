"""Scorers' networks as their authors publish them, small: their names and their arithmetic, in torch's own modules."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn


class _Block(nn.Module):
    """OpenCLIP's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        parts = [("c_fc", nn.Linear(width, 2 * width)), ("gelu", nn.GELU()), ("c_proj", nn.Linear(2 * width, width))]
        self.mlp = nn.Sequential(OrderedDict(parts))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


def _transformer(width: int, heads: int) -> nn.Module:
    module = nn.Module()
    module.resblocks = nn.ModuleList([_Block(width, heads) for _ in range(2)])
    return module


class OpenClip(nn.Module):
    """A CLIP of 2 + 2 layers with heads as wide as ViT-H/14's, for images of 32 pixels a side."""

    def __init__(self, words: int = 49408, text: int = 128, image: int = 160, together: int = 24) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(words, text)
        self.positional_embedding = nn.Parameter(0.1 * torch.randn(77, text))
        self.transformer, self.ln_final = _transformer(text, text // 64), nn.LayerNorm(text)
        self.text_projection = nn.Parameter(torch.randn(text, together) / 10)
        self.logit_scale = nn.Parameter(torch.tensor(4.6))
        self.visual = visual = nn.Module()
        visual.conv1 = nn.Conv2d(3, image, 8, 8, bias=False)
        visual.class_embedding = nn.Parameter(torch.randn(image) / 10)
        visual.positional_embedding = nn.Parameter(torch.randn(17, image) / 10)
        visual.ln_pre, visual.transformer = nn.LayerNorm(image), _transformer(image, image // 80)
        visual.ln_post, visual.proj = nn.LayerNorm(image), nn.Parameter(torch.randn(image, together) / 10)

    def forward(self, pixels: Tensor, tokens: list[int]) -> Tensor:
        """Cosines of N x 3 x 32 x 32 and a text, which is padded with zeros as OpenCLIP pads it."""
        visual: Any = self.visual
        x = visual.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding
        x = visual.ln_pre(x)
        for block in visual.transformer.resblocks:
            x = block(x)
        seen = visual.ln_post(x[:, 0]) @ visual.proj
        ids = torch.tensor([tokens + [0] * (77 - len(tokens))])
        y = self.token_embedding(ids) + self.positional_embedding
        for block in self.transformer.resblocks:  # type: ignore[union-attr]
            y = block(y, torch.full((77, 77), -torch.inf).triu(1))
        read = self.ln_final(y)[0, ids[0].argmax()] @ self.text_projection
        return nn.functional.cosine_similarity(seen, read[None])


class _Seen(nn.Module):
    """A block of BLIP's transformer of vision."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        attn: Any = self.attn
        mlp: Any = self.mlp
        x = x + attn.proj(_attended(*attn.qkv(self.norm1(x)).chunk(3, dim=-1)))
        return x + mlp.fc2(nn.functional.gelu(mlp.fc1(self.norm2(x))))  # type: ignore[no-any-return]


class _Attention(nn.Module):
    """One of BERT's, with what follows it."""

    def __init__(self, width: int, other: int) -> None:
        super().__init__()
        self.self, self.output = nn.Module(), nn.Module()
        self.self.query, self.self.key, self.self.value = (nn.Linear(n, width) for n in (width, other, other))
        self.output.dense, self.output.LayerNorm = nn.Linear(width, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, looked_at: Tensor) -> Tensor:
        own: Any = self.self
        out: Any = self.output
        mixed = _attended(own.query(x), own.key(looked_at), own.value(looked_at))
        return out.LayerNorm(x + out.dense(mixed))  # type: ignore[no-any-return]


class _Read(nn.Module):
    """A layer of BLIP's text encoder that looks at an image."""

    def __init__(self, width: int, seen: int) -> None:
        super().__init__()
        self.attention, self.crossattention = _Attention(width, width), _Attention(width, seen)
        self.intermediate, self.output = nn.Module(), nn.Module()
        self.intermediate.dense, self.output.dense = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.output.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        inner: Any = self.intermediate
        out: Any = self.output
        x = self.crossattention(self.attention(x, x), seen)
        return out.LayerNorm(x + out.dense(nn.functional.gelu(inner.dense(x))))  # type: ignore[no-any-return]


class Reward(nn.Module):
    """ImageReward of 2 + 2 layers, for images of 32 pixels a side."""

    def __init__(self, words: int, text: int = 128, image: int = 64) -> None:
        super().__init__()
        self.blip = nn.Module()
        self.blip.visual_encoder = eye = nn.Module()
        eye.cls_token = nn.Parameter(torch.randn(1, 1, image) / 10)
        eye.pos_embed = nn.Parameter(torch.randn(1, 17, image) / 10)
        eye.patch_embed = nn.Module()
        eye.patch_embed.proj = nn.Conv2d(3, image, 8, 8)
        eye.blocks, eye.norm = nn.ModuleList([_Seen(image) for _ in range(2)]), nn.LayerNorm(image, eps=1e-6)
        self.blip.text_encoder = reader = nn.Module()
        reader.embeddings, reader.encoder = nn.Module(), nn.Module()
        reader.embeddings.word_embeddings = nn.Embedding(words, text)
        reader.embeddings.position_embeddings = nn.Embedding(64, text)
        reader.embeddings.LayerNorm = nn.LayerNorm(text, eps=1e-12)
        reader.encoder.layer = nn.ModuleList([_Read(text, image) for _ in range(2)])
        self.blip.vision_proj = nn.Linear(image, 8)  # files have more than is needed
        self.mlp = nn.Module()
        self.mlp.layers = nn.Sequential(nn.Linear(text, 16), nn.Dropout(0.2), nn.Linear(16, 4), nn.Linear(4, 1))

    def forward(self, pixels: Tensor, tokens: list[int]) -> Tensor:
        """Marks of N x 3 x 32 x 32 and a text."""
        eye: Any = self.blip.visual_encoder
        reader: Any = self.blip.text_encoder
        x = eye.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([eye.cls_token.expand(len(x), 1, -1), x], dim=1) + eye.pos_embed
        for block in eye.blocks:
            x = block(x)
        x, ids = eye.norm(x), torch.tensor([tokens]).expand(len(x), -1)
        places = reader.embeddings.position_embeddings(torch.arange(len(tokens)))
        y = reader.embeddings.LayerNorm(reader.embeddings.word_embeddings(ids) + places)
        for layer in reader.encoder.layer:
            y = layer(y, x)
        mlp: Any = self.mlp
        return (mlp.layers(y[:, 0])[:, 0] - 0.16717362830052426) / 1.0333394966054072  # type: ignore[no-any-return]


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of heads of 64, written out."""
    heads = [part.unflatten(-1, (-1, 64)).transpose(1, 2) for part in (query, key, value)]
    shares = (heads[0] @ heads[1].transpose(-1, -2) / math.sqrt(64)).softmax(dim=-1)
    return (shares @ heads[2]).transpose(1, 2).flatten(2)


class Danbooru(nn.Module):
    """DeepDanbooru's network with a block of each kind: a way around that is widened, none, halved, halved at last."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        convolutions = [
            (3, 6, 7),
            (6, 8, 1), (6, 4, 1), (4, 4, 3), (4, 8, 1),
            (8, 4, 1), (4, 4, 3), (4, 8, 1),
            (8, 12, 1), (8, 6, 1), (6, 6, 3), (6, 12, 1),
            (12, 6, 1), (6, 6, 3), (6, 12, 1), (12, 12, 1),
            (12, 6, 1), (6, 6, 3), (6, 12, 1),
        ]  # fmt: skip
        halving = {0, 8, 10, 13, 15}
        for number, (taken, given, side) in enumerate(convolutions):
            made = nn.Conv2d(taken, given, side, 2 if number in halving else 1)
            setattr(self, f"n_Conv_{number}", made)
        setattr(self, f"n_Conv_{len(convolutions)}", nn.Conv2d(12, tags, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities of N x 3 x H x W in 0 to 1, its steps one by one."""
        layer: Any = lambda number, x: getattr(self, f"n_Conv_{number}")(x)  # noqa: E731
        same, halved = nn.ConstantPad2d(1, 0.0), nn.ConstantPad2d((0, 1, 0, 1), 0.0)
        x = layer(0, nn.functional.pad(x, (2, 3, 2, 3))).relu()
        x = nn.functional.max_pool2d(nn.functional.pad(x, (0, 1, 0, 1), value=-math.inf), 3, 2)
        x = (layer(4, layer(3, same(layer(2, x).relu())).relu()) + layer(1, x)).relu()
        x = (layer(7, layer(6, same(layer(5, x).relu())).relu()) + x).relu()
        x = (layer(11, layer(10, halved(layer(9, x).relu())).relu()) + layer(8, x)).relu()
        x = (layer(14, layer(13, halved(layer(12, x).relu())).relu()) + layer(15, x)).relu()
        x = (layer(18, layer(17, same(layer(16, x).relu())).relu()) + x).relu()
        return layer(19, x).mean(dim=(2, 3)).sigmoid()  # type: ignore[no-any-return]
