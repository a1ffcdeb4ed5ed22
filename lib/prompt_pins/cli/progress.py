"""What the terminal shows while a run goes on.  Imports rich."""

from __future__ import annotations

import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..run import likely
from ..run.plan import Plan
from ..store import Held, Likely, Record, RunFolder, events
from .terminal import Terminal


class Screen:
    """A listener that shows a run: a live bar on a terminal, a line for each generation elsewhere."""

    def __init__(self, console: Terminal, plan: Plan) -> None:
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

    def close(self) -> None:
        """Take the bar away."""
        self.bar.stop()

    def handle(self, event: events.Event) -> None:
        """Show one event."""
        if isinstance(event, events.RunStarted):
            self._begin(event.record)
        elif isinstance(event, events.TargetReady):
            self._ask()
        elif isinstance(event, events.LikelyDone):
            self._likely(event.likely)
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

    def _ask(self) -> None:
        if self.plan.before:
            self.bar.update(self.task, description=likely.ASKING)

    def _likely(self, found: Likely) -> None:
        self.started += found.seconds["wall"]  # it made no images
        self.console.say(f"before the first image: {likely.in_words(found)}")
        self.bar.update(self.task, description="")

    def _line(self, number: int) -> None:
        if not self.console.is_terminal:
            self.console.say(f"generation {number}/{self.plan.generations}  {self._words()}")

    def _begin(self, record: Record) -> None:
        plan = self.plan
        self.console.say(
            f"pinning {plan.space.in_words} · {plan.in_words} · "
            f"tree: {plan.batch.evaluations} of {plan.batch.plain_evaluations} evaluations{plan.before_in_words}"
        )
        self.bar.start()
        for candidate in record.candidates:
            self._first(candidate.loss)
        if record.target_source and record.likely is None and not record.candidates:
            self._ask()
        if record.generations:
            self.best = record.generations[-1].state.get("best_loss")
            self.console.say(f"resumed after generation {len(record.generations)}")

    def _first(self, loss: float | None) -> None:
        if self.first is None:
            self.first = self.best = loss

    def _words(self) -> str:
        speed = self.images / max(time.perf_counter() - self.started, 1e-9)
        if self.best is None or self.first is None:
            return f"no candidate could be scored  {speed:.1f} img/s"
        return f"best {self.best:.4f} (original {self.first:.4f})  {speed:.1f} img/s"


def summary(console: Terminal, folder: RunFolder) -> None:
    """The end of a run, in a few lines."""
    record = folder.record()
    console.say(f"{record.state}: {record.reason}")
    if record.held is not None:
        console.say(f"unseen seeds: {gain(record.held)}")
    if record.best is not None:
        console.say(f"pinned prompt: {record.best.prompt}")
        if record.best.negative_prompt:
            console.say(f"pinned negative prompt: {record.best.negative_prompt}")
        for axis, value in zip(record.axes, record.best.weights):
            if axis.side == "settings":
                console.say(f"pinned {axis.label}: {value:g}")
    console.say(f"report: {folder.path / 'index.html'}")


def gain(held: Held) -> str:
    """`fit 0.210 → 0.105, -50% [-61%, -38%]`, or that nothing changed."""
    before = sum(held.fits_original) / len(held.fits_original)
    after = sum(held.fits_pinned) / len(held.fits_pinned)
    change, low, high = (percent(-value) for value in (held.improvement, held.high, held.low))
    told = "no change" if change == low == high == "0%" else f"{change} [{low}, {high}]"
    return f"fit {before:.3f} → {after:.3f}, {told}"


def percent(share: float) -> str:
    """A share as signed whole percent; 0 has no sign."""
    whole = round(100 * share)
    return f"{whole:+d}%" if whole else "0%"
