"""Which request goes to which worker: the bookkeeping of a pool, without threads and clocks.  Standard library only."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future

from ..host import Batch, Host, Request

KEPT = 4
"""Answers that wait for the run, for each worker: memory holds no more."""
WORTH = 0.75
"""Of a pool's speed: all images of a row of seeds come of one kind of device where that costs no more than the rest."""
OVERDUE = 1.5
"""Times a worker's usual time: what takes longer is given out a second time."""


@dataclasses.dataclass(frozen=True)
class Patience:
    """When a worker is given up.  In seconds.

    first: for its first answer, which may load a model.  factor: of its slowest answer so far, for those that follow;
    at least `least`.  One that takes longer hangs: its request goes elsewhere, and after as long again it is left out.
    tries: faults one after the other.  rest: after the first of them; twice as long after each that follows, up to
    `longest`.
    """

    first: float = 900.0
    factor: float = 10.0
    least: float = 60.0
    tries: int = 7
    rest: float = 1.0
    longest: float = 30.0

    def after(self, faults: int) -> float:
        """Seconds of rest after so many faults, at least 1."""
        return min(self.rest * 2.0 ** min(faults - 1, 30), self.longest)


@dataclasses.dataclass(eq=False)
class Worker:
    """One member of a pool.

    kind: of its device; hosts of one kind compute the same bits, as far as anybody knows.
    """

    name: str
    host: Host
    kind: str = ""
    images: int = 0
    seconds: float = 0.0
    answers: int = 0
    slowest: float = 0.0
    faults: int = 0
    refused: int = 0  # requests, one after the other, of which it said that they cannot be rendered
    task: Task | None = None
    since: float = 0.0  # when it was given its task
    lost: str = ""  # why it was left out

    @property
    def speed(self) -> float | None:
        """Images a second; None before the first answer."""
        return self.images / self.seconds if self.seconds > 0 else None

    def limit(self, patience: Patience) -> float:
        """Seconds after which it hangs."""
        return max(patience.least, patience.factor * self.slowest) if self.answers else patience.first

    def usual(self) -> float:
        """Seconds of an answer; 0 before the first one."""
        return self.seconds / self.answers if self.answers else 0.0


@dataclasses.dataclass(eq=False)
class Task:
    """One request on its way."""

    request: Request
    givers: list[Worker] = dataclasses.field(default_factory=list)
    refusals: dict[str, Exception] = dataclasses.field(default_factory=dict)
    batch: Batch | None = None
    keeping: Future[object] | None = None  # of its batch, by the request's `keep`
    error: Exception | None = None
    awaited: bool = False  # the run waits for it just now

    @property
    def done(self) -> bool:
        """Whether it has its answer, or its fault."""
        return self.batch is not None or self.error is not None


class Book:
    """The requests of a pool, in the order in which they are asked for.  Whoever uses it holds the pool's lock."""

    def __init__(self) -> None:
        self.tasks: dict[Request, Task] = {}
        self._kinds: dict[Hashable, str] = {}

    def plan(self, requests: Sequence[Request], workers: Sequence[Worker]) -> None:
        """These are asked for next; what was planned before and is not asked for any more is forgotten."""
        self.tasks = {request: self.tasks.get(request) or Task(request) for request in requests}
        rows = Counter[Hashable](request.seeds for request in self.tasks)
        self._kinds = allotted(rows, speeds(workers))

    def add(self, request: Request) -> Task:
        """The task of a request."""
        return self.tasks.setdefault(request, Task(request))

    def next(self, worker: Worker, workers: Sequence[Worker], now: float) -> Task | None:
        """What a worker that is free does next; None: nothing yet.  workers: those that are left."""
        full = sum(task.done for task in self.tasks.values()) >= KEPT * max(len(workers), 2)
        for task in sorted(self.tasks.values(), key=lambda task: not task.awaited):
            if not task.done and not task.givers and self._suits(task, worker, workers):
                return task if task.awaited or not full else None
        return next((task for task in self.tasks.values() if self._late(task, worker, workers, now)), None)

    def _suits(self, task: Task, worker: Worker, workers: Sequence[Worker]) -> bool:
        """Whether it is one of the workers that should render it."""
        if worker.name in task.refusals:
            return False
        kind = self._kinds.get(task.request.seeds, worker.kind)
        return kind == worker.kind or all(other.kind != kind or other.name in task.refusals for other in workers)

    def _late(self, task: Task, worker: Worker, workers: Sequence[Worker], now: float) -> bool:
        """Whether a worker would be done sooner than the one that has it, or that one is overdue."""
        if task.done or len(task.givers) != 1 or worker in task.givers or not self._suits(task, worker, workers):
            return False
        other = task.givers[0]
        usual, passed = other.usual(), now - other.since
        if not usual or not worker.usual():
            return False
        return passed > OVERDUE * usual or worker.usual() < 0.8 * (usual - passed)


def speeds(workers: Sequence[Worker]) -> dict[str, float]:
    """Images a second of each kind of device; a worker that has not answered yet is as fast as the others are."""
    known = [worker.speed for worker in workers if worker.speed]
    usual = sum(known) / len(known) if known else 1.0
    found: Counter[str] = Counter()
    for worker in workers:
        found[worker.kind] += worker.speed or usual  # type: ignore[assignment]
    return dict(found)


def allotted(rows: Mapping[Hashable, int], speeds: Mapping[str, float]) -> dict[Hashable, str]:
    """The kind of device of each row of seeds, so that what differs between devices cancels; {} where rows are mixed.

    rows: how many requests each has.  Longest rows first, each to where it is done soonest; mixed where that takes
    longer than `WORTH` allows.
    """
    if len(speeds) < 2:
        return {}
    load = dict.fromkeys(speeds, 0)
    found: dict[Hashable, str] = {}
    for row, count in sorted(rows.items(), key=lambda item: -item[1]):
        kind = min(load, key=lambda name: ((load[name] + count) / speeds[name], -speeds[name]))
        load[kind] += count
        found[row] = kind
    longest = max(load[kind] / speeds[kind] for kind in load)
    return found if longest * WORTH <= sum(rows.values()) / sum(speeds.values()) else {}


def unique(names: Sequence[str]) -> list[str]:
    """Names of which some are alike, told apart by a number."""
    counts = Counter(names)
    numbers = {name: itertools.count(1) for name in counts}
    return [name if counts[name] == 1 else f"{name} #{next(numbers[name])}" for name in names]
