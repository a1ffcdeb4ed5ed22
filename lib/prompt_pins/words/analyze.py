"""Which words hold the image and which let it drift, measured directly and without a search.

Each word is raised and lowered alone, on the same seeds as the unchanged prompt, each image independent of the
others (no tree).  Works with any host; the parts of a pinned prompt's run are used as they are.  Imports numpy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Union

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..errors import HostInterrupted, PromptError
from ..host import Batch, Host, Recipe
from ..loss import BatchLoss, Target, flip_pairs, score_batch
from ..run import seeds
from ..run.plan import make_plan
from ..run.rendering import render, tagger
from ..run.scoring import check_loss, loss_options
from ..run.targets import first_batch_targets, read_targets
from ..space import Space
from ..store import RunFolder, Runs, now
from ..store.folder import ANALYSIS, save_image
from .effects import Effect, effect, spread_values

VERSION = 2
KEPT = 4  # images that are kept of each wording
INTERRUPTED = "interrupted by the user"


@dataclasses.dataclass(frozen=True)
class Side:
    """One axis at another value, mostly a word at another weight, against the unchanged prompt.

    fit, spread: changes of the losses; below zero is better.  image: mean ꟻLIP to the unchanged image of the same seed.
    spread is None for a spread that cannot be measured.
    """

    weight: float
    prompt: str
    negative_prompt: str
    fit: Effect
    spread: Effect
    image: Effect
    images: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Word:
    """What a word, or another axis, does.

    image: mean over both sides; lowered or raised is None at the end of the range.
    """

    label: str
    side: str
    weight: float
    image: Effect
    fit: Effect
    lowered: Side | None
    raised: Side | None


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The whole result; words: those that move the image most first."""

    state: str
    reason: str
    config: RunConfig
    options: AnalysisOptions
    host: dict[str, Any]
    time: str
    seeds: tuple[int, ...]
    target_source: str
    target_images: tuple[str, ...]
    images: tuple[str, ...]
    fit: float
    spread: float
    words: tuple[Word, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `analysis.json`."""
        plain = {name: getattr(self, name) for name in ("state", "reason", "host", "time", "fit", "spread")}
        lists = {name: list(getattr(self, name)) for name in ("seeds", "target_images", "images")}
        return {
            "version": VERSION,
            **plain,
            **lists,
            "target_source": self.target_source,
            "config": self.config.to_dict(),
            "options": dataclasses.asdict(self.options),
            "words": [dataclasses.asdict(word) for word in self.words],
        }


@dataclasses.dataclass(frozen=True)
class AnalysisStarted:
    """The folder is there; `words` will be measured."""

    folder: RunFolder
    words: int


@dataclasses.dataclass(frozen=True)
class WordMeasured:
    """One word is done."""

    word: Word


@dataclasses.dataclass(frozen=True)
class AnalysisDone:
    """All is measured, or the user stopped it (`result.state` is "stopped"); `analysis.json` is written."""

    result: Analysis


Event = Union[AnalysisStarted, WordMeasured, AnalysisDone]


def analyze(config: RunConfig, options: AnalysisOptions, host: Host, runs: Runs) -> Iterator[Event]:
    """Measure every word that may vary, in a new folder of `runs`.

    Raises `PinError` for input that cannot be used, before a folder is made.
    """
    plan = make_plan(config, host)
    movable = [index for index in range(plan.space.size) if _places(plan.space, index, options.analysis_step)]
    if not movable:
        raise PromptError("no word can be raised or lowered: its range holds no other weight that can be printed")
    check_loss(config, host)
    targets = read_targets(config, host)
    return _Analyzer(config, options, host, runs.claim()).work(plan.space, movable, targets)


def _places(space: Space, index: int, step: float) -> dict[str, list[float]]:
    """The vectors with one axis `lowered` and `raised` by `step` of its scale, within its range, if that changes it."""
    axis = space.axes[index]
    step *= axis.scale
    places = {"lowered": max(axis.original - step, axis.low), "raised": min(axis.original + step, axis.high)}
    found = {}
    for name, place in places.items():
        vector = list(space.original)
        vector[index] = place
        vector = space.round(vector)
        if vector[index] != axis.original:
            found[name] = vector
    return found


class _Analyzer:
    """One analysis at work."""

    def __init__(self, config: RunConfig, options: AnalysisOptions, host: Host, folder: RunFolder) -> None:
        self.config, self.options, self.host, self.folder = config, options, host, folder
        self.row = seeds.analysis_seeds(config.seed, options.analysis_seeds)
        self.loss = loss_options(config)
        self.rng = np.random.Generator(np.random.PCG64(config.seed))
        self.words: list[Word] = []

    def work(self, space: Space, movable: Sequence[int], targets: tuple[Target, ...]) -> Iterator[Event]:
        """All of it.  movable: the axes that are measured."""
        self.space = space
        yield AnalysisStarted(self.folder, len(movable))
        original = space.recipe(space.original)
        self.targets = targets or self._first_batch(original)
        source = "images" if targets else "batch"
        names = self._save("target", [target.pixels for target in self.targets][:KEPT])
        images, loss = self._measure(original, None)
        self.images, self.base, self.normalisers = images, loss, loss.normalisers
        kept = self._save("original", list(images[:KEPT]))
        state, reason = "finished", ""
        try:
            for index in movable:
                self.words.append(self._word(index))
                yield WordMeasured(self.words[-1])
        except HostInterrupted:
            state, reason = "stopped", INTERRUPTED
        ranked = tuple(sorted(self.words, key=lambda word: -word.image.mean))
        result = Analysis(
            state, reason, self.config, self.options, self.host.describe(), now(), self.row, source, names, kept,
            loss.fit, loss.spread or 0.0, ranked,
        )  # fmt: skip
        self.folder.save_json(ANALYSIS, result.to_json())
        yield AnalysisDone(result)

    def _first_batch(self, original: Recipe) -> tuple[Target, ...]:
        """The prompt's own first batch, as a run without a target would take it."""
        config = self.config
        row = seeds.search_seeds(config.seed, config.batch_size, 1, config.seed_policy)
        batch = render(self.host, original, row, config, forked=True)
        return first_batch_targets(batch.images, config, self.host)

    def _word(self, index: int) -> Word:
        space, axis = self.space, self.space.axes[index]
        places = _places(space, index, self.options.analysis_step)
        names = ("lowered", "raised")
        found = [self._side(name, index, places[name]) if name in places else None for name in names]
        sides = [side for side in found if side is not None]
        rows = [np.mean([side[1][i] for side in sides], axis=0) for i in (0, 1)]
        lowered, raised = (None if side is None else side[0] for side in found)
        image, fit = (effect(row, self.rng) for row in rows)
        return Word(axis.label, axis.side, axis.original, image, fit, lowered, raised)

    def _side(self, name: str, index: int, vector: Sequence[float]) -> tuple[Side, tuple[np.ndarray, np.ndarray]]:
        """An axis at another value, and its values of image and fit, seed by seed."""
        recipe = self.space.recipe(vector)
        images, loss = self._measure(recipe, self.normalisers)
        moved = flip_pairs(self.images, images, self.config.pixels_per_degree)
        fits = np.array([fit for fit, _ in loss.per_image]) - [fit for fit, _ in self.base.per_image]
        spread = spread_values(np.array(loss.image_image) - np.array(self.base.image_image))
        fitted, spreading, moving = (effect(values, self.rng) for values in (fits, spread, moved))
        names = self._save(f"{index:03d}-{name}", list(images[:KEPT]))
        return Side(vector[index], recipe.prompt, recipe.negative_prompt, fitted, spreading, moving, names), (
            moved,
            fits,
        )

    def _measure(self, recipe: Recipe, normalisers: Any) -> tuple[np.ndarray, BatchLoss]:
        """Every seed's own image (S x H x W x 3, uint8) and their losses."""
        size = self.config.batch_size
        parts: list[Batch] = []
        for start in range(0, len(self.row), size):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            parts.append(render(self.host, recipe, self.row[start : start + size], self.config, forked=False))
        images = np.concatenate([part.images for part in parts])
        tags = tagger(self.host)
        return images, score_batch(images, self.targets, None, self.loss, normalisers=normalisers, tagger=tags)

    def _save(self, name: str, images: Collection[np.ndarray]) -> tuple[str, ...]:
        files = [f"{name}/{index:05d}.{self.config.image_format}" for index, _ in enumerate(images)]
        for file, image in zip(files, images):
            save_image(self.folder.path / file, image)
        return tuple(files)
