"""A run at work in a terminal, from its first event to its last line.  Imports typer."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING

import typer

from ..errors import MovedError, PinError, StoreError, reason
from ..store import RunFolder, Runs
from ..store.events import Event, RunStarted
from .terminal import GONE, Terminal, complain, quoted

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..merge.sources import Sources
    from .crew import Engine

FAILED = 1
PIPE = GONE - 128
"""The number of SIGPIPE, which not every system has."""


def run_to_the_end(
    settings: RunConfig,
    host: Engine,
    begin: Callable[[], Iterator[Event]],
    again: Mapping[str, object] = MappingProxyType({}),
    moved: Mapping[str, str] = MappingProxyType({}),
    to_go_on: Sequence[Path | str] = (),
) -> None:
    """Run to the end, with a live screen and a live report; never leaves without the report.

    again: options that are needed to go on, where they are not empty.  moved: as in `crew.again_as`.  to_go_on: the
    command's words before these options, where it is not to resume the run.
    """
    from ..report import LiveReport
    from ..run.plan import make_plan
    from .progress import Screen

    console = Terminal()
    received: list[int] = []
    folder: RunFolder | None = None
    failure: Exception | None = None
    plan = make_plan(settings, host)
    with signals(host, received), LiveReport(quiet=True) as live:
        events = begin()
        screen = Screen(console, plan, host)
        try:
            for event in events:
                folder = event.folder if isinstance(event, RunStarted) else folder
                live.handle(event)
                try:
                    screen.handle(event)
                except BrokenPipeError:  # nobody looks any more: the run stops as it does with Ctrl-C
                    received.append(PIPE)
                    host.interrupt()
        except (PinError, OSError) as error:
            if folder is None:
                raise
            failure = error
        finally:
            screen.close()
    if folder is not None:
        failure = failure or live.failed or _merged(console, folder, moved)
        _close(console, folder, received, failure, [*(to_go_on or ("resume", folder.path)), *flags(again)])


def _merged(console: Terminal, folder: RunFolder, moved: Mapping[str, str]) -> Exception | None:
    """Write what a merge found, once its run is finished; why it cannot be written."""
    from ..report.merged_file import keep

    def sources() -> Sources:
        from ..headless.merged import open_sources  # imports diffusers, which most runs end without
        from ..merge.sources import FIELDS

        config = folder.record().config
        return open_sources(*(moved.get(name) or str(config.get(name) or "") for name in FIELDS))

    try:
        for line in keep(folder, sources):
            console.say(line)
    except (PinError, OSError) as error:
        return error
    return None


def flags(given: Mapping[str, object]) -> list[str]:
    """The words of a command line, of options that are not empty; a list is one that is given several times."""
    lists = [(flag, values if isinstance(values, list) else [values]) for flag, values in given.items()]
    return [str(word) for flag, values in lists for value in values if value for word in (flag, value)]


def _close(
    console: Terminal, folder: RunFolder, received: list[int], failure: Exception | None, to_go_on: Sequence[Path | str]
) -> None:
    """The end of a run: the index, a summary, and how to go on where it is not whole."""
    from ..report import build_index
    from ..report.answer import sentences
    from .progress import summary

    moved = failure if isinstance(failure, MovedError) else None
    record = folder.record() if moved is None else moved.record
    try:
        if moved is None or folder.path.parent.is_dir():
            build_index(Runs(folder.path.parent))
    except StoreError as error:
        failure = failure or error
    if PIPE in received:
        raise typer.Exit(GONE)
    if moved is None:
        console.say(f"{record.state}: {record.reason}")
    summary(console, record)
    if moved is None:
        console.say(f"report: {folder.path / 'index.html'}")
        for line in sentences(record):
            console.say(line)
    if console.lost is not None:
        failure = failure or PinError(f"the output cannot be written ({reason(console.lost)})")
        console = Terminal(stderr=True)
    if failure is not None:
        complain(failure)
    if received or failure is not None or record.state != "finished":
        if moved is None:
            say_how(console, to_go_on)
        raise typer.Exit(128 + received[0] if received else FAILED)


def say_how(console: Terminal, to_go_on: Sequence[Path | str]) -> None:
    """The command line that goes on with what has stopped."""
    console.say(f"to go on: prompt-pins {' '.join(map(quoted, to_go_on))}")


def built(folder: RunFolder) -> Path:
    """The page of a run, an analysis or a map, from its journal."""
    from ..map import work
    from ..report import build, build_analysis, build_map
    from ..store.folder import ANALYSIS
    from ..words.analyze import TASK
    from ..words.result import result

    record = folder.record()
    if record.task == work.TASK:
        work.drawn(folder)
        return build_map(folder.path)
    if record.task != TASK:
        return build(folder)
    folder.save_json(ANALYSIS, result(record).to_json())
    return build_analysis(folder.path)


def draw_again(folder: RunFolder, again: Mapping[str, object], moved: Mapping[str, str]) -> None:
    """What is left to do for a finished run: its report, which a killed process may have left half drawn."""
    console, task = Terminal(), folder.record().task
    what = {"words": "analysis", "map": "map"}.get(task, "run")
    console.say(f"this {what} is finished; its report is drawn again")
    built(folder)
    if task == "pin":
        _close(console, folder, [], _merged(console, folder, moved), ["resume", folder.path, *flags(again)])


@contextlib.contextmanager
def signals(host: Engine, received: list[int]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the run cleanly; a second one ends the program at once."""

    def stop(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        host.interrupt()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
