"""The WebUI as a host: renders prompts by `process_images` on copies of the user's own, pristine job."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from modules import processing, shared

from .. import __version__
from ..config import RenderOptions, RunConfig
from ..errors import HostError, HostInterrupted, OptionError
from ..host import Batch, Misfits, Recipe, Tagger, View, checked_settings
from ..merge.blocks import weights_of
from ..sampling import ForkOptions, fork_schedule, independent_levels
from ..store import Record
from . import (
    assets,
    blending,
    checkpoints,
    compat,
    extent,
    history,
    likelihood,
    neighbours,
    overrides,
    samplers,
    tagger,
)
from .job import Job
from .parsing import spared

log = logging.getLogger(__name__)

MAX_COMMENTS = 8
SAME = (
    "checkpoint", "scheduler", "size", "image_to_image", "source", "hires_fix", "denoising_strength",
    "steps", "width", "height",
)  # fmt: skip
"""What must be as it was when a run goes on, besides `assets`; sampler, steps, seed and the like must, too.

A denoising strength counts where something is denoised: in image to image, and with hires fix.
"""


class WebuiHost:
    """One job of the WebUI as a `Host`.

    texts: all prompts and negative prompts of the run, by which its files are known; at first the job's own.
    checkpoints: what its payloads name.  seconds, images: spent rendering, and rendered, so far.  merge: what recipes'
    block weights are put into.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.texts = job.positive, job.negative
        self.checkpoints: tuple[str, ...] = ()
        self._own = checkpoints.chosen()
        self.seconds = 0.0
        self.images = 0
        self.merge: blending.LoadedMerge | None = None

    def describe(self) -> dict[str, Any]:
        """Name, versions, checkpoint and what a run does not choose itself: settings, files by their fingerprints."""
        p = self.job.pristine
        said = {"template": self.job.template, "emphasis": overrides.emphasis_note(p)}
        return {
            **{name: text for name, text in said.items() if text},
            "name": "webui",
            "version": compat.version(),
            "prompt_pins": __version__,
            "checkpoint": str(getattr(shared.opts, "sd_model_checkpoint", "") or ""),
            "scheduler": str(getattr(p, "scheduler", "") or ""),
            "size": list(extent.image_size(p)),
            **{name: int(getattr(p, name)) for name in ("steps", "width", "height")},  # as the host's own fields say
            "image_to_image": bool(getattr(p, "init_images", None)),
            "source": _digest([*(getattr(p, "init_images", None) or []), getattr(p, "image_mask", None)]),
            "denoising_strength": getattr(p, "denoising_strength", None),
            "hires_fix": bool(getattr(p, "enable_hr", False)),
            **assets.describe(self.job.copy(), *self.texts, self.checkpoints),
            **(self.merge.describe() if self.merge else {}),
        }

    def expects(self, config: RunConfig) -> None:
        """What a run needs beside the job's own: known before it begins, for `describe`."""
        self.texts = config.every_text, config.every_negative
        self.checkpoints = tuple(filter(None, config.checkpoints))

    def check_begun(self, record: Record) -> None:
        """Raises `OptionError` or `CheckpointError` where a run that goes on would be rendered with something else."""
        known, config = record.host, RunConfig.from_record(record.config)
        self.expects(config)
        found = self.describe()
        denoises = found["image_to_image"] or found["hires_fix"]
        for name in (one for one in SAME if denoises or one != "denoising_strength"):
            hashed = name == "checkpoint" and "checkpoint" in (known.get("assets") or {})  # its title may have changed
            if not hashed and known.get(name, found[name]) != found[name]:
                raise OptionError(name, found[name], f"{known[name]!r}, as when this run began")
        assets.check(known, found)

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversions that fit the loaded model."""
        return compat.embedding_names()

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) of the finished images: the user's job's, but what a payload has of its own.

        Raises `OptionError` where the job says more of sizes than these: in img2img, and with hires fix.
        """
        p = self.job.pristine
        width, height = extent.image_size(p)
        if (job.width or job.height) and (getattr(p, "init_images", None) or getattr(p, "enable_hr", False)):
            raise OptionError("width", job.width or job.height, "none in img2img and with hires fix")
        return job.width or width, job.height or height

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch; every image its own branch where the sampler or a neighbour cannot fork."""
        forks = self.forks(job, forked)
        if forks.policy == "none":
            return independent_levels(batch_size)
        return fork_schedule(batch_size, job.steps, forks.policy).levels

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """Images x steps of the first pass, as a tree, and of a second pass, which never forks."""
        first = fork_schedule(batch_size, job.steps, self.forks(job, forked).policy).cost
        return first + batch_size * extent.hires_steps(self.job.pristine)

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """The CFG scale and, in img2img, the denoising strength: not where the fork policy names steps.

        The strength says how many steps there are, and named ones would be beyond the last.
        """
        p, found = self.job.pristine, {"cfg_scale": float(self.job.pristine.cfg_scale)}
        if getattr(p, "init_images", None) and isinstance(self.forks(job, forked=True).policy, str):
            found["denoising_strength"] = float(p.denoising_strength)
        return found | (dict.fromkeys(self.merge.sources.names, job.merge_start) if self.merge else {})

    def forks(self, job: RenderOptions, forked: bool) -> ForkOptions:
        """How this job's batches fork."""
        if not forked or samplers.hyperbatch_info(job.sampler) is None or samplers.obstacle(self.job.pristine):
            return ForkOptions("none")
        return ForkOptions(job.fork_policy, job.fork_strength)

    def tagger(self) -> Tagger | None:
        """DeepDanbooru, where the WebUI has its weights."""
        return tagger.find()

    def interrupted(self) -> bool:
        """True once the user pressed Interrupt, or asked to stop after the running batch."""
        return compat.stopping()

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed.

        Raises `HostInterrupted` if the user stopped it, `HostError` if a batch was skipped or is not whole,
        `OptionError` for a setting that the job does not have.
        """
        if not seeds:
            raise OptionError("seeds", list(seeds), "at least one")
        q = self._copy(recipe, list(seeds), job, forked)
        if recipe.settings:  # a denoising strength of its own takes steps of its own
            job = dataclasses.replace(job, steps=extent.rendered_steps(q))
        neighbours.prepare(q)
        started = time.perf_counter()
        processed = self._processed(q, job.checkpoint)
        took = time.perf_counter() - started
        self.seconds, self.images = self.seconds + took, self.images + len(seeds)
        if neighbours.rewritten(q, recipe.prompt, seeds):
            self._pass_on([neighbours.REWRITTEN])
        first = processed.index_of_first_image
        images = processed.images[first : first + len(seeds)]
        texts = processed.infotexts[first : first + len(seeds)]
        if len(images) != len(seeds) or len(texts) != len(seeds):
            raise HostError(f"the WebUI returned {len(images)} images instead of {len(seeds)}")
        if len({image.size for image in images}) > 1:
            raise HostError("the WebUI returned images of different sizes")
        pixels = np.stack([np.asarray(image.convert("RGB"), dtype=np.uint8) for image in images])
        return Batch(pixels, tuple(texts), self.evaluations(len(seeds), job, forked))

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        """How badly each recipe's prompts explain the images; None, with a line below the result, where it can't tell.

        Of hires fix only the first pass counts.  Raises as `render` does.
        """
        looks, started = likelihood.Looks(images, masks, views, len(recipes)), time.perf_counter()
        for places in likelihood.batches(recipes, job.batch_size):
            q = self._copy(Recipe(""), [job.seed] * len(places), job, forked=False)
            neighbours.prepare(q)
            with looks.of(q, recipes, places):
                self._processed(q, job.checkpoint)
            if looks.problem:
                compat.comment(self.job.pristine, f"The denoiser was not asked first: {looks.problem}")
                return None
        self.seconds += time.perf_counter() - started
        return looks.found()

    def _copy(self, recipe: Recipe, seeds: list[int], job: RenderOptions, forked: bool) -> Any:
        """The user's job with this recipe and these seeds.  Variation seeds vary where the user gave a strength."""
        p = self.job.pristine
        q = self.job.copy()
        q.prompt, q.negative_prompt = recipe.prompt, recipe.negative_prompt
        values = checked_settings(recipe, self.settings(job))
        blocks = weights_of({**self.settings(job), **values})
        for name, value in values.items():
            if name not in blocks:
                setattr(q, name, value)
        if self.merge is not None:
            self.merge.put(blocks, job.merge_precision)
            blending.forget_prompts(q)
        if job.width or job.height:
            q.width, q.height = self.size(job)
        q.batch_size, q.n_iter = len(seeds), 1
        if p.subseed_strength:
            q.seed, q.subseed = [p.seed] * len(seeds), seeds
        else:
            q.seed, q.subseed = seeds, [p.subseed + index for index in range(len(seeds))]
        q.do_not_save_samples = q.do_not_save_grid = q.do_not_reload_embeddings = True
        forks = self.forks(job, forked)
        setattr(q, samplers.POLICY, forks.policy)
        setattr(q, samplers.STRENGTH, forks.strength)
        return q

    def _processed(self, q: Any, checkpoint: str) -> Any:
        """The host's answer; never one of a batch that was interrupted or skipped.  checkpoint: "" is the job's own."""
        parser, title = None, checkpoints.title(q, checkpoint, self._own)
        try:
            with (
                checkpoints.in_force(title),
                overrides.in_force(q),
                history.kept(),
                spared(compat.prompt_parser()) as parser,
            ):
                processed = processing.process_images(q)
        except compat.INTERRUPTION as error:
            raise HostInterrupted("rendering was stopped") from error
        except Exception as error:  # the host's, or another extension's
            log.exception("the WebUI could not render a candidate")
            raise HostError(f"the WebUI could not render: {type(error).__name__}: {error}") from error
        finally:
            self._pass_on([*q.comments, *([parser.warning()] if parser and parser.warning() else [])])
        if shared.state.interrupted:
            raise HostInterrupted("rendering was stopped")
        if shared.state.skipped:
            shared.state.skipped = False
            raise HostError("this batch was skipped")
        if not processed.images:
            raise HostInterrupted("rendering was stopped")
        return processed

    def _pass_on(self, comments: Iterable[str]) -> None:
        """What the host and the samplers said of a batch belongs below the run's images, once."""
        said = self.job.pristine.comments
        for text in comments:
            if text not in said and len(said) < MAX_COMMENTS:
                compat.comment(self.job.pristine, text)


def _digest(images: Iterable[Any]) -> str:
    """What tells one source image, with its mask, from another; "" where there is none."""
    pixels = [image.tobytes() for image in images if hasattr(image, "tobytes")]
    return hashlib.sha256(b"".join(pixels)).hexdigest()[:16] if pixels else ""
