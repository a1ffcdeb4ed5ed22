"""The run loop: `start` pins a prompt with any host and yields what happens, as events; `resume` goes on.

Imports every part of the core, and of the outside only numpy; the hosts, the report and the user interfaces are
listeners or arguments.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .. import search
from ..config import RunConfig
from ..config.presets import LIKELY
from ..errors import HostError, HostInterrupted, StoreError
from ..host import Host
from ..search import StopReason
from ..store import (
    FORMAT_VERSION,
    Candidate,
    Generation,
    Journal,
    Measured,
    RunFolder,
    Runs,
    axes_json,
    events,
    now,
    replay,
    to_json,
)
from . import answers, beginning, contest, likely, progress, weighing
from .evaluating import Evaluator
from .eye import Eye
from .judge import Judge
from .plan import Plan, make_plan
from .rendering import tagger
from .scoring import Scorer, check_loss, loss_options, noted_normalisers
from .targets import Read, read_targets, ready_targets, target_line

if TYPE_CHECKING:
    from ..search.warm import WarmStart

Events = Iterator[events.Event]


def start(config: RunConfig, host: Host, runs: Runs, targets: Read | None = None) -> Events:
    """Pin a prompt in a new run folder.

    Everything is written to the run's journal before its event is yielded.  targets: of each payload, where they are
    known, fitted to its size; else they are read.  Raises `PinError` for input that cannot be used, before a folder is
    made.
    """
    plan = make_plan(config, host)
    for job in plan.panel.jobs if not config.by_eye else ():
        check_loss(job, host)
    if targets is None:
        targets = tuple(read_targets(job, host) for job in plan.panel.jobs)
    warm = beginning.warm_start(config, plan.space, runs)
    beginning.search(config, host, plan, warm)  # raises now what it would raise later
    return _events(config, host, runs.claim(), plan, warm, targets)


def resume(folder: RunFolder, host: Host) -> Events:
    """Go on with a run that was stopped, exactly where it was.  Raises `PinError`, as for a run that is finished."""
    record = folder.record()
    if record.task != "pin":
        raise StoreError(f"{folder.path}: is no run")
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
    targets: Read | None = None,
) -> Events:
    with folder.working() as journal:
        if journal.records:
            warm = beginning.from_json(journal.records[0].get("warm"))
        yield from _Run(config, host, folder, journal, plan, warm, targets).work()


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
        targets: Read | None,
    ) -> None:
        self.config, self.host, self.folder, self.journal, self.plan = config, host, folder, journal, plan
        self.warm, self.targets = warm, targets
        self.seconds = 0.0  # of the looks before the first image, and of the generations that the search has been told

    def work(self) -> Events:
        """All of the run, or what is left of it."""
        self._begin()
        yield events.RunStarted(self.folder, self.record)
        try:
            with self.journal.faults_told(), ThreadPoolExecutor(1, thread_name_prefix="scoring") as self.worker:
                yield from self._parts()
        except HostInterrupted:
            yield self._end("stopped", search.INTERRUPTED)

    def _parts(self) -> Events:
        yield from self._target()
        yield from self._likely()
        reason: StopReason | None = None
        while reason is None:
            yield from self._generation(self.search.generation + 1)
            reason = self.search.stop() or self._over_budget() or (self.eye.reason if self.eye else None)
        if self.record.choice is None and (lost := progress.lost(self.candidates, reason, self.search.generation)):
            yield self._end("stopped", lost)
            return
        yield from self._contest((yield from self._answers()))
        yield from self._check()
        yield from self._words()
        yield self._end("finished", reason)

    # the parts of a run, in order

    def _begin(self) -> None:
        if self.journal.records:
            kept = beginning.to_keep(replay(self.journal.records))
            self.journal.append({"kind": "resumed", "time": now(), **({} if kept is None else {"kept": kept})})
        else:
            head = {"kind": "run", "version": FORMAT_VERSION, "config": self.config.to_dict()}
            head |= {"host": self.host.describe(), "space": axes_json(self.plan.space.axes)}
            head |= {"plan": self.plan.to_json()}
            head |= {} if self.warm is None else {"warm": beginning.to_json(self.warm)}
            self.journal.append({**head, "time": now()}, sync=True)
        self.record = replay(self.journal.records)
        self.candidates = list(self.record.candidates)
        self.evaluator = Evaluator(self.config, self.host, self.plan, self.record)

    def _target(self) -> Events:
        panel = self.plan.panel
        source, names, targets = ready_targets(
            panel.jobs, self.host, self.folder, self.record, self.evaluator.first_batch, self.targets
        )
        interrogator = tagger(self.host, loss_options(self.config))
        self.scorer = Scorer(self.config, self.folder, panel, targets, self._normalisers(), interrogator)
        self.judge = Judge(self.config, self.host, self.scorer)
        self.eye = Eye(self.folder, self.journal, self.record, self.judge) if self.config.by_eye else None
        if self.eye is None and not self.record.target_source:
            self.journal.append(target_line(source, names, targets, panel.many), sync=True)
            yield events.TargetReady(source, names)

    def _likely(self) -> Events:
        """The search begins: at the original, where it was told, or where the targets are likely."""
        if self.config.start == LIKELY and self.warm is None:
            found = self.record.likely
            if found is None and not self.candidates:
                found = likely.measured(self.config, self.host, self.plan.panel, self.scorer.targets)
                if found is not None:
                    self.journal.append(to_json(found), sync=True)
                    yield events.LikelyDone(found)
            self.seconds += found.seconds.get("wall", 0.0) if found else 0.0
            self.warm = likely.start(found)
        counted = "quarter_generations" in self.record.plan
        self.search = beginning.search(self.config, self.host, self.plan, self.warm, counted)

    def _generation(self, number: int) -> Events:
        started = time.perf_counter()
        asked = self.search.ask()
        vectors = np.array([self.plan.space.round(vector.tolist()) for vector in asked])
        done: list[Candidate] = []
        yield from self._evaluate(number, vectors, done)
        seconds = {"wall": time.perf_counter() - started}
        if self.eye is not None:
            yield from self._keep_ranked(done := (yield from self.eye.ranked(number, done)))
        self.search.tell([candidate.loss for candidate in done], vectors)
        best = min((c for c in done if c.loss is not None), key=lambda c: c.loss or 0.0, default=None)
        if best is not None:
            self.worker.submit(self.scorer.maps, best)
        before = self.record.generations[number - 1 : number]
        if before:
            self.seconds += before[0].seconds.get("wall", 0.0)
            return
        state, losses = self.search.state(), tuple(candidate.loss for candidate in done)
        told = [candidate for candidate in self.candidates if candidate.generation <= number]
        share = None
        if self.eye is None:
            share = progress.share(told, state["best"], self.plan.space.axes, self.record.rotated)
        self.seconds += seconds["wall"]
        record = Generation(number, best.id if best else None, losses, state, seconds, share)
        self.journal.append(to_json(record), sync=True)
        yield events.GenerationDone(record)

    def _answers(self) -> Generator[events.Event, None, list[Candidate]]:
        """The search's answers: the centre of the final distribution and the simplest weights about as good."""
        done: list[Candidate] = []
        if self.eye is not None and self.config.finalists == 0:
            return done  # nobody would rank them
        space, generation, rotated = self.plan.space, self.search.generation, self.record.rotated
        vectors = [space.round(self.search.state()["mean"])]
        if answers.count(self.config) > 1:
            searched = [candidate for candidate in self.candidates if candidate.generation <= generation]
            found = answers.simplest(searched, vectors[0], space.axes, rotated)
            rounded = space.round(self.search.closest(found).tolist())
            vectors += [] if rounded in (vectors[0], space.round(space.original)) else [rounded]
        yield from self._evaluate(generation + 1, np.array(vectors), done)
        return done

    def _contest(self, found: Sequence[Candidate]) -> Events:
        """found: the search's answers, which are written down before."""
        if self.config.finalists == 0 or self.record.choice is not None:
            return
        early = [self.plan.space.round(vector.tolist()) for vector in self.search.remembered]
        asked = [replace(one, loss=0.0) for one in found if self._unranked(one) and not one.error]
        contestants = contest.finalists([*self.candidates, *asked], self.config, early)
        simplest = contest.simplest(contestants, self.search.generation + 1)
        if self.eye is None:
            choice = self.judge.choice(contestants, simplest)
        else:
            choice = yield from self.eye.choice(contestants, simplest)
            losses = {contest.recipe(one): row[0] for one, row in zip(contestants, choice.fits)}
            yield from self._keep_ranked([replace(one, loss=losses.get(contest.recipe(one))) for one in found])
        self.journal.append(to_json(choice), sync=True)
        yield events.Chosen(choice)

    def _check(self) -> Events:
        record = replay(self.journal.records)
        if not self.config.held_out or record.held is not None or record.winner is None or record.original is None:
            return
        if self.eye is None:
            held = self.judge.held(record.original, record.winner)
        elif contest.recipe(record.original) == contest.recipe(record.winner):
            return  # there is nothing to choose between
        else:
            held = yield from self.eye.held(record.original, record.winner)
        self.journal.append(to_json(held), sync=True)
        yield events.Validated(held)

    def _words(self) -> Events:
        """The pinned prompt's words, one at a time at other weights."""
        record = replay(self.journal.records)
        if not self.config.words or record.best is None:
            return
        space, vector, done = self.plan.space, record.best.weights, len(record.words)
        of = len(weighing.planned(space, vector))
        for found in weighing.measured(self.config, self.host, space, self.scorer.targets[0], vector, done):
            if isinstance(found, Measured):
                done += 1
                self.journal.append(to_json(found), sync=True)
                yield events.WordMeasured(found, done, of)
            elif record.unchanged is None:
                self.journal.append(to_json(found), sync=True)

    def _end(self, state: str, reason: str) -> events.RunFinished:
        self.journal.end(state, str(reason))
        return events.RunFinished(state, str(reason))

    # candidates

    def _evaluate(self, generation: int, vectors: np.ndarray, done: list[Candidate]) -> Events:
        """Every candidate of a generation, each appended to `done`; the event of each new one, written down."""
        for candidate in self.evaluator.evaluate(generation, vectors, self.scorer, self.worker):
            done.append(candidate)
            if not self.evaluator.is_new(candidate):
                continue
            if self.eye is None:
                yield self._keep(candidate)
            elif not candidate.error:
                self.journal.append({**to_json(candidate), "kind": "rendered"})
                yield events.Rendered(candidate)

    def _unranked(self, candidate: Candidate) -> bool:
        """By eye: whether it is not written down with its loss."""
        return (candidate.generation, candidate.index) not in {(c.generation, c.index) for c in self.candidates}

    def _keep_ranked(self, candidates: Sequence[Candidate]) -> Events:
        for candidate in candidates:
            if self._unranked(candidate):
                yield self._keep(candidate)

    def _keep(self, candidate: Candidate) -> events.CandidateDone:
        if self.plan.panel.many and candidate.loss is None and not self._normalisers():
            raise HostError(f"the original, which each payload is measured against, failed: {candidate.error}")
        if candidate.loss is not None and self.eye is None and not self._normalisers():
            self.journal.append({"kind": "normalisers", "values": dict(self.scorer.normalisers or {})})
        self.journal.append(to_json(candidate))
        self.candidates.append(candidate)
        return events.CandidateDone(candidate, self.evaluator.images.pop(candidate.id, None))

    def _normalisers(self) -> dict[str, float] | None:
        return noted_normalisers(self.journal.records)

    def _over_budget(self) -> StopReason | None:
        """By what the search has been told so far: a run that goes on has later candidates in its journal already."""
        told = [c for c in self.candidates if c.generation <= self.search.generation]
        ahead = self.plan.images_of(self.search.generation + 1, len(self.search.ask()))
        return progress.over_budget(self.config, told, self.seconds, ahead)
