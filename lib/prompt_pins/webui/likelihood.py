"""How well prompts explain images, asked of the WebUI's own denoiser: a job like any other whose sampler only looks.

The job is a copy of the user's, so masks, networks, schedules and neighbours count as in rendering.  Its sampler is not
listed anywhere, exists as long as the job, and gives blank images back, so nothing is decoded.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from modules import processing, sd_samplers, shared
from modules.sd_samplers_common import SamplerData
from modules.sd_samplers_kdiffusion import KDiffusionSampler
from torch import Tensor

from ..errors import HostError
from ..host import Misfits, Recipe, View
from ..sampling.misfit import misfit
from . import compat, overrides
from .extent import DOWN

NAME = "Prompt pins likelihood"
SCALE = 2.0
"""The CFG scale of the guided answers.  Its size has no part in an angle; at 1 Forge leaves the negative prompt out."""
BLANK = 64  # pixels a side
NEAR = 0.02
"""By how much of the way that a prompt leads two answers may differ that should be the same."""
QUIET = {"skip_early_cond": -1.0, "live_previews_enable": False}
"""Forge-classic leaves prompts out of the first step even where the share of such steps is 0."""
NETWORK = re.compile(r"<\w+:[^>]+>")

Read = Callable[[Tensor, Tensor, Tensor], Tensor]
READS: tuple[Read, ...] = (lambda kept, x, sigma: kept, lambda kept, x, sigma: x - sigma * kept)
"""The unguided answer in what a denoiser keeps for CFG++: itself in AUTOMATIC1111, its noise in Forge."""


def batches(recipes: Sequence[Recipe], rows: int) -> Iterator[list[int]]:
    """The recipes' places, at most `rows` a batch: the host reads networks (LoRAs) from a batch's first prompt."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, recipe in enumerate(recipes):
        alike.setdefault(tuple(NETWORK.findall(recipe.prompt)), []).append(place)
    for places in alike.values():
        yield from (places[start : start + rows] for start in range(0, len(places), rows))


class Looks:
    """All recipes' misfits, gathered batch by batch.

    problem: why this host, job or neighbour cannot tell; "" if it can.
    """

    def __init__(
        self, images: Sequence[np.ndarray], masks: Sequence[np.ndarray | None], views: Sequence[View], recipes: int
    ) -> None:
        self.problem = ""
        self._images, self._masks, self._views = images, masks, views
        self._values = np.full((recipes, len(views)), np.nan)
        self._evaluations = 0
        self._places: Sequence[int] = ()
        self._clean: Tensor | None = None
        self._weights: list[Tensor | None] = []
        self._read: Read | None = None
        self._kept: Tensor | None = None

    def found(self) -> Misfits:
        """Raises `HostError` where the model's answer was no number."""
        if not np.isfinite(self._values).all():
            raise HostError("the model's answer holds no numbers (NaN or infinite)")
        return Misfits(self._values, self._evaluations)

    @contextlib.contextmanager
    def of(self, q: Any, recipes: Sequence[Recipe], places: Sequence[int]) -> Iterator[None]:
        """While it lasts, a copy of the user's job looks for the recipes at these places, instead of sampling."""
        plain = sd_samplers.all_samplers_map[q.sampler_name]

        def constructor(model: Any) -> Any:
            sampler = plain.constructor(model)
            if type(sampler) is not KDiffusionSampler or "sigmas" not in inspect.signature(sampler.func).parameters:
                self.problem = f"the sampler {plain.name} does not go by noise levels"
            return KDiffusionSampler(self._sample, model)

        self._places = places
        q.prompt = [recipes[place].prompt for place in places]
        q.negative_prompt = [recipes[place].negative_prompt for place in places]
        q.sampler_name, q.cfg_scale, q.restore_faces = NAME, SCALE, False
        sd_samplers.all_samplers_map[NAME] = SamplerData(NAME, constructor, [], dict(plain.options))
        try:
            with overrides.in_front(QUIET):
                yield
        finally:
            sd_samplers.all_samplers_map.pop(NAME, None)
            compat.refresh_samplers()

    def _sample(self, model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], **_: Any) -> Any:
        """What the host calls as its sampler."""
        self.problem = self.problem or _obstacle(model.p)
        _end(model.p)
        try:
            if not self.problem:
                self._look(model, x, sigmas, extra_args)
        except compat.INTERRUPTION:
            if not shared.state.skipped or shared.state.interrupted:
                raise
            shared.state.skipped, self.problem = False, "it was skipped"
        decoded = getattr(processing, "DecodedSamples", None)
        return x * 0.0 if decoded is None else decoded([torch.zeros(3, BLANK, BLANK)] * len(x))

    def _look(self, model: Any, x: Tensor, sigmas: Tensor, extra: dict[str, Any]) -> None:
        calls = _Calls(model, x, extra, self._kept)
        self._kept = calls.kept
        self.problem = self._encode(x, calls.painted)
        if max(view.step for view in self._views) > len(sigmas) - 2:
            self.problem = f"the schedule has {len(sigmas) - 1} steps"
        if self._clean is None or self.problem:
            return
        for column, view in enumerate(self._views):
            generator = torch.Generator("cpu").manual_seed(view.seed)
            noise = view.sign * torch.randn(tuple(x.shape[1:]), generator=generator).to(x)
            clean, weight = self._clean[view.image].to(x), self._weights[view.image]
            sigma = sigmas[view.step].to(x)
            calls.place(view.step, compat.noised(model, calls.within(clean), noise, sigma), sigma)
            for rows in calls.alike():
                if self._evaluations == 0 and not self._understood(calls, rows):
                    self.problem = "another extension changes how prompts guide"
                    return
                unguided, guided = self._answers(calls, rows)
                found = misfit(unguided, guided, clean, None if weight is None else weight.to(x))
                self._values[[self._places[row] for row in rows], column] = found.double().cpu().numpy()
            self._evaluations += calls.spent()

    def _answers(self, calls: _Calls, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Without and with the prompts: of one call, where the denoiser keeps both."""
        guided, kept = calls.ask(rows, SCALE)
        if self._read is None or kept is None:
            return calls.ask(rows, 0.0)[0], guided
        return self._read(kept, calls.x, calls.sigma), guided

    def _understood(self, calls: _Calls, rows: list[int]) -> bool:
        """True if guidance is u + scale (c - u) here.  Finds out how u can be read from a guided call."""
        (unguided, _), (guided, kept), (far, _) = (calls.ask(rows, scale) for scale in (0.0, SCALE, 2 * SCALE))
        limit = NEAR * ((guided - unguided).norm() + 0.1 * unguided.norm())
        reads = [] if kept is None else [read for read in READS if kept.shape == unguided.shape]
        near = [read for read in reads if (read(kept, calls.x, calls.sigma) - unguided).norm() <= limit]
        self._read = near[0] if near else None
        return bool((far - guided - (guided - unguided)).norm() <= limit) or not bool(far.isfinite().all())

    def _encode(self, x: Tensor, painted: Tensor | None) -> str:
        """The images as latents, and what counts of them, once; says what is wrong with them.

        painted: h x w, what the job's own mask lets the model paint.
        """
        if self._clean is not None:
            return ""
        size, found = tuple(x.shape[2:]), []
        for image, mask in zip(self._images, self._masks, strict=True):
            height, width = image.shape[:2]
            if abs(width * size[0] / height - size[1]) > 1:
                return "the targets have another shape than what is painted"
            pixels = torch.tensor(image).permute(2, 0, 1)[None].float() / 255.0
            wanted = (size[0] * DOWN, size[1] * DOWN)
            if (height, width) != wanted:  # the first pass of hires fix is smaller
                pixels = torch.nn.functional.interpolate(pixels, wanted, mode="bicubic", antialias=True).clamp(0, 1)
            found.append(compat.encoded(pixels)[0].float())
            if found[-1].shape != x.shape[1:] or not bool(found[-1].isfinite().all()):
                return "the encoder gives no latents of the targets"
            weight = None if painted is None else painted.float().cpu()
            if mask is not None:
                whole = torch.tensor(mask).float()[None, None] / 255.0
                small = torch.nn.functional.adaptive_avg_pool2d(whole, size)[0, 0]
                weight = small if weight is None else small * weight
            self._weights.append(weight)
        self._clean = torch.stack(found)
        return ""


class _Calls:
    """One batch's denoiser, asked for some of its rows at a time; it is this sampler's own and ends with it.

    kept: the job's source, 4 x h x w: an earlier batch's if there was one; hosts draw it anew for each batch.
    painted: h x w, what the job's mask lets the model paint, 0 to 1; None for all.
    """

    def __init__(self, model: Any, x: Tensor, extra: dict[str, Any], kept: Tensor | None) -> None:
        self.x, self.sigma = x[0], x.new_zeros(())
        self._model, self._extra, self._source = model, extra, model.init_latent
        self.kept = self._source[0] if kept is None and self._source is not None else kept
        self._nmask = model.nmask if model.mask is not None else None
        self._pace = model.sampler.config.total_steps(1)
        self._step, self._count = 0, 0
        self.painted = None if self._nmask is None else self._nmask.reshape(-1, *x.shape[2:])[0]
        model.mask = model.nmask = None  # what is kept has no part in where a prompt leads
        model.need_last_noise_uncond = True

    def place(self, step: int, x: Tensor, sigma: Tensor) -> None:
        """The step that all calls are at from now on, and what they denoise: 4 x h x w at noise level sigma."""
        self._step, self.x, self.sigma = step, x, sigma

    def within(self, clean: Tensor) -> Tensor:
        """An image with what the job's mask keeps of the source."""
        if self._nmask is None or self.kept is None:
            return clean
        nmask = self._nmask.to(clean)
        return clean * nmask + self.kept.to(clean) * (1.0 - nmask)

    def spent(self) -> int:
        """Rows asked for since it was asked last: a row with and without its prompt is one evaluation."""
        count, self._count = self._count, 0
        return count

    def alike(self) -> Iterator[list[int]]:
        """Rows that may share a call: hosts pad conditionings to the longest, Forge has one AND weight for all."""
        found: dict[Any, list[int]] = {}
        for row, (parts, negative) in enumerate(zip(self._extra["cond"].batch, self._extra["uncond"], strict=True)):
            shape = tuple((part.weight, *map(_length, part.schedules)) for part in parts)
            found.setdefault((shape, *map(_length, negative)), []).append(row)
        yield from found.values()

    def ask(self, rows: list[int], scale: float) -> tuple[Tensor, Tensor | None]:
        """The denoised images of these rows at a CFG scale, and what the denoiser keeps of the unguided ones."""
        model, cond, count = self._model, self._extra["cond"], len(rows)
        chosen = {
            "cond": type(cond)(shape=(count, *cond.shape[1:]), batch=[cond.batch[row] for row in rows]),
            "uncond": [self._extra["uncond"][row] for row in rows],
            "image_cond": self._extra["image_cond"][rows],
            "cond_scale": scale,
            "s_min_uncond": 0.0,
        }
        if self._source is not None:
            model.init_latent = self._source[rows]
        model.step = self._pace * self._step
        shared.state.sampling_step = self._step  # neighbours (ControlNet) go by it
        x = self.x.repeat(count, 1, 1, 1)
        answer = model(x, self.sigma.expand(count).clone(), **{**self._extra, **chosen}).float()
        kept = getattr(model, "last_noise_uncond", None)
        self._count += count
        return answer, kept.float().to(answer.device) if isinstance(kept, Tensor) else None


def _length(schedule: Any) -> int:
    """Tokens of a scheduled prompt's conditioning, (last step, vectors); SDXL has several kinds of vectors."""
    vectors = schedule[1]
    return len(vectors["crossattn"] if isinstance(vectors, dict) else vectors)


def _obstacle(p: Any) -> str:
    """Why a look would not tell what this job renders; "" if it does."""
    if getattr(p, "refiner_checkpoint_info", None) is not None:
        return "a refiner takes over in the middle"
    if getattr(p, "paste_to", None) is not None:
        return "only the masked part of the image is painted"
    if getattr(p, "dynamic_clip_skip_enabled", False):
        return "dynamic CLIP skip replaces conditionings"
    if compat.foreign_sampler_factory():
        return "another extension (TiledDiffusion?) has replaced the samplers' factory"
    return ""


def _end(p: Any) -> None:
    """Nothing follows the sampler: no second pass, no blending with the source."""
    for name, value in (("enable_hr", False), ("mask", None), ("mask_for_overlay", None), ("overlay_images", None)):
        if hasattr(p, name):
            setattr(p, name, value)
    p.color_corrections = None
