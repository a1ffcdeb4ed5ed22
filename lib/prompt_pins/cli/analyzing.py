"""What the terminal shows of an analysis.  Imports rich."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..store import RunFolder
from ..words.analyze import Analysis, AnalysisDone, AnalysisStarted, Event, WordMeasured
from ..words.effects import Effect


def follow(console: Console, events: Iterator[Event]) -> tuple[RunFolder, Analysis]:
    """Work through an analysis with a bar, and give its folder and result."""
    folder: RunFolder | None = None
    result: Analysis | None = None
    columns = (TextColumn("words"), MofNCompleteColumn(), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        for event in events:
            if isinstance(event, AnalysisStarted):
                folder = event.folder
                bar.update(task, total=event.words)
            elif isinstance(event, WordMeasured):
                bar.advance(task)
            elif isinstance(event, AnalysisDone):
                result = event.result
    assert folder is not None and result is not None
    return folder, result


def table(result: Analysis) -> Table:
    """The words, those that move the image most first.  A star marks a change whose interval leaves out zero."""
    found = Table(box=None, header_style="bold", pad_edge=False)
    found.add_column("word", overflow="fold", min_width=8)
    for name in ("image moves by", "fit ↓", "fit ↑", "spread ↓", "spread ↑"):
        found.add_column(name, justify="right", no_wrap=True)
    for word in result.words:
        image = f"{word.image.mean:.3f} [{word.image.low:.3f}, {word.image.high:.3f}]"
        sides = (word.lowered, word.raised)
        effects = [None if side is None else side.fit for side in sides]
        effects += [None if side is None else side.spread for side in sides]
        found.add_row(Text(word.label), image.replace("[", r"\["), *map(_shown, effects))
    return found


def _shown(effect: Effect | None) -> Text:
    if effect is None:
        return Text("–")
    return Text(f"{effect.mean:+.3f}{'*' if effect.proven else ' '}", style="" if effect.proven else "dim")
