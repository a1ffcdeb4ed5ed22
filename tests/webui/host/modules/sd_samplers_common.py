"""What samplers share."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from .shared import opts


class InterruptedException(BaseException):
    """Ends a sampler; `except Exception` does not catch it."""


class SamplerData(namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])):
    """One sampler of the list."""

    def total_steps(self, steps: int) -> int:
        """Model calls that a prompt's schedules are spread over."""
        return steps * 2 if self.options.get("second_order") else steps


def setup_img2img_steps(p: Any, steps: int | None = None) -> tuple[int, int]:
    """(steps of the whole way, the step at which an image is entered, counted from the end)."""
    strength = min(p.denoising_strength, 0.999)
    if opts.img2img_fix_steps or steps is not None:
        wanted = steps or p.steps
        return int(wanted / strength) if p.denoising_strength > 0 else 0, wanted - 1
    return p.steps, int(strength * p.steps)


def images_tensor_to_samples(image: Any, approximation: int, model: Any) -> Any:
    """Latents of 1 x 3 x H x W, 0 to 1."""
    return model.get_first_stage_encoding(model.encode_first_stage(image * 2 - 1))
