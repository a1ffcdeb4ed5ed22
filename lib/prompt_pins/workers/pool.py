"""A host made of hosts: one thread for each worker, answers in any order, and the run asks in its own.

A worker that fails, hangs or answers nonsense loses its request to another; after a patience it is left out.  Imports
numpy.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..config import RenderOptions
from ..errors import HostInterrupted, OptionError, PromptError, WorkersError
from ..host import Batch, Recipe, Request
from .answers import Asking, WorkerFault, whole
from .giving import Book, Patience, Task, Worker

log = logging.getLogger(__name__)
LOOK = 0.25
"""Seconds between two looks at workers that hang, and at those that are overdue."""
KEEPING = 2
"""Threads that write down batches while their run waits for one that was asked for before them."""
CLOSING = 5.0
"""Seconds in which workers must let go; one that hangs does not."""


class Pool(Asking):
    """The `Host` of a run with several workers; they are alike, which whoever opens a pool has checked.

    recruit: asked now and then for workers that have come since.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        patience: Patience | None = None,
        recruit: Callable[[], Sequence[Worker]] = tuple,
    ) -> None:
        self.workers = list(workers)
        self.patience = patience or Patience()
        self._recruit, self._recruited = recruit, time.monotonic()
        self._book = Book()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.at_end: Callable[[], object] = bool
        self._news: list[str] = []
        self._sizes: dict[RenderOptions, tuple[int, int]] = {}
        self._threads: dict[Worker, threading.Thread] = {}
        self._keeping = ThreadPoolExecutor(KEEPING, thread_name_prefix="keeping")
        self._began = self._ended = time.monotonic()
        self._useful = 0.0

    # what a host is asked: of any worker

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels; each job's is asked for once."""
        if job not in self._sizes:
            self._sizes[job] = super().size(job)
        return self._sizes[job]

    def _ask(self, name: str, *values: Any) -> Any:
        """A method of the first worker that answers; where none does, all are asked again after a rest.

        Raises `WorkersError` and `HostInterrupted`.
        """
        rounds = 0
        while left := self._left():
            rounds += 1
            for worker in left:
                try:
                    return getattr(worker.host, name)(*values)
                except WorkerFault as fault:
                    if rounds >= self.patience.tries:
                        self._leave(worker, str(fault))
            if rounds < self.patience.tries and self._stop.wait(self.patience.after(rounds)):
                raise HostInterrupted("rendering was stopped")
        raise self._none_left()

    # rendering

    def ahead(self, requests: Sequence[Request]) -> None:
        """These are asked for next, in this order: the workers begin now."""
        with self._changed:
            self._book.plan(requests, self._left())
            self._began = self._ended = time.monotonic()
            self._useful = 0.0
            self._changed.notify_all()
        self._start()

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """Waits for the batch.

        Raises `HostError` where the workers agree that it cannot be rendered, `WorkersError` where none is left,
        `HostInterrupted`.
        """
        request = Request(recipe, tuple(seeds), job, forked)
        with self._changed:
            task = self._book.add(request)
            task.awaited = True
            self._changed.notify_all()
        self._start()
        with self._changed:
            while not task.done:
                if self._stop.is_set():
                    raise HostInterrupted("rendering was stopped")
                if not self._left():
                    raise self._none_left()
                self._changed.wait(LOOK)
                self._watch(time.monotonic())
            self._book.tasks.pop(request, None)
            self._changed.notify_all()
        if task.error is not None:
            raise task.error
        assert task.batch is not None
        kept = task.keeping is not None and task.keeping.exception() is None  # else whoever asked is told why
        return dataclasses.replace(task.batch, kept=kept)

    def interrupt(self) -> None:
        """Stop what is being rendered, and do not begin anew."""
        self._stop.set()
        for worker in self._left():
            if worker.task is not None and hasattr(worker.host, "interrupt"):
                threading.Thread(target=worker.host.interrupt, daemon=True).start()  # one may be silent

    def interrupted(self) -> bool:
        """True once `interrupt` was called."""
        return self._stop.is_set()

    def close(self) -> None:
        """Let the workers go; a second call does nothing."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for worker in self.workers:
            if hasattr(worker.host, "close"):
                worker.host.close()
        longest = time.monotonic() + CLOSING
        for thread in self._threads.values():
            thread.join(max(0.0, longest - time.monotonic()))
        self._keeping.shutdown(cancel_futures=True)
        self.at_end()

    # what is told of it

    def news(self) -> list[str]:
        """What has happened to workers since this was asked last."""
        with self._changed:
            found, self._news = self._news, []
        return found

    def standing(self) -> str:
        """`box1 3.2 img/s, box2 1.1 img/s · 12 % of their time waited`: since the last generation began."""
        known = [f"{worker.name} {worker.speed:.3g} img/s" for worker in self._left() if worker.speed]
        if not known:
            return ""
        return f"{', '.join(known)} · {self.waited():.0%} of their time waited"

    def waited(self) -> float:
        """The share of the workers' time, since the last generation began, in which none of its answers was made."""
        whole = (self._ended - self._began) * len(self._left())
        return max(0.0, 1.0 - self._useful / whole) if whole > 0 else 0.0

    # within

    def _left(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.lost]

    def _none_left(self) -> WorkersError:
        reasons = "; ".join(f"{worker.name}: {worker.lost}" for worker in self.workers)
        return WorkersError(f"no worker is left ({reasons})")

    def _start(self) -> None:
        """A thread for each worker that has none."""
        for worker in self._left():
            if worker not in self._threads:
                self._threads[worker] = threading.Thread(target=self._serve, args=(worker,), daemon=True)
                self._threads[worker].start()

    def _serve(self, worker: Worker) -> None:
        """One worker's life."""
        while (task := self._taken(worker)) is not None:
            started = time.monotonic()
            try:
                request = dataclasses.replace(task.request, keep=None)
                batch = whole(worker.host, request, self.size(request.job))
            except (OptionError, PromptError) as error:
                self._refused(worker, task, error, at_once=True)
            except (WorkerFault, HostInterrupted) as fault:
                self._failed(worker, task, str(fault))
            except Exception as error:
                self._refused(worker, task, error)
            else:
                self._answered(worker, task, batch, time.monotonic() - started)

    def _taken(self, worker: Worker) -> Task | None:
        """Wait for a task; None: the worker's time is over."""
        with self._changed:
            while not (self._stop.is_set() or worker.lost):
                now = time.monotonic()
                task = self._book.next(worker, self._left(), now)
                if task is not None:
                    task.givers.append(worker)
                    worker.task, worker.since = task, now
                    return task
                busy = any(not other.done for other in self._book.tasks.values())
                self._changed.wait(LOOK if busy else None)
        return None

    def _answered(self, worker: Worker, task: Task, batch: Batch, seconds: float) -> None:
        with self._changed:
            worker.images, worker.answers = worker.images + len(task.request.seeds), worker.answers + 1
            worker.seconds, worker.slowest = worker.seconds + seconds, max(worker.slowest, seconds)
            worker.faults = worker.refused = 0
            # the first answer counts, and none after an interruption: a WebUI then answers with what is half done
            if not task.done and not self._stop.is_set():
                task.batch = dataclasses.replace(batch, worker=worker.name, seconds=seconds)
                if task.request.keep is not None:
                    task.keeping = self._keeping.submit(task.request.keep, task.batch)
                self._useful, self._ended = self._useful + seconds, time.monotonic()
            self._freed(worker, task)

    def _refused(self, worker: Worker, task: Task, error: Exception, at_once: bool = False) -> None:
        """It works, and says that this cannot be rendered: so it is, if another one agrees or there is none."""
        with self._changed:
            worker.refused += 1
            task.refusals[worker.name] = error
            if at_once or len(task.refusals) > 1:
                self._given_up(task)
            self._settle()
            self._freed(worker, task)
            alone = worker.refused >= self.patience.tries and len(self._left()) > 1
        if alone:
            self._leave(worker, " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": "))

    def _settle(self) -> None:
        """Give up what every worker that is left refuses.  Holds the lock."""
        left = self._left()
        for task in self._book.tasks.values():
            if left and task.refusals and all(worker.name in task.refusals for worker in left):
                self._given_up(task)

    def _given_up(self, task: Task) -> None:
        """Its fault is its own, and no worker's."""
        if task.done:
            return
        task.error = list(task.refusals.values())[-1]
        for worker in self.workers:
            worker.refused = 0 if worker.name in task.refusals else worker.refused

    def _failed(self, worker: Worker, task: Task, words: str) -> None:
        """Its request goes elsewhere; it rests until it is well again, and is left out after the patience."""
        with self._changed:
            self._freed(worker, task)
        while not worker.lost:
            log.info("worker %s: %s", worker.name, words)
            worker.faults += 1
            if worker.faults >= self.patience.tries:
                self._leave(worker, words)
            elif self._stop.wait(self.patience.after(worker.faults)):
                return
            try:
                getattr(worker.host, "check", bool)()
            except Exception as fault:  # whatever it is, it is not well
                words = str(fault)
            else:
                return

    def _freed(self, worker: Worker, task: Task) -> None:
        if worker in task.givers:
            task.givers.remove(worker)
        worker.task = None
        self._changed.notify_all()

    def _leave(self, worker: Worker, reason: str) -> None:
        with self._changed:
            if not worker.lost:
                worker.lost = reason
                left = len(self._left())
                self._news.append(f"worker {worker.name} is left out: {reason} ({left} left)")
                self._settle()
            self._changed.notify_all()

    def _watch(self, now: float) -> None:
        """Take their requests from workers that hang, and look for new ones.  Holds the lock."""
        for worker in self._left():
            if worker.task is None:
                continue
            passed, limit = now - worker.since, worker.limit(self.patience)
            if passed > limit and worker in worker.task.givers:
                worker.task.givers.remove(worker)
                self._changed.notify_all()
            if passed > 2 * limit or (passed > limit and len(self._left()) == 1):
                self._leave(worker, f"it has not answered for {passed:.0f} s")
        if now - self._recruited > 20 * LOOK:
            self._recruited = now
            for worker in self._recruit():
                self.workers.append(worker)
                self._news.append(f"worker {worker.name} has come")
            self._start()
