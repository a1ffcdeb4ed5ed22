"""Evaluating candidates in order: while the host renders one, a worker thread scores and saves the one before."""

from __future__ import annotations

import dataclasses
import functools
import math
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
from .scoring import Scored, Scorer, candidate_id, image_names

Pending = Union[Candidate, "Future[Candidate]"]


@dataclasses.dataclass
class _Begun:
    """A candidate of which some payloads are rendered.  batches, parts: by payload; error: why it failed."""

    blank: Candidate
    batches: dict[int, Batch] = dataclasses.field(default_factory=dict)
    parts: dict[int, Future[Scored]] = dataclasses.field(default_factory=dict)
    seconds: list[float] = dataclasses.field(default_factory=list)
    error: str = ""


class Evaluator:
    """The candidates of one run.  record: those that are not rendered again.

    images: those of candidates that are not written down yet, by their ids, where the files will hold every bit.
    """

    def __init__(self, config: RunConfig, host: Host, plan: Plan, record: Record) -> None:
        self.config, self.host, self.plan = config, host, plan
        self.images: dict[str, list[np.ndarray]] = {}
        self._replayed = {(c.generation, c.index): c for c in (*record.unranked, *record.candidates)}
        self._known: dict[str, Pending] = {c.id: c for c in record.candidates if c.loss is not None}
        self._rendered: dict[tuple[int, Recipe, tuple[int, ...]], Batch] = {}
        self._passes = plan.panel.passes()
        self._begun: dict[str, _Begun] = {}

    def first_batch(self, payload: int = 0) -> np.ndarray:
        """The images of the original prompt's own whole batch (B x H x W x 3, uint8)."""
        job, space = self.plan.panel.jobs[payload], self.plan.panel.spaces[payload]
        original = space.recipe(space.original)
        row = seeds.search_seeds(job.seed, job.batch_size, 1, job.seed_policy)
        batch = self._rendered[payload, original, row] = render(self.host, original, row, job, forked=True)
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
        for payloads in self._passes[:-1]:
            for index, vector in enumerate(vectors):
                if (generation, index) not in self._replayed:
                    self._part(generation, index, vector, payloads, scorer, worker)
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
        self._passes.reverse()  # the checkpoint that is loaded now comes first in the next generation
        if interrupted is not None:
            raise interrupted

    def _wanted(self, generation: int, vectors: np.ndarray, scorer: Scorer) -> Iterator[Request]:
        """What `_start` will ask the host for."""
        panel, rows = self.plan.panel, self._rows(generation)
        judges = [scorer.judge(self.plan.of(generation).levels, payload) for payload in range(panel.size)]
        pack, names = functools.partial(packed, self.config.image_format), self._names(rows)
        for payloads in self._passes:
            for index, vector in enumerate(vectors):
                recipes = panel.recipes(vector.tolist())
                name = candidate_id(recipes, rows)
                if (generation, index) in self._replayed or name in self._known:
                    continue
                for payload in payloads:
                    recipe, row = recipes[payload], rows[payload]
                    if (payload, recipe, row) not in self._rendered:
                        job, judge = panel.jobs[payload], judges[payload]
                        keep = functools.partial(scorer.keep, _folder(generation, name), names[payload])
                        yield Request(recipe, row, job, forked=True, judge=judge, pack=pack, keep=keep)

    def _rows(self, generation: int) -> tuple[tuple[int, ...], ...]:
        """The seeds of a generation's batches, of each payload."""
        whole = [
            seeds.search_seeds(job.seed, job.batch_size, generation, job.seed_policy) for job in self.plan.panel.jobs
        ]
        return tuple(row[: self.plan.of(generation).size] for row in whole)

    def _start(self, generation: int, index: int, vector: np.ndarray, scorer: Scorer, worker: Executor) -> Pending:
        """Render a candidate and hand it to the worker; one that is known already is not rendered again."""
        begun = self._part(generation, index, vector, self._passes[-1], scorer, worker)
        if isinstance(begun, Candidate):
            return begun
        self._begun.pop(begun.blank.id, None)
        if begun.error:
            return dataclasses.replace(begun.blank, images=(), evaluations=0, error=begun.error)
        batches, panel = [begun.batches[payload] for payload in range(self.plan.panel.size)], self.plan.panel
        seconds = {"render": math.fsum(begun.seconds)}
        names = [batch.worker for batch in batches if batch.worker]
        workers = ", ".join(names if len(set(names)) > 1 else names[:1])
        cost = sum(batch.evaluations for batch in batches)
        blank = dataclasses.replace(begun.blank, evaluations=cost, seconds=seconds, worker=workers)
        if self.config.image_format == "png":  # other formats do not keep every bit
            self.images[blank.id] = [image for batch in batches for image in batch.images]
        parts, levels = [begun.parts[payload] for payload in range(panel.size)], self.plan.of(generation).levels
        found = worker.submit(scorer.candidate, blank, parts, levels, self._rows(generation))
        self._known[blank.id] = found
        return found

    def _part(
        self,
        generation: int,
        index: int,
        vector: np.ndarray,
        payloads: Sequence[int],
        scorer: Scorer,
        worker: Executor,
    ) -> _Begun | Candidate:
        """Render these payloads of a candidate, after those that were begun; or the same one, if it is known."""
        if self.host.interrupted():
            raise HostInterrupted(INTERRUPTED)
        panel, rows = self.plan.panel, self._rows(generation)
        recipes = panel.recipes(vector.tolist())
        name = candidate_id(recipes, rows)
        weights = tuple(float(weight) for weight in vector)
        same = self._scored(name)
        if same is not None:
            return dataclasses.replace(
                same, generation=generation, index=index, weights=weights, evaluations=0, seconds={}
            )
        begun = self._begun.get(name)
        if begun is None:
            begun = self._begun[name] = _Begun(self._blank(generation, index, name, weights, recipes, rows))
        names, levels = begun.blank.images, self.plan.of(generation).levels
        for payload in payloads:
            if begun.error or payload in begun.batches:
                continue
            started, first = time.perf_counter(), sum(map(len, rows[:payload]))
            try:
                batch = self._batch(payload, recipes[payload], rows[payload])
            except HostError as error:
                begun.error = f"{panel.name(payload)}{error}"
                break
            begun.seconds.append(batch.seconds or time.perf_counter() - started)
            begun.parts[payload] = worker.submit(
                scorer.batch, begun.blank, batch, levels, names[first : first + len(rows[payload])], payload
            )
            begun.batches[payload] = batch
        return begun

    def _blank(
        self,
        generation: int,
        index: int,
        name: str,
        weights: tuple[float, ...],
        recipes: Sequence[Recipe],
        rows: Sequence[Sequence[int]],
    ) -> Candidate:
        """A candidate before anything is known of it."""
        panel, images = self.plan.panel, self._names(rows)
        found = Candidate(
            generation, index, name, weights, recipes[0].prompt, recipes[0].negative_prompt, None, None, None,
            _folder(generation, name), tuple(name for names in images for name in names), 0,
            settings=dict(recipes[0].settings),
        )  # fmt: skip
        if not panel.many:
            return found
        prompts = tuple((recipe.prompt, recipe.negative_prompt) for recipe in recipes)
        piece = panel.piece.recipe(weights).prompt if panel.piece else ""
        return dataclasses.replace(found, prompts=prompts, piece=piece)

    def _names(self, rows: Sequence[Sequence[int]]) -> list[tuple[str, ...]]:
        """The files of a candidate's images, of each payload."""
        many, kind = self.plan.panel.many, self.config.image_format
        return [image_names(row, kind, payload if many else None) for payload, row in enumerate(rows)]

    def _batch(self, payload: int, recipe: Recipe, row: tuple[int, ...]) -> Batch:
        known, job = self._rendered.pop((payload, recipe, row), None), self.plan.panel.jobs[payload]
        return known or render(self.host, recipe, row, job, forked=True)

    def _scored(self, name: str) -> Candidate | None:
        """The candidate of that id, scored or, by eye, rendered; one at work is waited for, or luck would decide."""
        item = self._known.get(name)
        found = None if item is None else _done(item)
        return None if found is None or found.error else found


def _folder(generation: int, name: str) -> str:
    return f"{generation:08d}/{name}"


def _done(item: Pending) -> Candidate:
    return item.result() if isinstance(item, Future) else item
