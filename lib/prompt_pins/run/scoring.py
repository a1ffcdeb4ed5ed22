"""Scoring and saving batches, on a worker thread while the host renders the next one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Union

import numpy as np

from ..config import LossGroup, RunConfig
from ..errors import PinError
from ..host import Batch, Host, Recipe, Tagger
from ..loss import (
    SCORERS,
    BatchLoss,
    LossOptions,
    Target,
    batch_targets,
    error_map,
    error_map_image,
    load_target,
    score_batch,
    tried,
)
from ..space import build, plain
from ..store import Candidate, RunFolder
from ..store.files import write_json
from ..store.folder import map_name, save_image
from .panel import Panel
from .rendering import render, tagger

log = logging.getLogger(__name__)

Levels = tuple[tuple[int, ...], ...]


def candidate_id(recipes: Sequence[Recipe], rows: Sequence[Sequence[int]]) -> str:
    """16 hexadecimal digits that name what a candidate's batches were rendered from: one, or one for each payload."""
    parts = []
    for recipe, seeds in zip(recipes, rows, strict=True):
        settings = [list(recipe.settings)] if recipe.settings else []
        parts.append([recipe.prompt, recipe.negative_prompt, list(seeds), *settings])
    text = json.dumps(parts if len(parts) > 1 else parts[0], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def image_names(seeds: Sequence[int], image_format: str, payload: int | None = None) -> tuple[str, ...]:
    """File names of a batch's images: the payload, from 0, where there are some; place in the batch, and seed."""
    whose = "" if payload is None else f"p{payload + 1:02d}-"
    return tuple(f"{whose}{index:05d}-{seed}.{image_format}" for index, seed in enumerate(seeds))


def loss_options(config: RunConfig) -> LossOptions:
    """The loss's share of a configuration."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(LossGroup)}
    options = LossOptions(**values)
    if config.score_text or not uses_scorers(options):
        return options
    return dataclasses.replace(options, score_text=plain(config.prompt))


def uses_scorers(options: LossOptions) -> bool:
    """Whether an objective is a scorer, whose files are on this machine."""
    return any(name in SCORERS for name, _ in options.loss_objectives)


def noted_normalisers(records: Iterable[Mapping[str, Any]]) -> dict[str, float] | None:
    """Those of a journal's first scored batch; an empty line, of an earlier version, is none."""
    lines = (line["values"] for line in records if line["kind"] == "normalisers")
    return next(filter(None, lines), None)


def check_loss(config: RunConfig, host: Host) -> None:
    """Refuse objectives that cannot be had here before anything is rendered: a black and a white image are scored.

    Scorers are then tried on one image of the prompt.  Raises `OptionError`: an unknown objective, a package, a file or
    an interrogator that is missing, a scorer that prefers noise.
    """
    width, height = host.size(config)
    images = np.zeros((2, height, width, 3), dtype=np.uint8)
    images[1], options = 255, loss_options(config)
    score_batch(images, batch_targets(images[:1]), None, options, tagger=tagger(host, options))
    if uses_scorers(options):
        space = build(config, host.embeddings(), host.settings(config))
        batch = render(host, space.recipe(space.original), (config.seed,), config, forked=False)
        tried(batch.images[0], options)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Scores batches as a `Scorer` does; it can be sent to another machine."""

    targets: tuple[Target, ...]
    levels: Levels
    options: LossOptions
    normalisers: Mapping[str, float] | None

    def __call__(self, images: np.ndarray) -> BatchLoss:
        """The loss of a batch (B x H x W x 3, uint8)."""
        return score_batch(images, self.targets, self.levels, self.options, normalisers=self.normalisers)


Scored = Union[tuple[BatchLoss, float], PinError, None]
"""A batch's loss and the seconds that it took, or why there is none; by eye None."""


class Scorer:
    """Scores batches against the targets and writes them down.  One thread at a time.

    targets: of each payload; of a plain run of the one that it is.
    normalisers: what losses are divided by, as the journal has them: of a plain run's objectives by their names, and of
    payloads `2` (the loss of the second one's original) and `2 flip` (of its objectives).
    """

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        panel: Panel,
        targets: Sequence[Sequence[Target]],
        normalisers: Mapping[str, float] | None = None,
        tagger: Tagger | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.panel = panel
        self.targets = targets
        self.tagger = tagger
        self._options = [loss_options(job) for job in panel.jobs]
        self._bases: tuple[float, ...] | None = None
        self._objectives: list[Mapping[str, float] | None] = [None] * panel.size
        if normalisers is not None and not panel.many:
            self._objectives = [normalisers]
        elif normalisers is not None:
            names = [str(index + 1) for index in range(panel.size)]
            self._bases = tuple(normalisers[name] for name in names)
            self._objectives = [
                {key[len(name) + 1 :]: value for key, value in normalisers.items() if key.startswith(f"{name} ")}
                for name in names
            ]

    @property
    def normalisers(self) -> dict[str, float] | None:
        """As the journal has them; None before the first candidate is scored."""
        if not self.panel.many:
            return None if self._objectives[0] is None else dict(self._objectives[0])
        if self._bases is None:
            return None
        found = {str(index): base for index, base in enumerate(self._bases, 1)}
        for index, own in enumerate(self._objectives, 1):
            found |= {f"{index} {name}": value for name, value in (own or {}).items()}
        return found

    def judge(self, levels: Levels, payload: int = 0) -> Judgement | None:
        """What scores a batch elsewhere; None where only this process can: the first batch of several objectives, and
        the host's interrogator; scorers, and by eye."""
        known = self._objectives[payload]
        first = known is None and len(self.config.loss_objectives) > 1
        if self.config.by_eye or self.tagger is not None or first or uses_scorers(self._options[payload]):
            return None
        return Judgement(tuple(self.targets[payload]), levels, self._options[payload], known)

    def score(self, images: np.ndarray, levels: Levels | None, payload: int = 0) -> BatchLoss:
        """The loss of a payload's batch (B x H x W x 3, uint8); its first one ever scored sets its normalisers."""
        loss = score_batch(
            images,
            self.targets[payload],
            levels,
            self._options[payload],
            normalisers=self._objectives[payload],
            tagger=self.tagger,
        )
        self._objectives[payload] = self._objectives[payload] or loss.normalisers
        return loss

    def keep(self, folder: str, names: Sequence[str], batch: Batch) -> None:
        """Write a batch's images into a folder of the run by these names; any thread may.  Raises `StoreError`."""
        self.folder.save_images(self.folder.path / folder, batch.images, names, batch.infotexts, batch.files)

    def batch(self, blank: Candidate, batch: Batch, levels: Levels, names: Sequence[str], payload: int = 0) -> Scored:
        """The loss of one payload's batch, after its images are in its folder by these names; by eye none."""
        started = time.perf_counter()
        if not batch.kept:
            self.keep(blank.folder, names, batch)
        if self.config.by_eye:
            return None
        try:
            loss = self.score(batch.images, levels, payload) if batch.loss is None else batch.loss
        except PinError as error:
            return error
        self._objectives[payload] = self._objectives[payload] or loss.normalisers
        return loss, time.perf_counter() - started

    def candidate(
        self, blank: Candidate, parts: Sequence[Future[Scored]], levels: Levels, rows: Sequence[Sequence[int]]
    ) -> Candidate:
        """`blank` with its loss, after `batch_stats.json` is in its folder, too; by eye without both.

        parts: what `batch` made of each payload's.  One that cannot be scored makes a failed candidate, with the
        reason.
        """
        started = time.perf_counter()
        found = [part.result() for part in parts]
        if self.config.by_eye:
            return blank
        scored = [part for part in found if isinstance(part, tuple)]
        for index, part in enumerate(found):
            if isinstance(part, PinError):
                return dataclasses.replace(blank, error=f"{self.panel.name(index)}{part}")
        losses = [loss for loss, _ in scored]
        done = self._pooled(blank, losses)
        write_json(self.folder.path / blank.folder / "batch_stats.json", self._stats(done, losses, levels, rows))
        took = math.fsum(seconds for _, seconds in scored)
        return dataclasses.replace(done, seconds={**blank.seconds, "score": took + time.perf_counter() - started})

    def _pooled(self, blank: Candidate, losses: Sequence[BatchLoss]) -> Candidate:
        """With the one batch's loss; with that of all payloads, each as a share of its own original's."""
        if not self.panel.many:
            return dataclasses.replace(blank, loss=losses[0].loss, fit=losses[0].fit, spread=losses[0].spread)
        if self._bases is None:  # this is the original, or the run ends (`pin`)
            self._bases = tuple(loss.loss if loss.loss > 0.0 else 1.0 for loss in losses)
        shares = np.array([loss.loss for loss in losses]) / self._bases
        fit, spread = (
            float(self.panel.pooled(np.array(values) / self._bases))
            for values in ([loss.fit for loss in losses], [loss.spread or 0.0 for loss in losses])
        )
        return dataclasses.replace(
            blank, loss=float(self.panel.pooled(shares)), fit=fit, spread=spread, shares=tuple(shares.tolist())
        )

    def maps(self, candidate: Candidate) -> None:
        """Keep the error map of each of a candidate's images against the target it is nearest to.

        Meant for the best candidate of a generation, off the run's critical path: what cannot be drawn is left out,
        and maps that are there already stay.
        """
        if not self.config.plots or not self.targets[0]:
            return
        folder, each = self.folder.path / candidate.folder, len(candidate.images) // self.panel.size
        try:
            for index, name in enumerate(candidate.images):
                path = folder / map_name(index)
                if path.is_file() or not (folder / name).is_file():
                    continue
                image = load_target(folder / name).pixels
                targets = self.targets[index // each]
                errors = [error_map(image, target, self.config.pixels_per_degree) for target in targets]
                save_image(path, error_map_image(min(errors, key=np.mean)))
        except (PinError, OSError) as error:
            log.info("no error map of candidate %s: %s", candidate.id, error)

    def _stats(
        self, done: Candidate, losses: Sequence[BatchLoss], levels: Levels, rows: Sequence[Sequence[int]]
    ) -> dict[str, Any]:
        """Of several payloads what is known of all images together, and each one's own under `payloads`."""
        sides: dict[str, list[tuple[str, float]]] = {"prompt": [], "negative": [], "settings": []}
        for text, value, side in self.panel.shown.parts(done.weights):
            sides[side].append((text, value))
        if self.panel.many:
            each = [loss.to_json() for loss in losses]
            whole: dict[str, Any] = {name: getattr(done, name) for name in ("fit", "spread")}
            whole |= {"calculated_loss": done.loss, "payloads": each, "objectives": {}}
            for name in ("calculated_loss_list", "per_image", "pairs"):
                whole[name] = [item for one in each for item in one[name]]
        else:
            whole = losses[0].to_json()
        return {
            "id": done.id,
            "generation": done.generation,
            "prompt": done.prompt,
            "negative_prompt": done.negative_prompt,
            "pos_weights": sides["prompt"],
            "neg_weights": sides["negative"],
            "settings": sides["settings"],
            "seeds": [seed for row in rows for seed in row],
            "images": list(done.images),
            "levels": [] if self.panel.many else [list(level) for level in levels],
            **whole,
        }
