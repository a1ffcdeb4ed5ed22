"""The headless host: the Host protocol over a model that this process loads itself."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import __version__
from ..config import RenderOptions
from ..errors import HostError, HostInterrupted, OptionError
from ..host import Batch, Misfits, Recipe, View, checked_settings
from ..sampling import ForkOptions, fork_schedule, independent_levels, karras_sigmas, make_hyperbatch
from .autoencoder import DOWN, Autoencoder, size_of
from .checkpoint import Checkpoint, load
from .conditioning import Guidance, Reader
from .denoiser import Denoiser, denoise
from .devices import device_of, memory_ran_out
from .infotext import infotext
from .inversion import Inversion, Words, extend
from .likelihood import Likelihood
from .lora_tags import Loras
from .predictor import Predictor
from .samplers import SamplerChoice, find_sampler, samplers
from .text import Reading, TextEncoder
from .vocabulary import Vocabulary

__all__ = ["HeadlessHost", "find_sampler", "samplers"]

LATENT_CHANNELS = 4
EMPHASIS = {"no-norm": "No norm"}  # as infotexts name what is not the WebUI's default
SCHEDULES = {"karras": "Karras", "normal": "Normal"}


class HeadlessHost:
    """Renders prompts without a WebUI.

    checkpoint: path of a Stable Diffusion 1.x, 2.x or SDXL .safetensors file or diffusers folder; "": the embedded
        model; or a model that is loaded already.
    device: torch's name of it; None: CUDA where there is a GPU, in half precision, else the CPU.
    embeddings: textual inversions, each a word of its own.  A model that is loaded already then keeps their vectors.
    precise: full precision on a GPU, too.
    folder: where the embeddings come from, to be written down.
    loras: for the prompts that name them.

    The same inputs give the same bits on the same machine.  Raises `CheckpointError`, and `OptionError` for a device.
    """

    def __init__(
        self,
        checkpoint: str | Checkpoint = "",
        device: str | None = None,
        embeddings: Sequence[Inversion] = (),
        precise: bool = False,
        folder: Path | None = None,
        loras: Loras | None = None,
    ) -> None:
        self.folder = folder
        self.loras = loras or Loras()
        self._device = device_of(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._dtype = torch.float16 if self._device.type == "cuda" and not precise else torch.float32
        self._model = load(checkpoint) if isinstance(checkpoint, str) else checkpoint
        self._inversions = tuple(embeddings)
        first = extend(self._model.towers, self._inversions)
        self._place()
        for lora in self.loras:
            self._model.merge.check(lora)
        vocabulary = Vocabulary()
        names = vocabulary.tokens([one.name for one in self._inversions])
        words = Words(names, [len(one) for one in self._inversions], first)
        self._reader = Reader(TextEncoder(self._model.towers, vocabulary, words))
        self._predictor = Predictor(self._model.unet, traced=self._device.type == "cpu")
        self._stop = threading.Event()
        self._autoencoder = Autoencoder(self._model.vae, self._model.scaling, self._check)

    def _place(self) -> None:
        """Bring the networks to the device.  Raises `OptionError` where they do not fit."""
        self._model.merge.clear()
        try:
            for network in self._model.networks:
                # torch's own `to`: diffusers' warns about the cast that is wanted here
                nn.Module.to(network.requires_grad_(False).eval(), self._device, self._dtype)
        except RuntimeError as error:
            if not memory_ran_out(error):
                raise
            raise OptionError("device", str(self._device), "one whose memory holds the model, such as cpu") from error

    @property
    def checkpoint(self) -> Checkpoint:
        """The loaded model."""
        return self._model

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._device

    @property
    def reader(self) -> Reader:
        """What turns prompts into guidance."""
        return self._reader

    def describe(self) -> dict[str, Any]:
        """Name, versions, what it renders with and the hashes of that, and how many threads compute: it shows."""
        return {
            "name": "headless",
            "version": __version__,
            "checkpoint": self._model.path.name,
            "checkpoint_sha256": self._sha256[0],
            "configuration_sha256": self._sha256[1],
            "vae_sha256": self._sha256[2],
            "prediction": self._model.prediction,
            "torch": torch.__version__,
            "device": self._device.type,
            "threads": torch.get_num_threads(),
            "embeddings": {one.name: one.sha256() for one in self._inversions},
            **({"embeddings_folder": str(self.folder)} if self.folder else {}),
            "loras": self.loras.hashes(),
            **({"loras_folder": str(self.loras.folder)} if self.loras.folder else {}),
        }

    @functools.cached_property
    def _sha256(self) -> tuple[str, str, str]:
        return self._model.sha256(), self._model.configuration_sha256(), self._model.vae_sha256()

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversions."""
        return tuple(one.name for one in self._inversions)

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels.  Raises `OptionError`."""
        return size_of(job, self._model.pixels)

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch; every image its own branch unless the sampler is a Hyperbatch form and `forked`."""
        if self._forks(job, forked).policy == "none":
            return independent_levels(batch_size)
        return fork_schedule(batch_size, job.steps, job.fork_policy).levels

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """Images x steps; a second-order sampler's two calls a step count once."""
        return fork_schedule(batch_size, job.steps, self._forks(job, forked).policy).cost

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """The CFG scale."""
        return {"cfg_scale": job.cfg_scale}

    def interrupt(self) -> None:
        """Ask a running `render` to stop, and later ones not to start."""
        self._stop.set()

    def tagger(self) -> None:
        """No interrogator here."""

    def interrupted(self) -> bool:
        """True once `interrupt` was called."""
        return self._stop.is_set()

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed.

        Raises `OptionError` for a sampler, size or setting that is not known, `PromptError` for a weight that cannot
        be read, `HostInterrupted` after `interrupt`, `HostError` where the model's numbers are no picture.
        """
        if recipe.settings:  # a copy is checked option by option
            job = dataclasses.replace(job, **checked_settings(recipe, self.settings(job)))
        sampler, forks = find_sampler(job.sampler), self._forks(job, forked)
        width, height = self.size(job)
        if not seeds:
            raise OptionError("seeds", list(seeds), "at least one")
        with self._working(f"{len(seeds)} images of {width}x{height}"):
            latents = self._sampled(recipe, seeds, job, sampler, forks, (height // DOWN, width // DOWN))
            images = self._autoencoder.decode(latents)
        parameters = {**self._parameters(job, sampler, width, height), **self.loras.parameters(recipe.prompt)}
        texts = (infotext(recipe.prompt, recipe.negative_prompt, {**parameters, "Seed": seed}) for seed in seeds)
        return Batch(images, tuple(texts), self.evaluations(len(seeds), job, forked))

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits:
        """How badly each recipe explains the images.  What a recipe sets does not count: the CFG scale has no part."""
        sampler, (width, height) = find_sampler(job.sampler), self.size(job)
        pace = 2 if sampler.second_order else 1
        sigmas = self.sigmas(job.steps, sampler.scheduler or job.scheduler).to(self._device)
        with self._working(f"{len(recipes)} recipes at {width}x{height}"):
            clean = self._autoencoder.encode(np.stack(images))
            weights = [None if mask is None else self._small(mask, (height // DOWN, width // DOWN)) for mask in masks]
            values = np.empty((len(recipes), len(views)))
            for mix in dict.fromkeys(mixes := [self.loras.mix(recipe.prompt) for recipe in recipes]):
                alike = [index for index, other in enumerate(mixes) if other == mix]
                likelihood = Likelihood(
                    functools.partial(denoise, self._predictor, self._model.levels, self._model.prediction),
                    [self.guidance(recipes[index], pace * job.steps, job) for index in alike],
                    [recipes[index].negative_prompt for index in alike],
                    rows=2 * job.batch_size,
                    check=self._check,
                )
                for place, view in enumerate(views):
                    noise = view.sign * self.noise([view.seed], (height // DOWN, width // DOWN))[0]
                    sigma, image = sigmas[view.step], view.image
                    found = likelihood(clean[image], noise, weights[image], sigma, pace * view.step)
                    values[alike, place] = found.double().cpu().numpy()
        if not np.isfinite(values).all():
            raise HostError("the model's answer holds no numbers (NaN or infinite); try full precision")
        return Misfits(values, len(recipes) * len(views))

    @contextlib.contextmanager
    def _working(self, what: str) -> Iterator[None]:
        """Raises `HostInterrupted` after `interrupt`, `HostError` where the memory is too small."""
        self._check()
        try:
            with torch.inference_mode():
                yield
        except RuntimeError as error:
            if memory_ran_out(error):
                raise HostError(f"the memory is too small for {what}") from error
            raise

    def _small(self, mask: np.ndarray, shape: tuple[int, int]) -> Tensor:
        """What counts of each latent pixel: h x w, 0 to 1."""
        whole = torch.from_numpy(np.array(mask)).to(self._device).float()[None, None] / 255.0
        return nn.functional.adaptive_avg_pool2d(whole, shape)[0, 0]

    def _sampled(
        self,
        recipe: Recipe,
        seeds: Sequence[int],
        job: RenderOptions,
        sampler: SamplerChoice,
        forks: ForkOptions,
        shape: tuple[int, int],
    ) -> Tensor:
        """The batch's latents: float32, B x 4 x h x w."""
        calls = job.steps * (2 if sampler.second_order else 1)
        denoiser = Denoiser(
            network=self._predictor,
            levels=self._model.levels,
            prediction=self._model.prediction,
            guidance=self.guidance(recipe, calls, job),
            scale=job.cfg_scale,
            check=self._check,
        )
        sigmas = self.sigmas(job.steps, sampler.scheduler or job.scheduler).to(self._device)
        sample = make_hyperbatch(sampler.info.name, forks, seeds=seeds)
        latents: Tensor = sample(denoiser, self.noise(seeds, shape) * sigmas[0], sigmas)
        if not bool(torch.isfinite(latents).all()):
            hint = "" if self._dtype == torch.float32 else "; half precision may be too little for it: try the CPU"
            raise HostError(f"the model's answer holds no numbers (NaN or infinite){hint}")
        return latents

    def guidance(self, recipe: Recipe, calls: int, job: RenderOptions) -> Guidance:
        """What leads the denoiser, over so many calls.  Raises `PromptError` and `OptionError`."""
        return self.reader.guidance(recipe, calls, self.reading(recipe, job))

    def reading(self, recipe: Recipe, job: RenderOptions) -> Reading:
        """How its prompts are read; the LoRAs that they name are in the model's weights from then on.

        Raises `PromptError` for those that are not loaded.
        """
        mix = self.loras.mix(recipe.prompt)
        self._model.merge.put(mix)
        heard = tuple((lora, tag.text, tag.rank) for lora, tag in mix if lora.speaks)
        return Reading.of(job, *self.size(job), heard)

    def noise(self, seeds: Sequence[int], shape: tuple[int, int]) -> Tensor:
        """Each image's start, from its own seed as the WebUI draws it on the CPU: N(0, 1), B x 4 x h x w."""
        rows = [
            torch.randn((LATENT_CHANNELS, *shape), generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds
        ]
        return torch.stack(rows).to(self._device)

    def sigmas(self, steps: int, scheduler: str) -> Tensor:
        """The noise levels of a schedule, falling, the last one 0."""
        levels = self._model.levels
        if scheduler == "karras":
            return karras_sigmas(steps, levels.sigma_min, levels.sigma_max)
        return levels.steps(steps)

    def _forks(self, job: RenderOptions, forked: bool) -> ForkOptions:
        if forked and find_sampler(job.sampler).hyperbatch:
            return ForkOptions(job.fork_policy, job.fork_strength)
        return ForkOptions("none")

    def _check(self) -> None:
        if self._stop.is_set():
            raise HostInterrupted("rendering was stopped")

    def _parameters(self, job: RenderOptions, sampler: SamplerChoice, width: int, height: int) -> dict[str, object]:
        return {
            "Steps": job.steps,
            "Sampler": sampler.name,
            "Schedule type": SCHEDULES[sampler.scheduler or job.scheduler],
            "CFG scale": f"{job.cfg_scale:g}",
            "Seed": 0,
            "Size": f"{width}x{height}",
            "Model hash": self._sha256[0][:10],
            "Model": self._model.name,
            **({"VAE": self._model.vae_path.stem} if self._model.vae_path else {}),
            **({"Clip skip": job.clip_skip} if job.clip_skip > 1 else {}),
            **({"Emphasis": EMPHASIS[job.emphasis]} if job.emphasis in EMPHASIS else {}),
            "Version": f"prompt-pins {__version__}",
        }
