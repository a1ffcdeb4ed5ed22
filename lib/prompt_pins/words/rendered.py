"""What a word does to the images: each wording is rendered on the same seeds.  Imports numpy."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..errors import HostInterrupted, StoreError
from ..host import Batch, Host, Recipe
from ..loss import BatchLoss, Target, flip_pairs, load_target, score_batch
from ..run import seeds
from ..run.rendering import render, tagger
from ..run.scoring import loss_options
from ..store import Measured, RunFolder, Unchanged, Wording
from ..store.folder import save_image
from .effects import spread_values
from .parts import Part
from .result import INTERRUPTED, KEPT


class ByImages:
    """Each image independent of the others (no tree).

    images: rendered so far.
    """

    together = 1

    def __init__(
        self, config: RunConfig, options: AnalysisOptions, host: Host, targets: Sequence[Target], folder: RunFolder
    ) -> None:
        self.config, self.host, self.targets, self.folder = config, host, targets, folder
        self.seeds = seeds.analysis_seeds(config.seed, options.analysis_seeds)
        self.loss = loss_options(config)
        self.images = 0

    def begin(self, original: Recipe, known: Unchanged | None) -> Unchanged | None:
        """The unchanged prompt; known: as it was measured before.  What is new is to be written down."""
        started = time.perf_counter()
        if known is not None:
            self._images = np.stack([self._read(name) for name in known.images])
            self._base = self._score(self._images, None)
            return None
        batch = self._rendered(original, len(self.seeds))
        self._images, self._base = batch.images, self._score(batch.images, None)
        names = tuple(f"original/{index:05d}.png" for index in range(len(self._images)))
        for name, image, text in zip(names, batch.images, batch.infotexts):
            save_image(self.folder.path / name, image, text)
        fits, seconds = tuple(fit for fit, _ in self._base.per_image), {"wall": time.perf_counter() - started}
        return Unchanged(self._base.fit, self._base.spread or 0.0, fits, names, batch.evaluations, seconds)

    def measure(self, parts: Sequence[Part], place: int) -> list[Measured]:
        """Each at its sides.  place: of the first one in the order of measuring, which names its images."""
        return [self._measured(part, place + index) for index, part in enumerate(parts)]

    def _measured(self, part: Part, place: int) -> Measured:
        started, evaluations, count = time.perf_counter(), 0, part.seeds or len(self.seeds)
        sides: dict[str, Any] = {}
        for name, there in part.places.items():
            batch = self._rendered(there.recipe, count)
            evaluations += batch.evaluations
            loss = self._score(batch.images, self._base.normalisers)
            moved = flip_pairs(self._images[:count], batch.images, self.config.pixels_per_degree)
            fits = [fit - before for (fit, _), (before, _) in zip(loss.per_image, self._base.per_image)]
            base = np.array(self._base.image_image)[:count, :count]
            spreads = spread_values(np.array(loss.image_image) - base)
            sides[name] = Wording(
                there.weight,
                there.recipe.prompt,
                there.recipe.negative_prompt,
                tuple(map(float, moved)),
                tuple(map(float, fits)),
                tuple(map(float, spreads)),
                kept(self.folder, f"{place:03d}-{name}", list(batch.images), self.config.image_format),
            )
        seconds = {"wall": time.perf_counter() - started}
        return Measured(part.label, part.side, part.weight, evaluations, phrase=part.phrase, seconds=seconds, **sides)

    def _rendered(self, recipe: Recipe, count: int) -> Batch:
        """The first `count` seeds' own images (uint8, count x H x W x 3)."""
        size, parts = self.config.batch_size, list[Batch]()
        for start in range(0, count, size):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            row = self.seeds[start : min(start + size, count)]
            parts.append(render(self.host, recipe, row, self.config, forked=False))
        self.images += count
        texts = tuple(text for part in parts for text in part.infotexts)
        return Batch(np.concatenate([part.images for part in parts]), texts, sum(part.evaluations for part in parts))

    def _score(self, images: np.ndarray, normalisers: Any) -> BatchLoss:
        tags = tagger(self.host)
        return score_batch(images, self.targets, None, self.loss, normalisers=normalisers, tagger=tags)

    def _read(self, name: str) -> np.ndarray:
        path = self.folder.inside(name)
        if not path.is_file():
            raise StoreError(f"{path}: is missing, so this analysis cannot go on")
        return load_target(path).pixels


def kept(folder: RunFolder, name: str, images: Collection[np.ndarray], image_format: str) -> tuple[str, ...]:
    """The first few of some images, saved as `name`: their paths relative to the folder."""
    files = [f"{name}/{index:05d}.{image_format}" for index in range(min(len(images), KEPT))]
    for file, image in zip(files, images):
        save_image(folder.path / file, image)
    return tuple(files)
