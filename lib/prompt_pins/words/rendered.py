"""What a word does to the images: each wording is rendered on the same seeds.  Imports numpy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..errors import HostInterrupted
from ..host import Batch, Host, Recipe
from ..loss import BatchLoss, Target, flip_pairs, score_batch
from ..run import seeds
from ..run.rendering import render, tagger
from ..run.scoring import loss_options
from ..space import Space
from ..store import RunFolder
from ..store.folder import save_image
from .effects import effect, spread_values
from .result import INTERRUPTED, Places, Side, Word

KEPT = 4  # images that are kept of each wording


def kept(folder: RunFolder, name: str, images: Collection[np.ndarray], image_format: str) -> tuple[str, ...]:
    """The first few of some images, saved as `name`: their paths relative to the folder."""
    files = [f"{name}/{index:05d}.{image_format}" for index in range(min(len(images), KEPT))]
    for file, image in zip(files, images):
        save_image(folder.path / file, image)
    return tuple(files)


class ByImages:
    """Each image independent of the others (no tree).  The unchanged prompt is rendered at once."""

    hint = ""

    def __init__(
        self, config: RunConfig, options: AnalysisOptions, host: Host, space: Space, targets: Sequence[Target],
        folder: RunFolder,
    ) -> None:  # fmt: skip
        self.config, self.host, self.space, self.targets, self.folder = config, host, space, targets, folder
        self.seeds = seeds.analysis_seeds(config.seed, options.analysis_seeds)
        self.loss = loss_options(config)
        self.rng = np.random.Generator(np.random.PCG64(config.seed))
        self.evaluations = 0
        self._words: list[Word] = []
        self._images, self._base = self._measure(space.recipe(space.original), None)
        self.images = self._kept("original", self._images)
        self.fit, self.spread = self._base.fit, self._base.spread or 0.0

    def measured(self, movable: Mapping[int, Places]) -> Iterator[str]:
        """One by one.  movable: the axes, and the vectors of their sides."""
        for index, places in movable.items():
            axis = self.space.axes[index]
            found = {name: self._side(name, index, vector) for name, vector in places.items()}
            rows = [np.mean([values[i] for _, values in found.values()], axis=0) for i in (0, 1)]
            image, fit = (effect(row, self.rng) for row in rows)
            sides = {name: side for name, (side, _) in found.items()}
            word = Word(axis.label, axis.side, axis.original, image, fit, sides.get("lowered"), sides.get("raised"))
            self._words.append(word)
            yield axis.label

    def words(self) -> Sequence[Word]:
        """Those that were measured."""
        return self._words

    def _side(self, name: str, index: int, vector: Sequence[float]) -> tuple[Side, tuple[np.ndarray, np.ndarray]]:
        """An axis at another value, and its values of image and fit, seed by seed."""
        recipe = self.space.recipe(vector)
        images, loss = self._measure(recipe, self._base.normalisers)
        moved = flip_pairs(self._images, images, self.config.pixels_per_degree)
        fits = np.array([fit for fit, _ in loss.per_image]) - [fit for fit, _ in self._base.per_image]
        spread = spread_values(np.array(loss.image_image) - np.array(self._base.image_image))
        fitted, spreading, moving = (effect(values, self.rng) for values in (fits, spread, moved))
        names = self._kept(f"{index:03d}-{name}", images)
        return Side(vector[index], recipe.prompt, recipe.negative_prompt, fitted, spreading, moving, names), (
            moved,
            fits,
        )

    def _measure(self, recipe: Recipe, normalisers: Any) -> tuple[np.ndarray, BatchLoss]:
        """Every seed's own image (S x H x W x 3, uint8) and their losses."""
        size = self.config.batch_size
        parts: list[Batch] = []
        for start in range(0, len(self.seeds), size):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            parts.append(render(self.host, recipe, self.seeds[start : start + size], self.config, forked=False))
        self.evaluations += sum(part.evaluations for part in parts)
        images = np.concatenate([part.images for part in parts])
        tags = tagger(self.host)
        return images, score_batch(images, self.targets, None, self.loss, normalisers=normalisers, tagger=tags)

    def _kept(self, name: str, images: np.ndarray) -> tuple[str, ...]:
        return kept(self.folder, name, list(images), self.config.image_format)
