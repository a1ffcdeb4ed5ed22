"""A `Host` behind a WebUI's API: AUTOMATIC1111, Forge or reForge, with this extension or without.

Nothing of the WebUI is changed: what a job needs is said with the job, and settings that a WebUI forgets to put back
are put back at the end.  Imports numpy and Pillow.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from .. import __version__
from ..config import RenderOptions
from ..errors import HostError, OptionError
from ..host import Batch, Misfits, Recipe, Tagger, View, checked_settings
from ..sampling import fork_schedule, independent_levels
from .answers import WorkerFault
from .client import Client

NAME = "webui-api"
SUFFIX = " - Hyperbatch"
SCHEDULES = {"karras": ("Karras",), "normal": ("Normal", "Uniform", "Automatic")}
"""Ours to the WebUIs' names of them: the first one that a WebUI has."""
EMPHASIS = {"original": "Original", "no-norm": "No norm"}
FORKS = {"fork_policy": "prompt_pins_fork_policy", "fork_strength": "prompt_pins_fork_strength"}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a WebUI says of itself.

    checkpoint, sha256: what it has loaded; "" where it does not say.  schedulers: None on those that have none.
    loras: None where it does not list them.  kind: of its device.
    """

    checkpoint: str
    sha256: str
    options: Mapping[str, Any]
    samplers: frozenset[str]
    schedulers: frozenset[str] | None
    embeddings: frozenset[str]
    loras: frozenset[str] | None
    kind: str


@dataclasses.dataclass(frozen=True)
class Source:
    """The image that img2img redraws.  image: uint8, H x W x 3; strength: of the denoising, 0 to 1."""

    image: np.ndarray
    strength: float

    @property
    def sha256(self) -> str:
        """What tells it from another one."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()


class ApiHost:
    """One WebUI.  forks: whether batches are trees, which all WebUIs of a pool must know; else they are plain."""

    def __init__(self, client: Client, facts: Facts, forks: bool, source: Source | None = None) -> None:
        self.client, self.facts, self.forks, self.source = client, facts, forks, source
        self._put: dict[str, Any] = {}

    def describe(self) -> dict[str, Any]:
        """The checkpoint and what else decides pixels, as far as a WebUI tells."""
        facts, options = self.facts, self.facts.options
        source = self.source
        return {
            "name": NAME,
            "version": __version__,
            "checkpoint": facts.checkpoint,
            "checkpoint_sha256": facts.sha256,
            "vae": str(options.get("sd_vae", "")),
            "forks": self.forks,
            **({"source_sha256": source.sha256, "denoising_strength": source.strength} if source else {}),
        }

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversions that it has loaded."""
        return tuple(sorted(self.facts.embeddings))

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """The CFG scale, and in img2img the denoising strength."""
        found = {"cfg_scale": job.cfg_scale}
        return found if self.source is None else {**found, "denoising_strength": self.source.strength}

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels; in img2img the source's own where the job has none.  Raises `OptionError`."""
        own = (0, 0) if self.source is None else tuple(max(side // 8, 8) * 8 for side in self.source.image.shape[1::-1])
        width, height = job.width or own[0], job.height or own[1]
        for name, pixels in (("width", width), ("height", height)):
            if not pixels:
                raise OptionError(name, 0, "the images' size in pixels: WebUIs do not tell their model's own")
        return width, height

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch; every image its own branch in plain batches."""
        policy = self._policy(job, forked)
        if policy == "none":
            return independent_levels(batch_size)
        return fork_schedule(batch_size, self._steps(job), policy).levels

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """Images x steps."""
        return fork_schedule(batch_size, self._steps(job), self._policy(job, forked)).cost

    def tagger(self) -> Tagger | None:
        """None."""

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        """None: the API does not ask the denoiser."""

    def interrupted(self) -> bool:
        """Never: a run is stopped where it runs."""
        return False

    def interrupt(self) -> None:
        """Stop the batch that it renders."""
        self.client.post("/sdapi/v1/interrupt", {})

    def check(self) -> None:
        """Raises `WorkerFault` where it cannot be used."""
        try:
            name, sha256 = loaded(self.client.get("/sdapi/v1/options", {}))
        except (OptionError, HostError) as error:
            raise WorkerFault(str(error)) from error
        if name != self.facts.checkpoint or (sha256 and self.facts.sha256 and sha256 != self.facts.sha256):
            raise WorkerFault(f"it has the checkpoint {name or 'none'} now, not {self.facts.checkpoint}")

    def close(self) -> None:
        """Put back the settings that a WebUI has kept of our jobs, and end the connections."""
        try:
            if self._put:
                now = self.client.get("/sdapi/v1/options", {})
                left = {name: self.facts.options[name] for name, value in self._put.items() if now.get(name) == value}
                if left:
                    self.client.post("/sdapi/v1/options", left)
        except (WorkerFault, OptionError, HostError):
            pass  # it is gone, and what it has kept with it
        self.client.close()

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed; the WebUI counts them up, so others are asked for one after the other.

        Raises `OptionError`, `HostError`, `WorkerFault`.
        """
        rows = consecutive(seeds)
        if len(rows) > 1 and self._policy(job, forked) != "none":
            raise OptionError("seed", seeds[0], "one from which all seeds of a tree follow one by one, below 2**32")
        parts = [self._rendered(recipe, row, job, forked) for row in rows]
        texts = tuple(text for _, infotexts in parts for text in infotexts)
        images = np.concatenate([images for images, _ in parts])
        return Batch(images, texts, self.evaluations(len(seeds), job, forked))

    def _rendered(
        self, recipe: Recipe, row: Sequence[int], job: RenderOptions, forked: bool
    ) -> tuple[np.ndarray, list[str]]:
        tab, body = self._body(recipe, row, job, forked)
        try:
            answer = self.client.post(f"/sdapi/v1/{tab}", body, patient=True)
        except OptionError as error:
            raise WorkerFault(str(error)) from error
        try:
            images = np.stack([decoded(image) for image in answer["images"]])
            texts = [str(text) for text in json.loads(answer["info"])["infotexts"]]
        except Exception as error:
            raise WorkerFault(f"its answer cannot be read ({type(error).__name__})") from error
        for key, known in (("Model hash", self.facts.sha256[:10]), ("Model", self.facts.checkpoint)):
            told = re.search(rf'\b{key}: "?([^,"]+)', texts[0].rpartition("\n")[2]) if texts else None
            if told and known and not told[1].startswith(known) and not known.startswith(told[1]):
                raise WorkerFault(f"it has another checkpoint ({told[1]}, not {known})")
        return images, texts

    def _body(self, recipe: Recipe, row: Sequence[int], job: RenderOptions, forked: bool) -> tuple[str, dict[str, Any]]:
        """(txt2img or img2img, the job)."""
        values = checked_settings(recipe, self.settings(job))
        width, height = self.size(job)
        sampler, scheduler = chosen(self.facts, job, forked and self.forks)
        wanted = settings(self.facts, job, self._policy(job, forked))
        self._put |= wanted
        body = {
            "prompt": recipe.prompt, "negative_prompt": recipe.negative_prompt,
            "seed": row[0], "batch_size": len(row), "n_iter": 1, "steps": job.steps, "cfg_scale": job.cfg_scale,
            "width": width, "height": height,
            "sampler_name": sampler, **({"scheduler": scheduler} if scheduler else {}),
            "override_settings": wanted, "override_settings_restore_afterwards": True,
            "send_images": True, "save_images": False, "do_not_save_samples": True, "do_not_save_grid": True,
            **values,
        }  # fmt: skip
        if self.source is None:
            return "txt2img", body
        strength = {"denoising_strength": self.source.strength}
        return "img2img", {**strength, **body, "init_images": [encoded(self.source.image)]}

    def _steps(self, job: RenderOptions) -> int:
        """In img2img, what the strength leaves of them."""
        return job.steps if self.source is None else int(min(self.source.strength, 0.999) * job.steps) + 1

    def _policy(self, job: RenderOptions, forked: bool) -> str:
        return job.fork_policy if forked and self.forks else "none"


def loaded(options: Any) -> tuple[str, str]:
    """(name, SHA-256) of the checkpoint that a WebUI says it has loaded."""
    known = options if isinstance(options, dict) else {}
    name = re.sub(r"\s*\[\w+\]$", "", str(known.get("sd_model_checkpoint") or ""))
    name = re.split(r"[/\\]", re.sub(r"\.(safetensors|ckpt|gguf|sft|pt)$", "", name))[-1]
    return name, str(known.get("sd_checkpoint_hash") or "")


def plain(sampler: str) -> str:
    """A sampler's name without what says that it forks."""
    return sampler.removesuffix(SUFFIX)


def chosen(facts: Facts, job: RenderOptions, forks: bool) -> tuple[str, str]:
    """(sampler, schedule or "") by the WebUI's own names.  Raises `OptionError` for those that it lacks."""
    suffix = SUFFIX if forks and job.sampler.endswith(SUFFIX) else ""
    name = plain(job.sampler)
    by_name = f"{name} Karras" if job.scheduler == "karras" else name
    if facts.schedulers is None:  # a host before 1.9 names schedules with its samplers
        sampler = by_name if by_name + suffix in facts.samplers else name
        schedule = ""
    else:
        sampler = name
        schedule = next((found for found in SCHEDULES[job.scheduler] if found in facts.schedulers), "")
    if sampler + suffix not in facts.samplers:
        raise OptionError("sampler", job.sampler, "one that every WebUI has: " + ", ".join(sorted(facts.samplers)))
    return sampler + suffix, schedule


def settings(facts: Facts, job: RenderOptions, policy: str) -> dict[str, Any]:
    """The WebUI's settings that a job needs otherwise than they are.  Raises `OptionError` for one that it lacks."""
    wanted: dict[str, Any] = {"emphasis": EMPHASIS[job.emphasis]}
    if job.clip_skip:
        wanted["CLIP_stop_at_last_layers"] = job.clip_skip
    if job.crop_top or job.crop_left:
        wanted |= {"sdxl_crop_top": job.crop_top, "sdxl_crop_left": job.crop_left}
    if policy != "none":
        wanted |= {key: getattr(job, name) for name, key in FORKS.items()}
    for name in wanted.keys() - facts.options.keys():
        if name != "emphasis" or job.emphasis != "original":  # what an older host does, which has no such setting
            raise OptionError("webui", name, "WebUIs that have this setting")
    return {name: value for name, value in wanted.items() if facts.options.get(name, value) != value}


def consecutive(seeds: Sequence[int]) -> list[list[int]]:
    """Seeds cut where one does not follow the one before."""
    rows: list[list[int]] = []
    for seed in seeds:
        if rows and rows[-1][-1] + 1 == seed:
            rows[-1].append(seed)
        else:
            rows.append([seed])
    return rows


def decoded(text: str) -> np.ndarray:
    """An image of an answer: uint8, H x W x 3."""
    with Image.open(
        io.BytesIO(base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text))
    ) as image:
        return np.asarray(image.convert("RGB"))


def encoded(image: np.ndarray) -> str:
    """An image (uint8, H x W x 3) of a request."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
