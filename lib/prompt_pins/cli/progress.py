"""What the terminal shows while a run goes on.  Imports rich."""

from __future__ import annotations

import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..report.payloads import payloads
from ..report.view import standing, unseen, unseen_of, verdict
from ..run import likely, weighing
from ..run.plan import Plan
from ..store import Candidate, Generation, Likely, Record, RunFolder, events
from .parameters import OUT
from .terminal import Terminal, quoted

ASKED = {"generation": "rank the candidates", "contest": "rank the finalists", "unseen": "choose one of each pair"}


class Screen:
    """A listener that shows a run: a live bar on a terminal, a line for each generation elsewhere.

    host: of the run; a pool of workers has news of them.
    """

    def __init__(self, console: Terminal, plan: Plan, host: object = None) -> None:
        self.console, self.plan, self.host = console, plan, host
        self.images = 0
        self.started = time.perf_counter()
        self.standing = ""
        self.by_eye, self.place = False, ""
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
        for line in self.host.news() if hasattr(self.host, "news") else ():
            self.console.say(line, style="yellow")
        if isinstance(event, events.RunStarted):
            self._begin(event.record, event.folder)
        elif isinstance(event, events.TargetReady):
            self._ask()
        elif isinstance(event, events.LikelyDone):
            self._likely(event.likely)
        elif isinstance(event, events.Rendered):
            self._rendered(event.candidate)
        elif isinstance(event, events.CandidateDone):
            self._scored(event.candidate)
            if not self.by_eye:
                self._rendered(event.candidate)
        elif isinstance(event, events.Asked):
            self.console.say(f"{ASKED[event.question.part]} by eye: prompt-pins serve{self.place}; the run waits")
            self.bar.update(self.task, description="waiting for you")
        elif isinstance(event, events.Answered):
            self.started += event.seconds  # it made no images
        elif isinstance(event, events.GenerationDone):
            self._settle(event.generation)
            self._line(event.generation.generation)
        elif isinstance(event, events.Chosen):
            self.bar.update(self.task, description="comparing with the original on unseen seeds")
        elif isinstance(event, events.WordMeasured):
            self.bar.update(self.task, description=weighing.in_words(event.done, event.of))

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
            if crew := self._crew():
                self.console.say(f"  {crew}")

    def _rendered(self, candidate: Candidate) -> None:
        self.images += len(candidate.images) if candidate.evaluations else 0
        done = candidate.generation - 1 + (candidate.index + 1) / self.plan.rows
        words = "  ".join(filter(None, (self._words(), self._crew())))
        self.bar.update(self.task, completed=min(done, self.plan.generations), description=words)

    def _begin(self, record: Record, folder: RunFolder) -> None:
        plan = self.plan
        out = folder.path.parent
        self.by_eye = record.by_eye
        self.place = f"{'' if out == OUT else f' --out {quoted(out)}'}, then /{folder.path.name}/eye/"
        self.console.say(
            f"pinning {plan.space.in_words} · {plan.in_words} · "
            f"tree: {plan.batch.evaluations} of {plan.batch.plain_evaluations} evaluations{plan.before_in_words}"
        )
        self.bar.start()
        for candidate in record.candidates:
            self._scored(candidate)
        if record.target_source and record.likely is None and not record.candidates:
            self._ask()
        if record.generations:
            self._settle(record.generations[-1])
            self.console.say(f"resumed after generation {len(record.generations)}")

    def _scored(self, candidate: Candidate) -> None:
        """Until the first generation is done, the original is the best so far."""
        if not self.standing and candidate.loss is not None and not self.by_eye:
            is_original = (candidate.generation, candidate.index) == (1, 0)
            self.standing = standing(1.0) if is_original else "the original could not be scored"

    def _settle(self, generation: Generation) -> None:
        loss = generation.state.get("best_loss")
        if self.by_eye:
            self.standing = "ranked by eye"
            return
        self.standing = standing(generation.progress) or ("" if loss is None else f"best loss {loss:.4f}")

    def _crew(self) -> str:
        """Who works, where there are several."""
        return str(self.host.standing()) if hasattr(self.host, "standing") else ""

    def _words(self) -> str:
        speed = self.images / max(time.perf_counter() - self.started, 1e-9)
        nothing = "by eye" if self.by_eye else "no candidate could be scored"
        return f"{self.standing or nothing}  {speed:.1f} img/s"


def summary(console: Terminal, record: Record) -> None:
    """What a run has found, in a few lines."""
    best = record.best
    if record.held is not None:
        console.say(verdict(record) or f"unseen seeds: {unseen(record.held)}")
    if best is None:
        return
    so_far = record.state != "finished" and record.choice is None
    if best.piece:
        console.say(f"{'original' if record.found_nothing else 'pinned'} piece: {best.piece}")
    for one in payloads(record):
        if one.gain is not None:
            console.say(f"payload {one.number}, {one.name}: {unseen_of(one.gain)}")
    name = "original {}" if record.found_nothing else "best {} so far" if so_far else "pinned {}"
    console.say(f"{name.format('prompt')}: {best.prompt}")
    if best.negative_prompt:
        console.say(f"{name.format('negative prompt')}: {best.negative_prompt}")
    for axis, value in zip(record.axes, best.weights):
        if axis.side == "settings":
            console.say(f"{name.format(axis.label)}: {value:g}")
