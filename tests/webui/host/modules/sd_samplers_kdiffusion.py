"""k-diffusion's own samplers on a denoiser that looks at every image of a batch by its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from prompt_pins.sampling import SAMPLERS, karras_sigmas
from torch import Tensor, nn

from tests.sampling.oracle import Torch, load

from . import shared
from .sd_samplers_common import InterruptedException, SamplerData, setup_img2img_steps

sampling = load()
sampler_extra_params: dict[Any, list[str]] = {"sample_euler": ["s_noise"], "sample_heun": ["s_noise"]}


class CFGDenoiser(nn.Module):
    """x0 with guidance."""

    def __init__(self, sampler: KDiffusionSampler) -> None:
        super().__init__()
        self.sampler, self.p, self.step = sampler, sampler.p, 0
        self.mask: Tensor | None = None
        self.nmask: Tensor | None = None
        self.init_latent: Tensor | None = None

    def update_inner_model(self) -> None:
        """The refiner's conditionings, of the whole batch."""
        self.sampler.sampler_extra_args.update(cond=self.p.c, uncond=self.p.uc)

    def forward(self, x: Tensor, sigma: Tensor, uncond: Any, cond: Any, cond_scale: float, s_min_uncond: float,
                image_cond: Tensor) -> Tensor:  # fmt: skip
        """x0 of each image; an IndexError where anything does not have a row for each."""
        if shared.state.interrupted or shared.state.skipped:
            raise InterruptedException
        rows = {len(cond.batch), len(uncond), len(image_cond), len(sigma), len(x)}
        rows |= {len(self.init_latent)} if self.init_latent is not None else set()
        if len(rows) != 1:
            raise IndexError(f"rows differ: {sorted(rows)}")
        asked = [(index, part.weight, part.schedules) for index, parts in enumerate(cond.batch) for part in parts]
        images = torch.tensor([index for index, _, _ in asked])
        plain = self._denoised(x, sigma, uncond)
        guided = self._denoised(x[images], sigma, [schedule for _, _, schedule in asked])
        scale = torch.tensor([weight * cond_scale for _, weight, _ in asked]).view(-1, 1, 1, 1)
        result = plain.index_add(0, images, (guided - plain[images]) * scale)
        if self.mask is not None and self.init_latent is not None:
            result = result * self.nmask + self.init_latent * self.mask
        self.sampler.last_latent = result
        self.step += 1
        return result

    def _denoised(self, x: Tensor, sigma: Tensor, schedules: list[Any]) -> Tensor:
        vectors = [next((vectors for end, vectors in one if self.step <= end), one[0][1]) for one in schedules]
        longest = max(map(len, vectors))
        whole = [torch.cat([one, one[-1:].expand(longest - len(one), -1)]) for one in vectors]
        return shared.sd_model.denoise(x, sigma[0], torch.stack(whole))  # type: ignore[no-any-return]


class KDiffusionSampler:
    """One pass."""

    def __init__(self, function: Any, model: Any) -> None:
        self.func = function if callable(function) else getattr(sampling, function)
        self.extra_params = sampler_extra_params.get(function, [])
        self.config: Any = None
        self.sampler_extra_args: dict[str, Any] = {}
        self.last_latent: Tensor | None = None
        self.p: Any = None

    def sample(self, p: Any, x: Tensor, conds: tuple[Any, Any], image_cond: Tensor) -> Tensor:
        """From noise."""
        sigmas = self._sigmas(p, p.steps)
        return self._launch(p, x * sigmas[0], sigmas, conds, image_cond, None)

    def sample_img2img(self, p: Any, x: Tensor, noise: Tensor, conds: tuple[Any, Any], image_cond: Tensor,
                       steps: int | None = None) -> Tensor:  # fmt: skip
        """From an image with noise."""
        steps, entered = setup_img2img_steps(p, steps)
        sigmas = self._sigmas(p, steps)[steps - entered - 1 :]
        return self._launch(p, x + noise * sigmas[0], sigmas, conds, image_cond, x)

    def _launch(self, p: Any, x: Tensor, sigmas: Tensor, conds: tuple[Any, Any], image_cond: Tensor,
                init_latent: Tensor | None) -> Tensor:  # fmt: skip
        self.p = p
        model = CFGDenoiser(self)
        model.init_latent, model.mask, model.nmask = init_latent, p.mask, p.nmask
        names = inspect.signature(self.func).parameters
        options: dict[str, Any] = {"eta": 1.0} if "eta" in names else {}
        if self.config.options.get("brownian_noise"):
            seeds = p.all_seeds[p.iteration * p.batch_size : (p.iteration + 1) * p.batch_size]
            options["noise_sampler"] = sampling.BrownianTreeNoiseSampler(
                x, sigmas[sigmas > 0].min(), sigmas.max(), seeds
            )
        if self.config.options.get("solver_type"):
            options["solver_type"] = self.config.options["solver_type"]
        sampling.torch = Torch(lambda like: p.rng.next())  # type: ignore[attr-defined]
        self.last_latent = x
        cond, uncond = conds
        self.sampler_extra_args = {
            "cond": cond, "image_cond": image_cond, "uncond": uncond, "cond_scale": p.cfg_scale, "s_min_uncond": 0.0,
        }  # fmt: skip
        try:
            return self.func(model, x, sigmas, extra_args=self.sampler_extra_args, callback=self._seen, disable=False,
                             **options)  # type: ignore[no-any-return]  # fmt: skip
        except InterruptedException:
            return self.last_latent

    def _seen(self, what: dict[str, Any]) -> None:
        shared.state.sampling_step = what["i"]

    def _sigmas(self, p: Any, steps: int) -> Tensor:
        levels = shared.sd_model.levels
        name = p.scheduler if p.scheduler not in (None, "Automatic") else self.config.options.get("scheduler", "")
        if str(name).lower() == "karras":
            return karras_sigmas(steps, levels.sigma_min, levels.sigma_max)
        return levels.steps(steps)  # type: ignore[no-any-return]


def _constructor(function: str) -> Callable[[Any], KDiffusionSampler]:
    return lambda model: KDiffusionSampler(function, model)


def _options(info: Any) -> dict[str, Any]:
    flags = {"second_order": info.second_order, "brownian_noise": info.brownian, "scheduler": info.scheduler}
    return {**{name: value for name, value in flags.items() if value}, **info.host_options}


own_samplers = [SamplerData(info.name, _constructor(info.function), [], _options(info)) for info in SAMPLERS.values()]
