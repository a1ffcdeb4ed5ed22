"""Between images and latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..config import RenderOptions
from ..errors import HostError, OptionError

DOWN = 8
"""Pixels a side of one latent pixel."""
DECODED_PIXELS = 2**20


def size_of(job: RenderOptions, own: int) -> tuple[int, int]:
    """(width, height) in pixels of a job's images.  own: what 0 stands for.  Raises `OptionError`."""
    for name, pixels in (("width", job.width), ("height", job.height)):
        if pixels < 0 or pixels % DOWN or 0 < pixels < 64:
            raise OptionError(name, pixels, "a multiple of 8 from 64 to 8192, or 0 for the model's own")
    return job.width or own, job.height or own


class Autoencoder:
    """network: diffusers' AutoencoderKL, in the precision that it computes in.  scaling: of its latents.

    check: may raise, to stop.
    """

    def __init__(self, network: Any, scaling: float, check: Callable[[], None]) -> None:
        self._network, self._scaling, self._check = network, scaling, check
        self._encoded: tuple[np.ndarray, Tensor] | None = None  # the last images, and their latents

    def decode(self, latents: Tensor) -> np.ndarray:
        """uint8, B x H x W x 3, in groups of about a megapixel.  The WebUI cuts the fraction off, and so do we."""
        group = max(1, DECODED_PIXELS // (latents.shape[2] * latents.shape[3] * DOWN * DOWN))
        parts = []
        for part in torch.split(latents, group):
            self._check()
            image = self._whole(lambda rows: self._network.decode(rows, return_dict=False)[0], part / self._scaling)
            unit = ((image.float() + 1.0) / 2.0).clamp(0.0, 1.0)
            parts.append((255.0 * unit).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
        return np.ascontiguousarray(np.concatenate(parts))

    def encode(self, images: np.ndarray) -> Tensor:
        """The means of the latents' distributions: float32, B x 4 x h x w.  images: uint8, B x H x W x 3.

        One by one; those of the last call are known.
        """
        if self._encoded is None or not np.array_equal(self._encoded[0], images):
            means = []
            for image in images:
                self._check()
                pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(self._parameter.device) / 127.5 - 1
                means.append(self._whole(lambda rows: self._network.encode(rows).latent_dist.mean, pixels)[0])
            self._encoded = images, torch.stack(means).float() * self._scaling
        return self._encoded[1]

    @property
    def _parameter(self) -> Tensor:
        found: Tensor = next(self._network.parameters())
        return found

    def _whole(self, answer: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """An answer of the network; in full precision where half of it overflows, as some known models' does."""
        dtype = self._parameter.dtype
        found = answer(rows.to(dtype))
        if dtype != torch.float32 and not bool(torch.isfinite(found).all()):
            # torch's own `to`: diffusers' warns about the cast that is wanted here
            nn.Module.to(self._network, torch.float32)
            try:
                found = answer(rows.float())
            finally:
                nn.Module.to(self._network, dtype)
        if not bool(torch.isfinite(found).all()):
            raise HostError("the autoencoder's answer holds no numbers (NaN or infinite)")
        return found
