"""Evaluating candidates in order: while the host renders one, a worker thread scores and saves the one before."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Union

import numpy as np

from ..config import RunConfig
from ..errors import HostError, HostInterrupted, WorkersError
from ..host import Batch, Host, Recipe, Request
from ..search import INTERRUPTED
from ..store import Candidate, Record
from ..store.folder import packed
from . import beginning, rendering, seeds
from .plan import Plan
from .rendering import render
from .scoring import Scorer, candidate_id, image_names

Pending = Union[Candidate, "Future[Candidate]"]


class Evaluator:
    """The candidates of one run.  record: those that are not rendered again.

    images: batches of candidates that are not written down yet, by their ids, where the files will hold every bit.
    """

    def __init__(self, config: RunConfig, host: Host, plan: Plan, record: Record) -> None:
        self.config, self.host, self.plan = config, host, plan
        self.images: dict[str, np.ndarray] = {}
        self._replayed = {(c.generation, c.index): c for c in (*record.unranked, *record.candidates)}
        self._known: dict[str, Pending] = {c.id: c for c in record.candidates if c.loss is not None}
        self._rendered: dict[str, Batch] = {}

    def first_batch(self) -> np.ndarray:
        """The images of the original prompt's own whole batch (B x H x W x 3, uint8)."""
        config = self.config
        original = self.plan.space.recipe(self.plan.space.original)
        row = seeds.search_seeds(config.seed, config.batch_size, 1, config.seed_policy)
        batch = self._rendered[candidate_id(original, row)] = render(self.host, original, row, config, forked=True)
        return batch.images

    def is_new(self, candidate: Candidate) -> bool:
        """Whether a candidate is none of the record's."""
        return (candidate.generation, candidate.index) not in self._replayed

    def evaluate(self, generation: int, vectors: np.ndarray, scorer: Scorer, worker: Executor) -> Iterator[Candidate]:
        """Every candidate of a generation in order, each with its loss or with what it failed for.

        vectors: (rows, N).  Raises `HostInterrupted` and `WorkersError` after those that were begun, and `StoreError`
        where the record's are others.
        """
        rendering.ahead(self.host, lambda: self._wanted(generation, vectors, scorer))
        pending: list[Pending] = []
        interrupted: HostInterrupted | WorkersError | None = None
        for index, vector in enumerate(vectors):
            known = self._replayed.get((generation, index))
            if known is not None:
                beginning.check_replayed(scorer.folder, known, vector)
            try:
                pending.append(known or self._start(generation, index, vector, scorer, worker))
            except (HostInterrupted, WorkersError) as error:
                interrupted = error
                break
            while pending and (isinstance(pending[0], Candidate) or pending[0].done()):
                yield _done(pending.pop(0))
        for item in pending:
            yield _done(item)
        if interrupted is not None:
            raise interrupted

    def _wanted(self, generation: int, vectors: np.ndarray, scorer: Scorer) -> Iterator[Request]:
        """What `_start` will ask the host for."""
        row, judge = self._row(generation), scorer.judge(self.plan.of(generation).levels)
        pack = functools.partial(packed, self.config.image_format)
        for index, vector in enumerate(vectors):
            recipe = self.plan.space.recipe(vector.tolist())
            name = candidate_id(recipe, row)
            if (generation, index) not in self._replayed and name not in {*self._known, *self._rendered}:
                yield Request(recipe, row, self.config, forked=True, judge=judge, pack=pack)

    def _row(self, generation: int) -> tuple[int, ...]:
        """The seeds of a generation's batches."""
        config = self.config
        whole = seeds.search_seeds(config.seed, config.batch_size, generation, config.seed_policy)
        return whole[: self.plan.of(generation).size]

    def _start(self, generation: int, index: int, vector: np.ndarray, scorer: Scorer, worker: Executor) -> Pending:
        """Render a candidate and hand it to the worker; one that is known already is not rendered again."""
        if self.host.interrupted():
            raise HostInterrupted(INTERRUPTED)
        row = self._row(generation)
        recipe = self.plan.space.recipe(vector.tolist())
        name = candidate_id(recipe, row)
        weights = tuple(float(weight) for weight in vector)
        same = self._scored(name)
        if same is not None:
            return dataclasses.replace(
                same, generation=generation, index=index, weights=weights, evaluations=0, seconds={}
            )
        started = time.perf_counter()
        blank = Candidate(
            generation, index, name, weights, recipe.prompt, recipe.negative_prompt, None, None, None,
            f"{generation:08d}/{name}", image_names(row, self.config.image_format), 0, settings=dict(recipe.settings),
        )  # fmt: skip
        try:
            batch = self._batch(name, recipe, row)
        except HostError as error:
            return dataclasses.replace(blank, images=(), error=str(error))
        seconds = {"render": batch.seconds or time.perf_counter() - started}
        blank = dataclasses.replace(blank, evaluations=batch.evaluations, seconds=seconds, worker=batch.worker)
        if self.config.image_format == "png":  # other formats do not keep every bit
            self.images[name] = batch.images
        self._known[name] = found = worker.submit(scorer.candidate, blank, batch, self.plan.of(generation).levels, row)
        return found

    def _batch(self, name: str, recipe: Recipe, row: Sequence[int]) -> Batch:
        return self._rendered.pop(name, None) or render(self.host, recipe, row, self.config, forked=True)

    def _scored(self, name: str) -> Candidate | None:
        """The candidate of that id, scored or, by eye, rendered; one at work is waited for, or luck would decide."""
        item = self._known.get(name)
        found = None if item is None else _done(item)
        return None if found is None or found.error else found


def _done(item: Pending) -> Candidate:
    return item.result() if isinstance(item, Future) else item
