"""Jobs: prompts and seeds to images, as the host goes about it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import paths, sd_samplers, shared
from .images import flatten
from .infotext_utils import quote
from .rng import ImageRNG

DEFAULTS: dict[str, Any] = {
    "prompt": "", "negative_prompt": "", "styles": [], "seed": -1, "subseed": -1, "subseed_strength": 0.0,
    "sampler_name": "Euler", "scheduler": None, "batch_size": 1, "n_iter": 1, "steps": 20, "cfg_scale": 7.0,
    "width": 64, "height": 64, "denoising_strength": 0.75, "enable_hr": False, "hr_scale": 2.0,
    "hr_second_pass_steps": 0, "hr_resize_x": 0, "hr_resize_y": 0, "hr_prompt": "", "hr_negative_prompt": "",
    "init_images": [], "mask": None,
    "outpath_samples": None, "do_not_save_samples": False, "do_not_save_grid": False,
    "inpainting_fill": 0, "inpaint_full_res": True,
}  # fmt: skip


def program_version() -> str:
    """What infotexts say."""
    return "stand-in"


class StableDiffusionProcessing:
    """One job."""

    cached: ClassVar[list[Any]] = [None, None]
    is_api = False
    is_hr_pass = False

    def __init__(self, **values: Any) -> None:
        for name, value in {**DEFAULTS, **values}.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)
        self.extra_generation_params: dict[str, Any] = {}
        self.override_settings: dict[str, Any] = dict(values.get("override_settings") or {})
        self.comments: dict[str, int] = {}
        self.scripts: Any = None
        self.script_args: Any = ()
        self.image_mask, self.mask, self.nmask = self.mask, None, None
        self.outpath_samples = values.get("outpath_samples")
        self.rng: Any = None

    def setup_conds(self) -> None:
        """Of this batch's prompts, from the cache if they were the last ones."""
        config = sd_samplers.all_samplers_map[self.sampler_name]
        key = (tuple(self.prompts), tuple(self.negative_prompts), config.total_steps(self.steps))
        if self.cached[0] != key:
            self.cached[:] = [key, shared.sd_model.conditionings(list(key[0]), list(key[1]), key[2])]
        self.c, self.uc = self.cached[1]

    def first_latents(self) -> Tensor:
        """B x 4 x h x w, finished."""
        x, blank = self.rng.next(), torch.zeros(self.batch_size, 5, 1, 1)
        sampler = sd_samplers.create_sampler(self.sampler_name, shared.sd_model)
        return sampler.sample(self, x, (self.c, self.uc), blank)  # type: ignore[no-any-return]

    def init(self) -> None:
        """Before the first batch."""

    def finished(self, image: Image.Image) -> Image.Image:
        """An image as the job gives it back."""
        return image


class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    """Text to image, with a second pass."""

    def calculate_target_resolution(self) -> None:
        """Of the second pass; to sides of another shape it is enlarged until both are reached, and cut."""
        x, y, self.truncate_x, self.truncate_y = self.hr_resize_x, self.hr_resize_y, 0, 0
        if not x and not y:
            x, y = int(self.width * self.hr_scale), int(self.height * self.hr_scale)
            self.hr_upscale_to_x, self.hr_upscale_to_y = x, y
            return
        if not y or (x and self.width / self.height < x / y):
            self.hr_upscale_to_x, self.hr_upscale_to_y = x, x * self.height // self.width
        else:
            self.hr_upscale_to_x, self.hr_upscale_to_y = y * self.width // self.height, y
        if x and y:
            self.truncate_x, self.truncate_y = (self.hr_upscale_to_x - x) // 8, (self.hr_upscale_to_y - y) // 8

    def second_conds(self) -> tuple[Any, Any]:
        """Of the second pass's own prompts, with styles as the first pass's have them."""
        known, count = shared.prompt_styles, self.batch_size
        own = [known.apply_styles_to_prompt(self.hr_prompt, self.styles)] * count
        negative = [known.apply_negative_styles_to_prompt(self.hr_negative_prompt, self.styles)] * count
        calls = sd_samplers.all_samplers_map[self.sampler_name].total_steps(self.hr_second_pass_steps or self.steps)
        texts = own if self.hr_prompt else self.prompts, negative if self.hr_negative_prompt else self.negative_prompts
        return shared.sd_model.conditionings(*texts, calls)  # type: ignore[no-any-return]

    def sample(self) -> Tensor:
        """B x 4 x h x w."""
        latents = self.first_latents()
        if not self.enable_hr:
            return latents
        self.calculate_target_resolution()
        shape = (self.hr_upscale_to_y // 8, self.hr_upscale_to_x // 8)
        large = torch.nn.functional.interpolate(latents, shape, mode="bilinear")
        rows, columns = (slice(cut // 2, side - (cut + 1) // 2)
                         for cut, side in zip((self.truncate_y, self.truncate_x), shape, strict=True))  # fmt: skip
        large = large[:, :, rows, columns]
        self.rng = ImageRNG(tuple(large.shape[1:]), self.seeds, self.subseeds, self.subseed_strength)
        self.is_hr_pass = True
        shared.state.nextjob()
        if self.hr_prompt or self.hr_negative_prompt:
            self.c, self.uc = self.second_conds()
        sampler = sd_samplers.create_sampler(self.sampler_name, shared.sd_model)
        blank = torch.zeros(self.batch_size, 5, 1, 1)
        steps = self.hr_second_pass_steps or self.steps
        refined = sampler.sample_img2img(self, large, self.rng.next(), (self.c, self.uc), blank, steps)
        self.is_hr_pass = False
        return refined  # type: ignore[no-any-return]


class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    """Image to image, and inpainting of the white part of a mask: of the whole image, or of that part alone."""

    paste_to: tuple[int, int, int, int] | None = None

    def init(self) -> None:
        """The source's latents."""
        source, mask = self._source(), self.image_mask and self.image_mask.convert("L")
        if mask is not None and self.inpaint_full_res:
            self.paste_to = mask.getbbox()
            mask, source = (image.crop(self.paste_to) for image in (mask, source)) if self.paste_to else (None, source)
        source = source.resize((self.width, self.height))
        self.init_latent = shared.sd_model.encode(source).repeat(self.batch_size, 1, 1, 1)
        if mask is not None:
            small = mask.resize((self.width // 8, self.height // 8))
            white = torch.from_numpy(np.asarray(small, np.float32) / 255)[None].repeat(4, 1, 1)
            self.mask, self.nmask = 1 - white, white

    def sample(self) -> Tensor:
        """B x 4 x h x w."""
        sampler = sd_samplers.create_sampler(self.sampler_name, shared.sd_model)
        blank = torch.zeros(self.batch_size, 5, 1, 1)
        latents: Tensor = sampler.sample_img2img(self, self.init_latent, self.rng.next(), (self.c, self.uc), blank)
        if self.mask is not None:
            latents = latents * self.nmask + self.init_latent * self.mask
        return latents

    def finished(self, image: Image.Image) -> Image.Image:
        """With the source around it, where only the masked part was painted."""
        if self.paste_to is None or not shared.opts.overlay_inpaint:
            return image
        x1, y1, x2, y2 = self.paste_to
        whole = self._source()
        whole.paste(image.resize((x2 - x1, y2 - y1)), (x1, y1))
        return whole

    def _source(self) -> Image.Image:
        return flatten(self.init_images[0], shared.opts.img2img_background_color)


class Processed:
    """What a job gives back."""

    def __init__(self, p: Any, images_list: list[Any], seed: int = -1, info: str = "", all_prompts: Any = None,
                 all_negative_prompts: Any = None, all_seeds: Any = None, all_subseeds: Any = None,
                 infotexts: Any = None, index_of_first_image: int = 0) -> None:  # fmt: skip
        self.images, self.seed, self.info = images_list, seed, info
        self.all_prompts, self.all_negative_prompts = all_prompts or [p.prompt], all_negative_prompts
        self.all_seeds, self.all_subseeds = all_seeds or [seed], all_subseeds
        self.infotexts, self.index_of_first_image = infotexts or [info], index_of_first_image
        self.extra_generation_params = p.extra_generation_params
        self.comments = "".join(f"{text}\n" for text in p.comments)

    def js(self) -> str:
        """As the API returns it."""
        names = ("all_prompts", "all_seeds", "infotexts", "extra_generation_params", "seed")
        return json.dumps({name: getattr(self, name) for name in names}, default=lambda value: None)


def fix_seed(p: Any) -> None:
    """Seeds that were left to chance."""
    for name in ("seed", "subseed"):
        if getattr(p, name) in (None, "", -1):
            setattr(p, name, random.randrange(2**32 - 1))


def process_images(p: Any) -> Processed:
    """A job's images, under its own settings."""
    kept = {name: shared.opts.data[name] for name in p.override_settings if name in shared.opts.data}
    try:
        for name, value in p.override_settings.items():
            shared.opts.set(name, value)
        sd_samplers.fix_p_invalid_sampler_and_scheduler(p)
        with torch.no_grad():
            return _processed(p)
    finally:
        shared.opts.data.update(kept)


def _processed(p: Any) -> Processed:
    fix_seed(p)
    count = p.batch_size * p.n_iter
    p.all_prompts = p.prompt if isinstance(p.prompt, list) else [p.prompt] * count
    p.all_prompts = list(p.all_prompts)
    negative = p.negative_prompt
    p.all_negative_prompts = negative if isinstance(negative, list) else [negative] * count
    known = shared.prompt_styles
    p.all_prompts = [known.apply_styles_to_prompt(text, p.styles) for text in p.all_prompts]
    p.all_negative_prompts = [known.apply_negative_styles_to_prompt(text, p.styles) for text in p.all_negative_prompts]
    apart = 0 if p.subseed_strength else 1
    p.all_seeds = p.seed if isinstance(p.seed, list) else [p.seed + apart * index for index in range(count)]
    p.all_subseeds = p.subseed if isinstance(p.subseed, list) else [p.subseed + index for index in range(count)]
    if p.scripts is not None:
        p.scripts.process(p)
    p.init()
    if shared.state.job_count == -1:
        shared.state.job_count = p.n_iter
    images: list[Image.Image] = []
    texts: list[str] = []
    for iteration in range(p.n_iter):
        p.iteration = iteration
        shared.state.skipped = False
        if shared.state.interrupted:
            break
        rows = slice(p.iteration * p.batch_size, (p.iteration + 1) * p.batch_size)
        p.prompts, p.negative_prompts = p.all_prompts[rows], p.all_negative_prompts[rows]
        p.seeds, p.subseeds = p.all_seeds[rows], p.all_subseeds[rows]
        p.rng = ImageRNG((4, p.height // 8, p.width // 8), p.seeds, p.subseeds, p.subseed_strength)
        p.setup_conds()
        if iteration == 0 and not shared.cmd_opts.no_prompt_history:
            Path(paths.data_path, "params.txt").write_text(_infotext(p, 0, (p.width, p.height)), "utf-8")
        made = [p.finished(image) for image in shared.sd_model.decode(p.sample())]
        texts += [_infotext(p, row, image.size) for row, image in enumerate(made)]
        images += made
        shared.state.nextjob()
    return Processed(p, images, p.all_seeds[0], texts[0] if texts else "", p.all_prompts, None, p.all_seeds,
                     p.all_subseeds, texts)  # fmt: skip


def _infotext(p: Any, row: int, size: tuple[int, int]) -> str:
    values = {"Steps": p.steps, "Sampler": p.sampler_name, "CFG scale": p.cfg_scale, "Seed": p.seeds[row],
              "Size": f"{size[0]}x{size[1]}"}  # fmt: skip
    if isinstance(p, StableDiffusionProcessingImg2Img):
        values["Denoising strength"] = p.denoising_strength
    values |= {**p.extra_generation_params, "Version": program_version()}
    negative = f"\nNegative prompt: {p.negative_prompts[row]}" if p.negative_prompts[row] else ""
    return f"{p.prompts[row]}{negative}\n" + ", ".join(f"{name}: {quote(value)}" for name, value in values.items())
