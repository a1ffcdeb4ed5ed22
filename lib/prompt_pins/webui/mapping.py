"""A map from the script's button to its page: the core's map with the WebUI as its host."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from modules import shared

from ..config import MapOptions, RunConfig
from ..errors import OptionError, PinError
from ..map import work
from ..map.points import Earlier
from ..map.result import Event, MapStarted
from ..report import build_map
from ..store import RunFolder, Runs, events
from .arguments import RUN
from .following import Ended, followed
from .host import WebuiHost
from .progress import in_words


def earlier_run(number: object, runs: Runs) -> Earlier | None:
    """The run whose candidates are mapped; None where none is asked for.  Raises `PinError`."""
    text = str(number or "").strip()
    if not text:
        return None
    if not RUN.fullmatch(text):
        raise OptionError("of_run", text, "the number of a run")
    return Earlier.of(runs.find(text))


def begin(
    config: RunConfig, options: Mapping[str, Any], host: WebuiHost, runs: Runs, earlier: Earlier | None = None
) -> Ended:
    """A new map.  Raises `PinError`."""
    return _followed(work.start(config, MapOptions(**options), host, runs, earlier), config, host)


def go_on(folder: RunFolder, config: RunConfig, host: WebuiHost) -> Ended:
    """A map that was stopped."""
    return _followed(work.resume(folder, host), config, host)


def _followed(running: Iterator[Event], config: RunConfig, host: WebuiHost) -> Ended:
    """Work through it; whatever happens, its page is written, its folder let go."""
    folder, failure = followed(running, MapStarted, Progress(config, host).handle, "map")
    try:
        work.drawn(folder)
        build_map(folder.path)
    except PinError as error:
        failure = failure or error
    return folder, failure


class Progress:
    """The bar counts batches, as the host does; the words tell candidates and time."""

    def __init__(self, config: RunConfig, host: WebuiHost) -> None:
        self.config, self.host = config, host
        self.started = time.perf_counter()
        self.done = self.of = self.new = 0

    def handle(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, MapStarted):
            self.done, self.of = len(event.record.candidates), event.candidates
            batches = max(1, self.of - self.done)
            shared.state.job_count = batches
            shared.total_tqdm.updateTotal(batches * max(1, self.config.steps))
            shared.state.textinfo = f"map of {self.of} candidates · at most {event.images} images"
        elif isinstance(event, events.CandidateDone):
            self.done, self.new = self.done + 1, self.new + 1
            shared.state.textinfo = self.words()

    def words(self) -> str:
        """`candidate 12/128 · 3 min left · Interrupt keeps everything`."""
        if self.done == self.of:
            return f"candidate {self.done}/{self.of} · comparing the images"
        left = (time.perf_counter() - self.started) / self.new * (self.of - self.done)
        return f"candidate {self.done}/{self.of} · {in_words(left)} left · Interrupt keeps everything"
