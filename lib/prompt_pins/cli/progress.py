"""What the terminal shows while a run goes on.  Imports rich."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..run.plan import Plan
from ..store import Record, RunFolder, events


class Screen:
    """A listener that shows a run: a live bar on a terminal, a line for each generation elsewhere."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console, self.plan = console, plan
        self.images = 0
        self.started = time.perf_counter()
        self.first: float | None = None
        self.best: float | None = None
        self.bar = Progress(
            TextColumn("generation"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.task = self.bar.add_task("", total=plan.generations)

    def __enter__(self) -> Screen:
        plan = self.plan
        self.console.print(
            f"pinning {plan.space.size} words · {plan.in_words} · "
            f"tree: {plan.batch.evaluations} of {plan.batch.plain_evaluations} evaluations",
            highlight=False,
            soft_wrap=True,
        )
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def handle(self, event: events.Event) -> None:
        """Show one event."""
        if isinstance(event, events.RunStarted):
            self._resumed(event.record)
        elif isinstance(event, events.CandidateDone):
            candidate = event.candidate
            self.images += len(candidate.images) if candidate.evaluations else 0
            self._first(candidate.loss)
            done = candidate.generation - 1 + (candidate.index + 1) / self.plan.rows
            self.bar.update(self.task, completed=min(done, self.plan.generations), description=self._words())
        elif isinstance(event, events.GenerationDone):
            self.best = event.generation.state["best_loss"]
            self._line(event.generation.generation)
        elif isinstance(event, events.Chosen):
            self.bar.update(self.task, description="comparing with the original on unseen seeds")

    def _line(self, number: int) -> None:
        if not self.console.is_terminal:
            words = f"generation {number}/{self.plan.generations}  {self._words()}"
            self.console.print(words, highlight=False, soft_wrap=True)

    def _resumed(self, record: Record) -> None:
        for candidate in record.candidates:
            self._first(candidate.loss)
        if record.generations:
            self.best = record.generations[-1].state.get("best_loss")
            self.console.print(f"resumed after generation {len(record.generations)}", highlight=False)

    def _first(self, loss: float | None) -> None:
        if self.first is None:
            self.first = self.best = loss

    def _words(self) -> str:
        speed = self.images / max(time.perf_counter() - self.started, 1e-9)
        if self.best is None or self.first is None:
            return f"no candidate could be scored  {speed:.1f} img/s"
        return f"best {self.best:.4f} (start {self.first:.4f})  {speed:.1f} img/s"


def summary(console: Console, folder: RunFolder) -> None:
    """The end of a run, in a few lines."""
    record = folder.record()
    console.print(f"{record.state}: {record.reason}", highlight=False, markup=False, soft_wrap=True)
    held = record.held
    if held is not None:
        before = sum(held.fits_original) / len(held.fits_original)
        after = sum(held.fits_pinned) / len(held.fits_pinned)
        console.print(
            f"unseen seeds: fit {before:.3f} → {after:.3f}, {-held.improvement:+.0%} "
            f"[{-held.high:+.0%}, {-held.low:+.0%}]",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if record.best is not None:
        console.print(f"pinned prompt: {record.best.prompt}", highlight=False, markup=False, soft_wrap=True)
        if record.best.negative_prompt:
            text = f"pinned negative prompt: {record.best.negative_prompt}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {folder.path / 'index.html'}", highlight=False, markup=False, soft_wrap=True)
