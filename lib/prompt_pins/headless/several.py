"""The headless host of payloads that name checkpoints: one model at a time, each opened when it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, cast

import numpy as np

from ..config import RenderOptions
from ..errors import CheckpointError, OptionError
from ..host import Batch, Misfits, Recipe, View
from .autoencoder import size_of
from .engine import HeadlessHost

HASHES = ("checkpoint_sha256", "configuration_sha256", "vae_sha256", "prediction")


class SeveralHosts:
    """A `Host` whose jobs may name checkpoints of their own.

    opening: opens the host of a checkpoint.  names: of all of them, the run's own first.  known: what the run that goes
    on has told of the others.  loaded: how often a model was.  Raises `CheckpointError` for one that is not as it was,
    `OptionError` where the textual inversions of two differ, which are words of the prompts.
    """

    def __init__(
        self,
        opening: Callable[[str], HeadlessHost],
        names: Sequence[str],
        known: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._opening, self._pixels, self.loaded = opening, dict[str, int](), 0
        self._now, self._host, self._stop = "", cast(Optional[HeadlessHost], None), threading.Event()
        self._name = names[0]
        told, words = dict[str, dict[str, Any]](), dict[str, tuple[str, ...]]()
        for name in (*names[1:], names[0]):  # the run's own last, as the first image is its
            told[name], words[name] = self._at(name).describe(), self._at(name).embeddings()
            self._pixels[name] = self._at(name).checkpoint.pixels
        self._said, self._words = told[names[0]], words[names[0]]
        self._others = {name: {key: str(told[name][key]) for key in ("checkpoint", *HASHES)} for name in names[1:]}
        for name, said in self._others.items():
            if known is not None and known.get(name) != said:
                raise CheckpointError(f"checkpoint: {name} is not the one that this run was rendered with")
            if words[name] != self._words:
                raise OptionError("embeddings", list(words[name]), f"those of {names[0] or 'the small model'}, too")

    def _at(self, name: str) -> HeadlessHost:
        """The host of a checkpoint, which is loaded now; the one before is let go first."""
        if self._host is None or self._now != name:
            self._host = None
            self._host, self._now, self.loaded = self._opening(name), name, self.loaded + 1
            if self._stop.is_set():
                self._host.interrupt()
        return self._host

    def describe(self) -> dict[str, Any]:
        """What the run's own says, and of the others their names and hashes."""
        return {**self._said, "checkpoints": self._others}

    def embeddings(self) -> tuple[str, ...]:
        """Those of the run's own."""
        return self._words

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels: 0 stands for the own size of the job's checkpoint."""
        return size_of(job, self._pixels[job.checkpoint])

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """What the loaded one can set: it is the same of all."""
        return self._any.settings(job)

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch, which no checkpoint changes."""
        return self._any.levels(batch_size, job, forked)

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """What one batch costs."""
        return self._any.evaluations(batch_size, job, forked)

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed, by the job's checkpoint."""
        return self._at(job.checkpoint).render(recipe, seeds, job, forked)

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        """How badly each recipe explains the images, by the job's checkpoint."""
        return self._at(job.checkpoint).misfits(recipes, images, masks, views, job)

    def tagger(self) -> None:
        """No interrogator here."""

    def interrupt(self) -> None:
        """Ask what is running to stop, and later ones not to start."""
        self._stop.set()
        if self._host is not None:
            self._host.interrupt()

    def interrupted(self) -> bool:
        """True once `interrupt` was called."""
        return self._stop.is_set()

    @property
    def _any(self) -> HeadlessHost:
        return self._host or self._at(self._name)
