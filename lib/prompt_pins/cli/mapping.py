"""Maps on the command line: the work with a bar, and what is said of a map.  Imports rich and typer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..config import NO_TARGET, MapOptions, RunConfig
from ..errors import OptionError, PinError, StoreError
from ..map import work
from ..map.points import Earlier
from ..map.result import Event, MapStarted, told
from ..store import RunFolder, Runs, events
from . import threads
from .arguments import MODEL, complete, given_values, own_options, placed
from .crew import Here, again_as, fresh
from .running import FAILED, flags, say_how, signals
from .terminal import Terminal, complain

if TYPE_CHECKING:
    from .crew import Engine


class Order:
    """What `map` was asked for.  earlier: the run whose candidates it shows.  Raises `PinError`."""

    def __init__(
        self, prompt: str | None, config: Path | None, runs: Runs, run: str | None, options: dict[str, Any]
    ) -> None:
        given = given_values(prompt, config, options)
        self.runs = runs
        self.options = MapOptions(**own_options(given, MapOptions))
        self.earlier = None if run is None else Earlier.of(runs.find(run))
        if self.earlier is not None and "prompt" in given:
            raise OptionError("prompt", given["prompt"], "none beside --run, whose own prompt is mapped")
        known = {} if self.earlier is None else {**RunConfig.from_record(self.earlier.record.config).to_dict(), **NONE}
        self.config = complete(given) if self.earlier is None else placed({**known, **given})
        self.record = None if self.earlier is None or set(MODEL) & set(given) else self.earlier.record

    def here(self, device: str | None, embeddings: Path | None, loras: Path | None) -> Here:
        """What opens the run's host, or another one that the command line asks for."""
        if self.record is None:
            return fresh(self.config, device, embeddings, loras)
        threads.restore(self.record.host.get("threads"))
        return again_as(self.record, device, embeddings, loras)


NONE: Mapping[str, Any] = MappingProxyType({**NO_TARGET, "warm_start": ""})
"""Options of a run that a map has no use for."""


def map_to_the_end(running: Iterator[Event], host: Engine, again: Mapping[str, object] = MappingProxyType({})) -> None:
    """Work through a map; its page is written whatever ends it.

    again: options that are needed to go on, where they are not empty.
    """
    from ..report import build_index, build_map

    console = Terminal()
    received: list[int] = []
    folder: RunFolder | None = None
    failure: Exception | None = None
    with signals(host, received):
        try:
            for begun in follow(console, running):
                folder = begun
        except (PinError, OSError) as error:
            if folder is None:
                raise
            failure = error
    if folder is None:
        raise StoreError("the map did not begin")
    try:
        for line in told(work.drawn(folder)):
            console.say(line)
        console.say(f"report: {build_map(folder.path)}")
        build_index(Runs(folder.path.parent))
    except (PinError, OSError) as error:
        failure = failure or error
    if failure is not None:
        complain(failure)
    if failure is not None or received or folder.record().state != "finished":
        say_how(console, ["resume", folder.path, *flags(again)])
        raise typer.Exit(128 + received[0] if received else FAILED)


def follow(console: Terminal, running: Iterator[Event]) -> Iterator[RunFolder]:
    """Work through a map with a bar, and give its folder."""
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("candidates", total=None)
        for event in running:
            if isinstance(event, MapStarted):
                known = len(event.record.candidates)
                console.say(f"{event.images} images at most, {event.evaluations} denoiser evaluations")
                bar.update(task, total=event.candidates, completed=known)
                yield event.folder
            elif isinstance(event, events.CandidateDone):
                bar.update(task, advance=1)
