"""The embedded model as the stand-in loads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.condition import Condition
from prompt_pins.headless.conditioning import Reader
from prompt_pins.headless.denoiser import denoise
from prompt_pins.headless.predictor import Predictor
from prompt_pins.headless.text import TextEncoder
from prompt_pins.headless.vocabulary import Vocabulary
from prompt_pins.host import Recipe
from torch import Tensor


class MulticondLearnedConditioning:
    """A list of parts for each image."""

    def __init__(self, shape: tuple[int, ...], batch: list[Any]) -> None:
        self.shape, self.batch = shape, batch


class Part:
    """One part between ANDs: (last call, vectors) stretches, and a weight."""

    def __init__(self, schedules: list[tuple[int, Tensor]], weight: float) -> None:
        self.schedules, self.weight = schedules, weight


class Model:
    """Text to conditionings, latents to latents, pixels to latents and back."""

    def __init__(self) -> None:
        self._checkpoint = load("")
        for network in self._checkpoint.networks:
            torch.nn.Module.float(network.requires_grad_(False).eval())
        self._reader = Reader(TextEncoder(self._checkpoint.towers, Vocabulary()))
        self._network = Predictor(self._checkpoint.unet, traced=True)
        self.levels = self._checkpoint.levels

    def denoise(self, x: Tensor, sigma: Tensor, vectors: Tensor) -> Tensor:
        """x0 of each row."""
        return denoise(self._network, self.levels, self._checkpoint.prediction, x, sigma, Condition.plain(vectors))

    def conditionings(self, prompts: list[str], negative: list[str], calls: int) -> tuple[Any, Any]:
        """What the denoiser takes as cond and uncond."""
        both = [self._reader.guidance(Recipe(*pair), calls) for pair in zip(prompts, negative, strict=True)]
        batch = [[Part(_schedule(part), part.weight) for part in guidance.positive] for guidance in both]
        return MulticondLearnedConditioning((len(batch),), batch), [_schedule(guidance.negative) for guidance in both]

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """RGB images."""
        pixels = self._checkpoint.vae.decode(latents / self._checkpoint.scaling, return_dict=False)[0]
        rows = (((pixels + 1) / 2).clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(row) for row in rows]

    def encode(self, image: Image.Image) -> Tensor:
        """1 x 4 x h x w."""
        pixels = torch.from_numpy(np.asarray(image.convert("RGB"), np.float32)).permute(2, 0, 1)[None]
        return self.get_first_stage_encoding(self.encode_first_stage(pixels / 127.5 - 1).mode())

    def encode_first_stage(self, pixels: Tensor) -> Any:
        """The distribution of the latents of 1 x 3 x H x W, -1 to 1."""
        return self._checkpoint.vae.encode(pixels).latent_dist

    def get_first_stage_encoding(self, latents: Tensor) -> Tensor:
        """As the denoiser has them."""
        return latents * self._checkpoint.scaling


def _schedule(part: Any) -> list[tuple[int, Tensor]]:
    return list(zip(part.ends, part.condition.vectors, strict=True))
