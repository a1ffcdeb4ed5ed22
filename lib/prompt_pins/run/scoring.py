"""Scoring and saving batches, on a worker thread while the host renders the next one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

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
from ..space import Space, build, plain
from ..store import Candidate, RunFolder
from ..store.files import write_json
from ..store.folder import map_name, save_image
from .rendering import render, tagger

log = logging.getLogger(__name__)

Levels = tuple[tuple[int, ...], ...]


def candidate_id(recipe: Recipe, seeds: Sequence[int]) -> str:
    """16 hexadecimal digits that name what a batch was rendered from."""
    settings = [list(recipe.settings)] if recipe.settings else []
    text = json.dumps([recipe.prompt, recipe.negative_prompt, list(seeds), *settings], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def image_names(seeds: Sequence[int], image_format: str) -> tuple[str, ...]:
    """File names of a batch's images: place in the batch and seed."""
    return tuple(f"{index:05d}-{seed}.{image_format}" for index, seed in enumerate(seeds))


def loss_options(config: RunConfig) -> LossOptions:
    """The loss's share of a configuration."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(LossGroup)}
    return LossOptions(**{**values, "score_text": config.score_text or plain(config.prompt)})


def check_loss(config: RunConfig, host: Host) -> None:
    """Refuse objectives that cannot be had here before anything is rendered: a black and a white image are scored.

    Scorers are then tried on one image of the prompt.  Raises `OptionError`: an unknown objective, a package, a file or
    an interrogator that is missing, a scorer that prefers noise.
    """
    width, height = host.size(config)
    images = np.zeros((2, height, width, 3), dtype=np.uint8)
    images[1] = 255
    score_batch(images, batch_targets(images[:1]), None, loss_options(config), tagger=tagger(host))
    if any(name in SCORERS for name, _ in loss_options(config).loss_objectives):
        space = build(config, host.embeddings(), host.settings(config))
        batch = render(host, space.recipe(space.original), (config.seed,), config, forked=False)
        tried(batch.images[0], loss_options(config))


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


class Scorer:
    """Scores batches against the targets and writes them down.  One thread at a time."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        space: Space,
        targets: Sequence[Target],
        normalisers: Mapping[str, float] | None = None,
        tagger: Tagger | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.space = space
        self.targets = targets
        self.normalisers = normalisers
        self.tagger = tagger
        self._options = loss_options(config)

    def judge(self, levels: Levels) -> Judgement | None:
        """What scores a batch elsewhere; None where only this process can: the first batch of several objectives, and
        the host's interrogator; and by eye."""
        first = self.normalisers is None and len(self.config.loss_objectives) > 1
        own = any(name in SCORERS for name, _ in self._options.loss_objectives)  # whose files are here
        if self.config.by_eye or self.tagger is not None or first or own:
            return None
        return Judgement(tuple(self.targets), levels, self._options, self.normalisers)

    def score(self, images: np.ndarray, levels: Levels | None) -> BatchLoss:
        """The loss of a batch (B x H x W x 3, uint8); the first one ever scored sets the normalisers."""
        loss = score_batch(
            images, self.targets, levels, self._options, normalisers=self.normalisers, tagger=self.tagger
        )
        if self.normalisers is None:
            self.normalisers = loss.normalisers
        return loss

    def candidate(self, blank: Candidate, batch: Batch, levels: Levels, seeds: Sequence[int]) -> Candidate:
        """`blank` with its loss, after its images and `batch_stats.json` are in its folder; by eye without both.

        A batch that cannot be scored becomes a failed candidate, with the reason.
        """
        started = time.perf_counter()
        folder = self.folder.path / blank.folder
        self.folder.save_images(folder, batch.images, blank.images, batch.infotexts, batch.files)
        if self.config.by_eye:
            return blank
        try:
            loss = self.score(batch.images, levels) if batch.loss is None else batch.loss
        except PinError as error:
            return dataclasses.replace(blank, error=str(error))
        self.normalisers = self.normalisers or loss.normalisers
        done = dataclasses.replace(blank, loss=loss.loss, fit=loss.fit, spread=loss.spread)
        write_json(folder / "batch_stats.json", self._stats(done, loss, levels, seeds))
        seconds = {**blank.seconds, "score": time.perf_counter() - started}
        return dataclasses.replace(done, seconds=seconds)

    def maps(self, candidate: Candidate) -> None:
        """Keep the error map of each of a candidate's images against the target it is nearest to.

        Meant for the best candidate of a generation, off the run's critical path: what cannot be drawn is left out,
        and maps that are there already stay.
        """
        if not self.config.plots or not self.targets:
            return
        folder = self.folder.path / candidate.folder
        try:
            for index, name in enumerate(candidate.images):
                path = folder / map_name(index)
                if path.is_file() or not (folder / name).is_file():
                    continue
                image = load_target(folder / name).pixels
                errors = [error_map(image, target, self.config.pixels_per_degree) for target in self.targets]
                save_image(path, error_map_image(min(errors, key=np.mean)))
        except (PinError, OSError) as error:
            log.info("no error map of candidate %s: %s", candidate.id, error)

    def _stats(self, done: Candidate, loss: BatchLoss, levels: Levels, seeds: Sequence[int]) -> dict[str, Any]:
        sides: dict[str, list[tuple[str, float]]] = {"prompt": [], "negative": [], "settings": []}
        for text, value, side in self.space.parts(done.weights):
            sides[side].append((text, value))
        return {
            "id": done.id,
            "generation": done.generation,
            "prompt": done.prompt,
            "negative_prompt": done.negative_prompt,
            "pos_weights": sides["prompt"],
            "neg_weights": sides["negative"],
            "settings": sides["settings"],
            "seeds": list(seeds),
            "images": list(done.images),
            "levels": [list(level) for level in levels],
            **loss.to_json(),
        }
