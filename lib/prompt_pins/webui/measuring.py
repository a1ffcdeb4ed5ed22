"""Measuring words from the script's button to the result: the core's analysis with the WebUI as its host."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modules import shared
from PIL import Image

from ..config import AnalysisOptions, RunConfig
from ..errors import OptionError, PinError
from ..report import build_analysis
from ..store import Measured, RunFolder, Runs, events
from ..store.folder import ANALYSIS
from ..words import analyze
from ..words.earlier import Earlier, of_run
from ..words.parts import AUTO
from ..words.result import AnalysisStarted, Event, result
from . import compat
from .arguments import RUN
from .following import Ended, followed
from .host import WebuiHost
from .job import Job
from .progress import PANEL, in_words


def earlier_run(number: object, runs: Runs) -> Earlier | None:
    """The finished run whose pinned prompt is measured; None where none is asked for.  Raises `PinError`."""
    text = str(number or "").strip()
    if not text:
        return None
    if not RUN.fullmatch(text):
        raise OptionError("of_run", text, "the number of a finished run")
    return of_run(runs.find(text))


def with_prompt(job: Job, values: Mapping[str, Any]) -> Job:
    """The job with both prompts of these values, which are a run's."""
    return dataclasses.replace(job, positive=values["prompt"], negative=values["negative_prompt"], template="")


def begin(
    config: RunConfig, options: Mapping[str, Any], host: WebuiHost, runs: Runs, source: Earlier | None = None
) -> Ended:
    """A new analysis.  source: what gives the target instead of the configuration.  Raises `PinError`."""
    return _followed(analyze.start(config, AnalysisOptions(**options), host, runs, source), config, host)


def go_on(folder: RunFolder, config: RunConfig, host: WebuiHost) -> Ended:
    """An analysis that was stopped."""
    return _followed(analyze.resume(folder, host), config, host)


def _followed(running: Iterator[Event], config: RunConfig, host: WebuiHost) -> Ended:
    """Work through it; whatever happens, its page is written, its folder let go."""
    progress = Progress(config, host)

    def handle(event: Event) -> None:
        progress.handle(event)
        done = event.done if isinstance(event, events.WordMeasured) else 0
        if progress.folder is not None and done & (done - 1) == 0:
            page(progress.folder)  # at the beginning and the end, and each time that twice as many are known

    folder, failure = followed(running, AnalysisStarted, handle, "analysis")
    if failure is not None:
        with contextlib.suppress(PinError):
            page(folder)
    return folder, failure


def page(folder: RunFolder) -> Path:
    """Write the page of an analysis as it is now.  Raises `StoreError`."""
    folder.save_json(ANALYSIS, result(folder.record()).to_json())
    return build_analysis(folder.path)


class Progress:
    """The bar counts batches, as the host does; the words tell words, images, speed and time."""

    def __init__(self, config: RunConfig, host: WebuiHost) -> None:
        self.config, self.host = config, host
        self.started = time.perf_counter()
        self.folder: RunFolder | None = None
        self.images = self.before = 0
        self.first: Image.Image | None = None

    def handle(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, AnalysisStarted):
            self._begin(event)
        elif isinstance(event, events.WordMeasured):
            shared.state.textinfo = self.words(event)
            self._picture(event.word)

    def _begin(self, event: AnalysisStarted) -> None:
        record, options = event.record, AnalysisOptions.from_record(event.record.options)
        self.folder = event.folder
        self.before = record.rendered
        if options.by == "likelihood":
            batches = math.ceil(event.wordings / self.config.batch_size)
        else:
            self.images = math.ceil(event.wordings * options.analysis_seeds)
            batches = math.ceil((self.images - self.before) / min(self.config.batch_size, options.analysis_seeds))
        shared.state.job_count = max(1, batches)
        shared.total_tqdm.updateTotal(max(1, batches) * max(1, self.config.steps))
        shared.state.textinfo = f"measuring {overview(event.words, self.images, self.config.vary == AUTO)}"

    def words(self, event: events.WordMeasured) -> str:
        """`word 3/12: red · 120/400 images · 2 min left · Interrupt keeps everything · 31 img/s`."""
        parts = [f"word {event.done}/{event.of}: {event.word.label}"]
        elapsed = time.perf_counter() - self.started
        speed: list[str] = []
        if self.images and self.host.images:
            done = self.before + self.host.images
            parts.append(f"{done}/{max(self.images, done)} images")
            speed = [f"{self.host.images / elapsed:.3g} img/s"]
            left = elapsed * max(0, self.images - done) / self.host.images
            parts.append(f"{in_words(left)} left")
        elif not self.images:
            parts.append(f"{in_words(elapsed)} so far")
        return " · ".join([*parts, "Interrupt keeps everything", *speed])

    def _picture(self, word: Measured) -> None:
        """The unchanged prompt's first image beside the word's, where the host shows its live preview."""
        if self.folder is None or not compat.setting("live_previews_enable", True):
            return
        names = ["original/00000.png", *(side.images[0] for side in word.sides.values() if side.images)]
        shown = []
        for path in (self.folder.inside(name) for name in names):
            if path.is_file():
                with Image.open(path) as image:
                    shown.append(image.convert("RGB"))
                    shown[-1].thumbnail((PANEL, PANEL))
        if len(shown) < 2:
            return
        picture = Image.new("RGB", (sum(image.width for image in shown), max(image.height for image in shown)))
        left = 0
        for image in shown:
            picture.paste(image, (left, 0))
            left += image.width
        shared.state.assign_current_image(picture)


def overview(words: int, images: int, auto: bool) -> str:
    """`12 words · 400 images`; with `auto` in its first pass."""
    what = f"{words} {'phrase' if auto else 'word'}{'s' * (words != 1)}"
    return f"{what} · {'about ' * auto}{images} images" if images else f"{what} · nothing is rendered"
