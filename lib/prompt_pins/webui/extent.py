"""How many steps a job of the host takes, and how large its images are: counted as the host itself goes about it."""

from __future__ import annotations

from typing import Any

from modules import processing, sd_samplers_common

from . import compat

DOWN = 8
"""Pixels of an image for each of its latents, a side; what is left over, the host drops."""


def rendered_steps(p: Any) -> int:
    """Steps that the first pass really takes: image to image skips the first ones."""
    if isinstance(p, processing.StableDiffusionProcessingImg2Img):
        return int(sd_samplers_common.setup_img2img_steps(p)[1]) + 1
    return int(p.steps)


def hires_steps(p: Any) -> int:
    """Steps of the second pass, which takes all that it is given, unlike image to image; 0 without one."""
    if not getattr(p, "enable_hr", False) or not p.denoising_strength:
        return 0
    return int(getattr(p, "hr_second_pass_steps", 0) or p.steps)


def image_size(p: Any) -> tuple[int, int]:
    """(width, height) of the finished images."""
    if isinstance(p, processing.StableDiffusionProcessingImg2Img):
        if _pasted(p):
            width, height = p.init_images[0].size
            return width, height
        return _whole(p.width), _whole(p.height)
    if not getattr(p, "enable_hr", False):
        return _whole(p.width), _whole(p.height)
    target = compat.fresh_copy(p)
    target.calculate_target_resolution()
    # the second pass draws this size in latents, and cuts off what a size of another shape was enlarged too far
    cut_x, cut_y = (int(getattr(target, name, 0)) * DOWN for name in ("truncate_x", "truncate_y"))
    return _whole(target.hr_upscale_to_x) - cut_x, _whole(target.hr_upscale_to_y) - cut_y


def _whole(side: int) -> int:
    return int(side) // DOWN * DOWN


def _pasted(p: Any) -> bool:
    """True for *Only masked*, whose result is the source with the new part in it."""
    masked = getattr(p, "image_mask", None) is not None and getattr(p, "inpaint_full_res", False) and p.init_images
    return bool(masked and compat.setting_of(p, "overlay_inpaint", True) and not _blank(p))


def _blank(p: Any) -> bool:
    """True for a mask that leaves nothing to paint: the host then redraws the whole image."""
    mask = p.image_mask
    by_alpha = mask.mode == "RGBA" and mask.getextrema()[-1] != (255, 255)
    low, high = (mask.getchannel("A") if by_alpha else mask.convert("L")).getextrema()
    return bool(low == 255 if getattr(p, "inpainting_mask_invert", 0) else high == 0)
