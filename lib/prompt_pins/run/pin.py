"""The run loop: `start` pins a prompt with any host and yields what happens, as events; `resume` goes on.

Imports every part of the core, and of the outside only numpy; the hosts, the report and the user interfaces are
listeners or arguments.  While the host renders candidate k + 1, a worker thread scores and saves candidate k.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from .. import search
from ..config import RunConfig
from ..config.search import LIKELY
from ..errors import HostError, HostInterrupted, PinError, StoreError
from ..host import Batch, Host
from ..store import (
    FORMAT_VERSION,
    Candidate,
    Generation,
    Journal,
    RunFolder,
    Runs,
    axes_json,
    events,
    now,
    replay,
    to_json,
)
from . import answers, beginning, contest, likely, seeds
from .judge import Judge
from .plan import Plan, make_plan
from .scoring import Scorer, candidate_id, check_loss, image_names
from .targets import read_targets, ready_targets

if TYPE_CHECKING:
    from ..loss import Target
    from ..search.warm import WarmStart

Events = Iterator[events.Event]


def start(config: RunConfig, host: Host, runs: Runs) -> Events:
    """Pin a prompt in a new run folder.

    Everything is written to the run's journal before its event is yielded.  Raises `PinError` for input that cannot
    be used, before a folder is made.
    """
    plan = make_plan(config, host)
    check_loss(config, host)
    targets = read_targets(config, host)
    warm = beginning.warm_start(config, plan.space, runs)
    beginning.search(config, host, plan, warm)  # raises now what it would raise later
    return _events(config, host, runs.claim(), plan, warm, targets)


def resume(folder: RunFolder, host: Host) -> Events:
    """Go on with a run that was stopped, exactly where it was.  Raises `PinError`, as for a run that is finished."""
    record = folder.record()
    if record.state == "finished":
        raise StoreError(f"{folder.path}: this run is finished ({record.reason})")
    config = RunConfig.from_record(record.config)
    return _events(config, host, folder, make_plan(config, host))


def _events(
    config: RunConfig,
    host: Host,
    folder: RunFolder,
    plan: Plan,
    warm: WarmStart | None = None,
    targets: tuple[Target, ...] | None = None,
) -> Events:
    journal = folder.open()
    try:
        if journal.records:
            warm = beginning.from_json(journal.records[0].get("warm"))
        yield from _Run(config, host, folder, journal, plan, warm, targets).work()
    finally:
        journal.close()
        folder.close()
        if not journal.records:
            folder.discard()


class _Run:
    """One process's work on a run."""

    def __init__(
        self,
        config: RunConfig,
        host: Host,
        folder: RunFolder,
        journal: Journal,
        plan: Plan,
        warm: WarmStart | None,
        targets: tuple[Target, ...] | None,
    ) -> None:
        self.config, self.host, self.folder, self.journal, self.plan = config, host, folder, journal, plan
        self.warm, self.targets = warm, targets
        self.record = replay(journal.records)
        self.candidates = list(self.record.candidates)
        self.known = {c.id: c for c in self.candidates if c.loss is not None}
        self.replayed = {(c.generation, c.index): c for c in self.candidates}
        self.seconds = self.record.seconds
        self.rendered: dict[str, Batch] = {}
        self.images: dict[str, np.ndarray] = {}  # of candidates that are being scored

    def work(self) -> Events:
        """All of the run, or what is left of it."""
        self._begin()
        yield events.RunStarted(self.folder, self.record)
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="scoring") as self.worker:
                yield from self._parts()
        except HostInterrupted:
            yield self._end("stopped", search.INTERRUPTED)
        except PinError as error:
            self._end("stopped", f"failed: {error}")
            raise

    def _parts(self) -> Events:
        yield from self._target()
        yield from self._likely()
        reason: str | None = None
        while reason is None:
            yield from self._generation(self.search.generation + 1)
            reason = self.search.stop() or self._over_budget()
        yield from self._answers()
        yield from self._contest()
        yield from self._check()
        yield self._end("finished", reason)

    # the parts of a run, in order

    def _begin(self) -> None:
        if self.journal.records:
            self.journal.append({"kind": "resumed", "time": now()})
            return
        head = {"kind": "run", "version": FORMAT_VERSION, "config": self.config.to_dict()}
        head |= {"host": self.host.describe(), "space": axes_json(self.plan.space.axes), "plan": self.plan.to_json()}
        head |= {} if self.warm is None else {"warm": beginning.to_json(self.warm)}
        self.journal.append({**head, "time": now()}, sync=True)
        self.record = replay(self.journal.records)

    def _target(self) -> Events:
        original = self.plan.space.recipe(self.plan.space.original)
        first = seeds.search_seeds(self.config.seed, self.config.batch_size, 1, self.config.seed_policy)

        def first_batch() -> np.ndarray:
            batch = self.host.render(original, first, self.config, forked=True)
            self.rendered[candidate_id(original, first)] = batch
            return batch.images

        source, names, targets = ready_targets(
            self.config, self.host, self.folder, self.record, first_batch, self.targets
        )
        normalisers = next((line["values"] for line in self.journal.records if line["kind"] == "normalisers"), None)
        tagger = self.host.tagger()
        self.scorer = Scorer(self.config, self.folder, self.plan.space, targets, normalisers, tagger)
        self.judge = Judge(self.config, self.host, self.scorer)
        if not self.record.target_source:
            weights = [target.weight for target in targets]
            self.journal.append(
                {"kind": "target", "source": source, "images": list(names), "weights": weights}, sync=True
            )
            yield events.TargetReady(source, names)

    def _likely(self) -> Events:
        """The search begins: at the original, where it was told, or where the targets are likely."""
        if self.config.start == LIKELY and self.warm is None:
            found = self.record.likely
            if found is None and not self.candidates:
                found = likely.measured(self.config, self.host, self.plan.space, self.scorer.targets)
                if found is not None:
                    self.journal.append(to_json(found), sync=True)
                    self.seconds += found.seconds["wall"]
                    yield events.LikelyDone(found)
            self.warm = likely.start(found)
        self.search = beginning.search(self.config, self.host, self.plan, self.warm)

    def _generation(self, number: int) -> Events:
        started = time.perf_counter()
        asked = self.search.ask()
        vectors = np.array([self.plan.space.round(vector.tolist()) for vector in asked])
        done: list[Candidate] = []
        for candidate in self._evaluate(number, vectors):
            done.append(candidate)
            if self._is_new(candidate):
                yield self._keep(candidate)
        self.search.tell([candidate.loss for candidate in done], vectors)
        best = min((c for c in done if c.loss is not None), key=lambda c: c.loss or 0.0, default=None)
        if best is not None:
            self.worker.submit(self.scorer.maps, best)
        record = Generation(
            number,
            best.id if best else None,
            tuple(c.loss for c in done),
            self.search.state(),
            {"wall": time.perf_counter() - started},
        )
        if number > len(self.record.generations):
            self.journal.append(to_json(record), sync=True)
            self.seconds += record.seconds["wall"]
            yield events.GenerationDone(record)

    def _answers(self) -> Events:
        """The search's answers: the centre of the final distribution and the simplest weights about as good."""
        space, generation, rotated = self.plan.space, self.search.generation, self.record.rotated
        vectors = [space.round(self.search.state()["mean"])]
        if answers.count(self.config) > 1:
            searched = [candidate for candidate in self.candidates if candidate.generation <= generation]
            found = answers.simplest(searched, vectors[0], space.axes, rotated)
            rounded = space.round(self.search.closest(found).tolist())
            vectors += [] if rounded in (vectors[0], space.round(space.original)) else [rounded]
        for candidate in self._evaluate(generation + 1, np.array(vectors)):
            if self._is_new(candidate):
                yield self._keep(candidate)

    def _contest(self) -> Events:
        if self.config.finalists == 0 or self.record.choice is not None:
            return
        early = [self.plan.space.round(vector.tolist()) for vector in self.search.remembered]
        contestants = contest.finalists(self.candidates, self.config, early)
        choice = self.judge.choice(contestants, contest.simplest(contestants, self.search.generation + 1))
        self.journal.append(to_json(choice), sync=True)
        yield events.Chosen(choice)

    def _check(self) -> Events:
        record = replay(self.journal.records)
        if not self.config.held_out or record.held is not None or record.best is None or record.original is None:
            return
        held = self.judge.held(record.original, record.best)
        self.journal.append(to_json(held), sync=True)
        yield events.Validated(held)

    def _end(self, state: str, reason: str) -> events.RunFinished:
        self.journal.append({"kind": state, "reason": str(reason), "time": now()}, sync=True)
        return events.RunFinished(state, str(reason))

    # candidates

    def _evaluate(self, generation: int, vectors: np.ndarray) -> Iterator[Candidate]:
        """Every candidate of a generation in order, each with its loss: one is scored while the next is rendered."""
        pending: list[Candidate | Future[Candidate]] = []
        try:
            for index, vector in enumerate(vectors):
                known = self.replayed.get((generation, index))
                if known is not None:
                    beginning.check_replayed(self.folder, known, vector)
                pending.append(known or self._start(generation, index, vector))
                while pending and (isinstance(pending[0], Candidate) or pending[0].done()):
                    yield self._finish(pending.pop(0))
        except HostInterrupted:
            for item in pending:
                candidate = self._finish(item)
                if self._is_new(candidate):
                    self._keep(candidate)
            raise
        for item in pending:
            yield self._finish(item)

    def _start(self, generation: int, index: int, vector: np.ndarray) -> Candidate | Future[Candidate]:
        """Render a candidate and hand it to the worker; one that is known already is not rendered again."""
        if self.host.interrupted():
            raise HostInterrupted(search.INTERRUPTED)
        config, planned = self.config, self.plan.of(generation)
        row = seeds.search_seeds(config.seed, config.batch_size, generation, config.seed_policy)[: planned.size]
        recipe = self.plan.space.recipe(vector.tolist())
        name = candidate_id(recipe, row)
        weights = tuple(float(weight) for weight in vector)
        same = self.known.get(name)
        if same is not None:
            return dataclasses.replace(
                same, generation=generation, index=index, weights=weights, evaluations=0, seconds={}
            )
        started = time.perf_counter()
        blank = Candidate(
            generation, index, name, weights, recipe.prompt, recipe.negative_prompt, None, None, None,
            f"{generation:08d}/{name}", image_names(row, config.image_format), 0, settings=dict(recipe.settings),
        )  # fmt: skip
        try:
            batch = self.rendered.pop(name, None) or self.host.render(recipe, row, config, forked=True)
        except HostError as error:
            return dataclasses.replace(blank, images=(), error=str(error))
        blank = dataclasses.replace(
            blank, evaluations=batch.evaluations, seconds={"render": time.perf_counter() - started}
        )
        if config.image_format == "png":  # other formats do not keep every bit
            self.images[name] = batch.images
        return self.worker.submit(self.scorer.candidate, blank, batch, planned.levels, row)

    def _finish(self, item: Candidate | Future[Candidate]) -> Candidate:
        candidate = item.result() if isinstance(item, Future) else item
        if candidate.loss is not None:
            self.known.setdefault(candidate.id, candidate)
        return candidate

    def _is_new(self, candidate: Candidate) -> bool:
        return (candidate.generation, candidate.index) not in self.replayed

    def _keep(self, candidate: Candidate) -> events.CandidateDone:
        if not self.candidates:
            self.journal.append({"kind": "normalisers", "values": dict(self.scorer.normalisers or {})})
        self.journal.append(to_json(candidate))
        self.candidates.append(candidate)
        return events.CandidateDone(candidate, self.images.pop(candidate.id, None))

    def _over_budget(self) -> str | None:
        images = sum(len(c.images) for c in self.candidates if c.evaluations)
        budget = search.Budget(self.config.max_images, self.config.max_minutes)
        return budget.exceeded(images, self.seconds, self.plan.rows * self.plan.of(self.search.generation + 1).size)
