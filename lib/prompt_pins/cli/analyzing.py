"""Analyses on the command line: what is asked for, the work with a bar, what is said of it.  Imports rich, typer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer
from rich.cells import cell_len
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..config import AnalysisOptions, RunConfig
from ..effects import Effect
from ..errors import OptionError, PinError, StoreError
from ..store import Record, RunFolder, Runs, events
from ..words import compare as comparing
from ..words.analyze import start
from ..words.earlier import Earlier, check_paired, of_analysis, of_run
from ..words.result import Analysis, AnalysisDone, AnalysisStarted, Event
from . import threads
from .arguments import MODEL, complete, given_values, own_options, placed
from .crew import Here, again_as, fresh
from .running import FAILED, built, flags, say_how, signals
from .terminal import Terminal, complain, emit, shown

if TYPE_CHECKING:
    from .crew import Engine


@dataclasses.dataclass(frozen=True)
class Order:
    """What `analyze` was asked for.

    source: the run or the analysis that gives prompt, target and settings.  against: what is compared with.
    given: whether the command line names a target.  moved: whether it names a model of its own, or a prompt, which may
    have other LoRAs.
    """

    config: RunConfig
    options: AnalysisOptions
    runs: Runs
    source: Earlier | None
    against: Earlier | None
    given: bool = False
    moved: bool = False

    @classmethod
    def of(
        cls,
        prompt: str | None,
        config: Path | None,
        runs: Runs,
        run: str | None,
        against: str | None,
        options: dict[str, Any],
    ) -> Order:
        """Raises `PinError`."""
        other = None if against is None else of_analysis(runs.find(against))
        source = other if run is None else of_run(runs.find(run))
        given = given_values(prompt, config, options)
        chosen = AnalysisOptions(**{**(other.options if other else {}), **own_options(given)})
        if source is None:
            return cls(complete(given), chosen, runs, None, None)
        if run is not None and "prompt" in given:
            raise OptionError("prompt", given["prompt"], "none beside --run, whose pinned prompt is measured")
        found = placed({**source.values, **given})
        return cls(found, chosen, runs, source, other, bool(found.target), bool({"prompt", *MODEL} & set(given)))

    @property
    def record(self) -> Record | None:
        """Of the earlier run or analysis, whose host is to be the same."""
        return None if self.source is None or self.moved else self.source.record

    def here(self, device: str | None, embeddings: Path | None, loras: Path | None) -> Here:
        """What opens the host of the earlier run or analysis, or another one that the command line asks for."""
        record = None if self.source is None else self.source.record
        if record is not None and not self.moved and loras is None:
            threads.restore(record.host.get("threads"))
            return again_as(record, device, embeddings)
        known = [] if record is None else [record.host.get(f"{name}_folder") for name in ("embeddings", "loras")]
        own = [Path(folder) if folder else None for folder in known] or [None, None]
        return fresh(self.config, device, *(given or folder for given, folder in zip((embeddings, loras), own)))

    def begin(self, host: Engine) -> Iterator[Event]:
        """The events.  Raises `PinError`."""
        if self.against is not None:
            check_paired(self.against, self.config, self.options, host)
        wanted = self.against.split if self.against else ()
        return start(self.config, self.options, host, self.runs, None if self.given else self.source, wanted)


def measure_to_the_end(
    running: Iterator[Event],
    host: Engine,
    against: Earlier | None = None,
    as_json: bool = False,
    again: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Work through an analysis; its page is written whatever ends it.

    again: options that are needed to go on, where they are not empty.
    """
    from ..report import build_index

    console, received = Terminal(stderr=as_json), list[int]()
    folder: RunFolder | None = None
    failure: Exception | None = None
    told: Analysis | None = None
    with signals(host, received):
        try:
            for place, found in follow(console, running):
                folder, told = place, found
        except (PinError, OSError) as error:
            if folder is None:
                raise
            failure = error
        if folder is None:
            raise StoreError("the analysis did not begin")
        try:
            page = built(folder)
            build_index(Runs(folder.path.parent))
        except (PinError, OSError) as error:
            failure = failure or error
    if told is not None and failure is None:
        if as_json:
            emit(json.dumps(told.to_json(), ensure_ascii=False))
        else:
            console.print(table(told, console.width))
            if told.hint:
                console.say(told.hint)
        console.say(f"report: {page}")
        if against is not None and told.words:
            compared(console, against.folder, folder)
    if failure is not None:
        complain(failure)
    if failure is not None or received or (told is not None and told.state != "finished"):
        say_how(console, ["resume", folder.path, *flags(again)])
        raise typer.Exit(128 + received[0] if received else FAILED)


def follow(console: Terminal, running: Iterator[Event]) -> Iterator[tuple[RunFolder, Analysis | None]]:
    """Work through an analysis with a bar, and give its folder, and its result in the end."""
    columns = (TextColumn("words"), MofNCompleteColumn(), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        for event in running:
            if isinstance(event, AnalysisStarted):
                folder = event.folder
                bar.update(task, total=event.words, completed=len(event.record.words))
                yield folder, None
            elif isinstance(event, events.WordMeasured):
                bar.update(task, total=event.of, completed=event.done)
            elif isinstance(event, AnalysisDone):
                yield folder, event.result


def compared(console: Terminal, before: RunFolder, after: RunFolder, as_json: bool = False) -> None:
    """Compare two analyses: a table, and a page in the folder of the second."""
    from ..report import build_comparison

    found = comparing.compare(before, after)
    page = build_comparison(found.to_json(), before.path, after.path)
    if as_json:
        emit(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        for change in found.changes:
            console.say(f"changed: {change.what}: {change.before} → {change.after}")
        console.print(differences(found, console.width))
    console.say(f"comparison: {page}")


def differences(found: comparing.Comparison, width: int = 200) -> Table:
    """The words, those that differ most first.  A star: the interval leaves out zero."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    drawn.add_column("word", overflow="fold")
    what = "image" if found.by == "images" else "misfit"
    names = (f"{what} moves by", "before", "now", "fit ↓" if found.by == "images" else "misfit ↓", "↑")
    shows = names if width >= WIDE else names[:1]
    for name in shows:
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in found.words:
        star = "*" if row.image.proven else " "
        figures = [
            Text(f"{row.image.mean:+.3f}{star} [{row.image.low:+.3f}, {row.image.high:+.3f}]"),
            Text(f"{row.before:.3f}"),
            Text(f"{row.after:.3f}"),
            _shown(row.lowered),
            _shown(row.raised),
        ]
        drawn.add_row(Text(shown(row.label)), *figures[: len(shows)])
    return drawn


WIDE = 80
FIGURES = {
    "images": ("image moves by", "fit ↓", "fit ↑", "spread ↓", "spread ↑"),
    "likelihood": ("misfit moves by", "misfit ↓", "misfit ↑"),
}
WIDTHS = (len("0.000 [0.000, 0.000]"), 8, 8, 8, 8)
WORD = 12  # columns that a word has at least, if it needs them
GAP = 1


def table(result: Analysis, width: int = 200) -> Table:
    """The words, those that move the image, or the misfit, most first.  A star: the interval leaves out zero.

    width: columns of the terminal; the words are always there, and as many of the figures as fit beside them.
    """
    found = Table(box=None, header_style="bold", pad_edge=False)
    found.add_column("word", overflow="fold")
    needed = min(WORD, max((cell_len(shown(word.label)) for word in result.words), default=WORD))
    names = FIGURES[result.options.by]
    shows = [needed + sum(WIDTHS[:count]) + 2 * GAP * count <= width for count in range(1, len(names) + 1)]
    for name in names[: max(1, sum(shows))]:
        found.add_column(name if any(shows) else "moves", justify="right", no_wrap=True)
    for word in result.words:
        interval = f" [{word.image.low:.3f}, {word.image.high:.3f}]" if any(shows) else ""
        sides = (word.lowered, word.raised)
        effects = [None if side is None else side.fit for side in sides]
        effects += [None if side is None else side.spread for side in sides]
        figures = [Text(f"{word.image.mean:.3f}{interval}"), *map(_shown, effects)]
        found.add_row(Text(shown(word.label)), *figures[: max(1, sum(shows))])
    return found


def _shown(effect: Effect | None) -> Text:
    if effect is None:
        return Text("–")
    return Text(f"{effect.mean:+.3f}{'*' if effect.proven else ' '}", style="" if effect.proven else "dim")
