"""A report that grows with its run: a listener that draws on one thread of low priority.

What belongs to one candidate or one generation is always drawn, in order.  What shows the whole run is drawn when
there is nothing else to do and drawing it took little of the time so far; `close` draws it all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import PinError
from ..store import Candidate, Generation, Record, RunFolder, events
from .artist import Artist, unlike
from .build import finish

if TYPE_CHECKING:
    import numpy as np

SHARE = 0.002
PICTURES = 1 / 3  # of that share, for plots and GIFs of the whole run; the rest is for its page
PICTURE_SECONDS = 0.5  # what they take, until they were drawn once
IDLE = 0.5  # seconds between two looks at whether the whole run may be drawn again
CREDIT = 0.1  # seconds that may be spent on the page at once, however young the run is
NICE = 10
AHEAD = 8  # candidates whose images may wait in memory
PAGE = "index.html"

logger = logging.getLogger(__name__)


class LiveReport:
    """Hand every event of a run to `handle`; `close` waits until everything is drawn.  A context manager.

    share: of the run's wall time that may go into pages of the whole run before it ends.
    quiet: a part that cannot be written is not logged, only kept in `failed`.
    seconds: spent drawing so far.
    """

    def __init__(self, share: float = SHARE, quiet: bool = False) -> None:
        self.share, self.quiet, self.seconds = share, quiet, 0.0
        self.failed: Exception | None = None
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._artist: Artist | None = None
        self._record: Record | None = None
        self._rows: dict[int, list[Candidate]] = {}
        self._known: dict[int, Generation] = {}
        self._owners: dict[str, Candidate] = {}
        self._stale = self._closing = False
        self._next_pictures, self._picture_seconds = 1, PICTURE_SECONDS
        self._spent = {"page": 0.0, "pictures": 0.0}
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="report", daemon=True)
        self._thread.start()

    def handle(self, event: events.Event) -> None:
        """Take note of an event and return at once.  Events before `RunStarted` are ignored."""
        with self._wake:
            if isinstance(event, events.RunStarted):
                self._begin(event.folder, event.record)
            elif self._record is not None:
                self._note(event)
            self._stale = True
            self._wake.notify()

    def close(self) -> None:
        """Draw what is left and then the whole run, from its journal.  A second call does nothing."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def __enter__(self) -> LiveReport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, folder: RunFolder, record: Record) -> None:
        self._artist, self._record = Artist.of(folder, record), record
        for candidate in record.candidates:
            self._rows.setdefault(candidate.generation, []).append(candidate)
            self._owners.setdefault(candidate.folder, candidate)
        self._known = {g.generation: g for g in record.generations}
        self._drawn = {c.folder for c in record.candidates if (folder.path / c.folder / PAGE).is_file()}
        for candidate in unlike(record.candidates):
            self._jobs.append(functools.partial(self._draw_candidate, candidate))
        for number in self._known:
            if not (folder.generation(number) / PAGE).is_file():
                self._jobs.append(functools.partial(self._draw_generation, number))

    def _note(self, event: events.Event) -> None:
        record = self._record
        assert record is not None
        if isinstance(event, events.CandidateDone):
            candidate = event.candidate
            self._rows.setdefault(candidate.generation, []).append(candidate)
            self._owners.setdefault(candidate.folder, candidate)
            images = event.images if len(self._jobs) < AHEAD else None
            self._jobs.append(functools.partial(self._draw_candidate, candidate, images))
            self._record = dataclasses.replace(record, candidates=(*record.candidates, candidate))
        elif isinstance(event, events.Rendered):
            self._record = dataclasses.replace(record, unranked=(*record.unranked, event.candidate))
        elif isinstance(event, events.Asked):
            self._record = dataclasses.replace(record, questions=(*record.questions, event.question))
            self._jobs.append(self._refresh)
        elif isinstance(event, events.Answered):
            self._record = dataclasses.replace(record, verdicts=(*record.verdicts, event.verdict))
        elif isinstance(event, events.GenerationDone):
            generation = event.generation
            self._known[generation.generation] = generation
            self._jobs.append(functools.partial(self._draw_generation, generation.generation))
            self._record = dataclasses.replace(record, generations=(*record.generations, generation))
        elif isinstance(event, events.TargetReady):
            self._record = dataclasses.replace(record, target_source=event.source, target_images=event.images)
        elif isinstance(event, events.LikelyDone):
            self._record = dataclasses.replace(record, likely=event.likely)
            self._jobs.append(self._refresh)  # once a run, and nothing else is to be seen yet
        elif isinstance(event, events.Chosen):
            self._record = dataclasses.replace(record, choice=event.choice)
        elif isinstance(event, events.Validated):
            self._record = dataclasses.replace(record, held=event.held)
        elif isinstance(event, events.WordMeasured):
            self._record = dataclasses.replace(record, words=(*record.words, event.word))

    # on the thread

    def _work(self) -> None:
        lower_priority()
        while True:
            with self._wake:
                if not self._jobs and not self._closing:
                    self._wake.wait(IDLE if self._stale else None)
                job = self._jobs.popleft() if self._jobs else None
            if job is None:
                if self._closing:
                    self._measured(self._finish)
                    return
                if not self._stale or not self._affordable():
                    continue
                job = self._refresh
            self._measured(job)

    def _measured(self, job: Callable[[], None]) -> None:
        """Do a job; one that fails is logged and never harms the run.  Nothing is done for a folder that is gone.

        Of a disk that cannot be written the first failure says it all.
        """
        if self._artist is not None and self._artist.folder.moved:
            return
        started = time.monotonic()
        try:
            job()
        except (PinError, OSError) as error:
            if self.failed is None and not self.quiet:
                logger.warning("a part of the report could not be drawn: %s", error)
            self.failed = self.failed or error
        except Exception:
            logger.exception("a part of the report could not be drawn")
        self.seconds += time.monotonic() - started

    def _affordable(self) -> bool:
        """Whether the page of the whole run may be written again."""
        return self._spent["page"] <= CREDIT + (1 - PICTURES) * self._allowance()

    def _allowance(self) -> float:
        """Seconds that the whole run may have taken by now."""
        return self.share * (time.monotonic() - self._started)

    def _draw_candidate(self, candidate: Candidate, images: Sequence[np.ndarray] | None = None) -> None:
        if self._artist is not None and candidate.folder not in self._drawn:
            self._drawn.add(candidate.folder)
            self._artist.candidate(candidate, images)

    def _draw_generation(self, number: int) -> None:
        if self._artist is None:
            return
        self._artist.generation(number, tuple(self._rows.get(number, ())), self._known[number], last=True)
        if number - 1 in self._known:
            before = self._known[number - 1]
            self._artist.settle(number - 1, tuple(self._rows.get(number - 1, ())), before, False, self._owners)

    def _refresh(self) -> None:
        """The whole run's page; its plots and GIFs each time that there are twice as many generations."""
        with self._wake:
            record, self._stale = self._record, False
        if record is None or self._artist is None:
            return
        spent, cost = self._spent["pictures"], self._picture_seconds
        if len(record.generations) >= self._next_pictures and spent + cost <= PICTURES * self._allowance():
            self._next_pictures = 2 * len(record.generations)
            self._picture_seconds = self._timed("pictures", functools.partial(self._draw_pictures, record))
        self._timed("page", functools.partial(self._artist.run, record))

    def _draw_pictures(self, record: Record) -> None:
        assert self._artist is not None
        self._artist.run_plots(record)
        self._artist.run_gifs(record)

    def _timed(self, what: str, work: Callable[[], object]) -> float:
        """Do it, and note the seconds of this thread's processor time that it took."""
        started = time.thread_time()
        work()
        taken = time.thread_time() - started
        self._spent[what] += taken
        return taken

    def _finish(self) -> None:
        if self._artist is not None:
            finish(self._artist, self._artist.folder.record())


def lower_priority() -> None:
    """Let the run's own threads go first, where the system lets one thread step back (Linux)."""
    if hasattr(os, "setpriority") and hasattr(threading, "get_native_id"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
