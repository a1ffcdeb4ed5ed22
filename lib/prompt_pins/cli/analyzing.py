"""What the terminal shows of an analysis.  Imports rich."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..store import RunFolder
from ..words.effects import Effect
from ..words.result import Analysis, AnalysisDone, AnalysisStarted, Event, WordMeasured
from .terminal import Terminal, shown


def follow(console: Terminal, events: Iterator[Event]) -> tuple[RunFolder, Analysis]:
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
