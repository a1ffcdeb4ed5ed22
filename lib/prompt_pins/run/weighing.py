"""Other wordings of a prompt, each compared with it on the same seeds, and the pinned prompt's words measured so.

Images are independent of each other (no tree).  Imports numpy.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import RunConfig
from ..effects import Array, spread_values
from ..errors import HostInterrupted
from ..host import Batch, Host, Recipe
from ..loss import BatchLoss, Target, flip_pairs, score_batch
from ..search import INTERRUPTED
from ..space import Space
from ..store import Measured, Unchanged, Wording
from . import seeds
from .rendering import ahead, chunks, render, tagger
from .scoring import loss_options

SEEDS = 8
"""Images of each wording: as few as an interval can be told from."""
STEP = 0.5
"""How far a word's weight is lowered and raised."""
ROOM = 0.2
"""Of the other side's step: a side that a bound leaves less is not worth its images."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What another wording does: (S,) values of fit and spread less those of the prompt, and how far images moved.

    images: (S x H x W x 3, uint8).
    """

    images: np.ndarray
    fits: Array
    spreads: Array
    moved: Array

    def wording(self, weight: float, recipe: Recipe, images: tuple[str, ...] = ()) -> Wording:
        """As a journal has it.  images: paths of those that are kept."""
        moved, fits, spreads = (tuple(map(float, row)) for row in (self.moved, self.fits, self.spreads))
        return Wording(weight, recipe.prompt, recipe.negative_prompt, moved, fits, spreads, images)


class Comparison:
    """A prompt's images, one for each seed, and what other wordings do on the same seeds.

    known: the prompt's images, where they were rendered before.
    evaluations: the denoiser's so far, in images x steps.  infotexts: of the prompt's images, () where known.
    Raises `HostError`, `HostInterrupted`.
    """

    def __init__(
        self,
        config: RunConfig,
        host: Host,
        targets: Sequence[Target],
        recipe: Recipe,
        row: Sequence[int],
        known: np.ndarray | None = None,
    ) -> None:
        self.config, self.host, self.targets, self.seeds = config, host, targets, row
        self.evaluations = 0
        self._options = loss_options(config)
        self.infotexts: tuple[str, ...] = ()
        if known is None:
            batch = self._rendered(recipe, len(row))
            known, self.infotexts = batch.images, batch.infotexts
        self.images, self.loss = known, self._scored(known, None)

    def unchanged(self, images: tuple[str, ...], started: float) -> Unchanged:
        """The prompt's own losses as a journal has them.  images: paths of those that are kept."""
        loss, seconds = self.loss, {"wall": time.perf_counter() - started}
        fits = tuple(fit for fit, _ in loss.per_image)
        return Unchanged(loss.fit, loss.spread or 0.0, fits, images, self.evaluations, seconds)

    def ahead(self, recipes: Sequence[tuple[Recipe, int]]) -> None:
        """What is asked for next: (another wording, on so many seeds, 0 for all)."""
        ahead(
            self.host,
            lambda: (r for recipe, count in recipes for r in chunks(recipe, self.seeds[: count or None], self.config)),
        )

    def change(self, recipe: Recipe, count: int = 0) -> Change:
        """Another wording's images, and their values seed by seed; count: on so many seeds, 0 for all."""
        count = count or len(self.seeds)
        images = self._rendered(recipe, count).images
        loss = self._scored(images, self.loss.normalisers)
        fits = np.array([fit for fit, _ in loss.per_image]) - [fit for fit, _ in self.loss.per_image[:count]]
        spreads = spread_values(np.array(loss.image_image) - np.array(self.loss.image_image)[:count, :count])
        return Change(images, fits, spreads, flip_pairs(self.images[:count], images, self.config.pixels_per_degree))

    def _rendered(self, recipe: Recipe, count: int) -> Batch:
        """The first `count` seeds' own images."""
        parts = list[Batch]()
        for part in chunks(recipe, self.seeds[:count], self.config):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            parts.append(render(self.host, recipe, part.seeds, self.config, forked=False))
        texts = tuple(text for part in parts for text in part.infotexts)
        batch = Batch(np.concatenate([part.images for part in parts]), texts, sum(part.evaluations for part in parts))
        self.evaluations += batch.evaluations
        return batch

    def _scored(self, images: np.ndarray, normalisers: Mapping[str, float] | None) -> BatchLoss:
        options, tags = self._options, tagger(self.host, self._options)
        return score_batch(images, self.targets, None, options, normalisers=normalisers, tagger=tags)


def in_words(done: int, of: int) -> str:
    """What goes on, after so many of the pinned prompt's words."""
    return f"measuring the pinned prompt's words: {done} of {of}"


def places(space: Space, centre: Sequence[float], index: int, step: float) -> dict[str, list[float]]:
    """`centre` with one axis `lowered` and `raised` by `step` in its scale, within its range, if that changes it."""
    axis, found = space.axes[index], {}
    near = {"lowered": centre[index] - step * axis.scale, "raised": centre[index] + step * axis.scale}
    for name, place in near.items():
        vector = list(centre)
        vector[index] = min(max(place, axis.low), axis.high)
        vector = space.round(vector)
        if vector[index] != centre[index]:
            found[name] = vector
    return found


def planned(space: Space, centre: Sequence[float]) -> list[tuple[int, dict[str, list[float]]]]:
    """(axis, vectors of its sides by their names) of everything that is measured at the point `centre` (N,), in order.

    Of two sides, one that a bound leaves hardly any room is left out.
    """
    found = []
    for index in range(space.size):
        sides = places(space, centre, index, STEP)
        far = {name: abs(vector[index] - centre[index]) for name, vector in sides.items()}
        sides = {name: vector for name, vector in sides.items() if far[name] >= ROOM * max(far.values())}
        found += [(index, sides)] if sides else []
    return found


def measured(
    config: RunConfig, host: Host, space: Space, targets: Sequence[Target], centre: Sequence[float], done: int
) -> Iterator[Unchanged | Measured]:
    """The prompt at the point `centre` (N,) as it is, and every axis but the first `done`."""
    left = planned(space, centre)[done:]
    if not left:
        return
    started = time.perf_counter()
    row = seeds.analysis_seeds(config.seed, SEEDS)
    prompt = Comparison(config, host, targets, space.recipe(centre), row)
    yield prompt.unchanged((), started)
    prompt.ahead([(space.recipe(vector), 0) for _, vectors in left for vector in vectors.values()])
    for index, vectors in left:
        started, spent, axis = time.perf_counter(), prompt.evaluations, space.axes[index]
        sides: dict[str, Any] = {}
        for name, vector in vectors.items():
            recipe = space.recipe(vector)
            sides[name] = prompt.change(recipe).wording(vector[index], recipe)
        seconds = {"wall": time.perf_counter() - started}
        cost = prompt.evaluations - spent
        yield Measured(axis.label, axis.side, float(centre[index]), cost, seconds=seconds, **sides)
