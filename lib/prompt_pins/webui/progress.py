"""What the host's progress bar says and shows while a run goes on: the truth, and the best batch so far."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from modules import shared
from PIL import Image, ImageDraw
from tqdm import tqdm

from ..config import RunConfig
from ..report.gif import small_type
from ..report.view import standing
from ..run import answers, likely, weighing
from ..run.plan import Plan
from ..store import Candidate, Generation, Record, RunFolder, events
from . import compat
from .host import WebuiHost

PANEL = 384
CURVE, HEAD = 112, 28
INK = (235, 235, 235)
ACCENT, FAINT, GROUND = (230, 120, 40), (150, 150, 150), (24, 24, 27)


class Progress:
    """A listener.  The bar counts batches, as the host does; the words tell generations, loss, speed and time.

    console: each generation is a line of the console, too.
    """

    def __init__(self, plan: Plan, config: RunConfig, host: WebuiHost, console: bool = False) -> None:
        self.plan, self.config, self.host, self.console = plan, config, host, console
        self.batches = planned_batches(plan, config)
        self.images = planned_images(plan, config)
        self.started = time.perf_counter()
        self.folder: RunFolder | None = None
        self.target: Image.Image | None = None
        self.best: Candidate | None = None
        self.done: dict[tuple[float, ...], Candidate] = {}  # by weights, the latest of each
        self.standing = ""
        self.curve: list[float] = []  # the figure of progress, by generation
        self.looks = planned_looks(plan)  # batches that are ahead and show no image
        self._count()
        shared.state.textinfo = overview(plan)

    def handle(self, event: events.Event) -> None:
        """Show one event."""
        if isinstance(event, events.RunStarted):
            self.folder = event.folder
            self._replayed(event.record)
        elif isinstance(event, events.TargetReady) and self.folder is not None:
            self.target = _thumbnail(self.folder.inside(event.images[0]))
            self._ask()
        elif isinstance(event, events.LikelyDone):
            self.started += event.likely.seconds["wall"]  # it made no images
            self.looks = 0
            shared.state.textinfo = f"before the first image: {likely.in_words(event.likely)}"
        elif isinstance(event, events.CandidateDone):
            self._not_asked()
            self._candidate(event.candidate)
        elif isinstance(event, events.GenerationDone):
            self._settle(event.generation)
            self._picture()
            self._log(event.generation)
        elif isinstance(event, events.Chosen):
            shared.state.textinfo = "comparing the original and the pinned prompt on unseen seeds"
        elif isinstance(event, events.WordMeasured):
            shared.state.textinfo = weighing.in_words(event.done, event.of)

    def _count(self) -> None:
        """Tell the host how many batches there are.  Its console counts steps, and looks have none."""
        shared.state.job_count = max(1, self.batches + self.looks)
        shared.total_tqdm.updateTotal(max(1, self.batches) * max(1, self.config.steps))

    def _ask(self) -> None:
        if self.looks:
            shared.state.textinfo = likely.ASKING

    def _not_asked(self) -> None:
        """Looks that were planned are not ahead any more."""
        if self.looks:
            self.looks = 0
            self._count()

    def _replayed(self, record: Record) -> None:
        """A run that goes on: what was rendered before is not ahead."""
        if record.likely is not None or record.candidates:
            self._not_asked()
        elif record.target_source:
            self._ask()
        for candidate in record.candidates:
            self._note(candidate)
        if self.best is None:
            return
        self.batches -= len(record.candidates)
        self.images -= sum(len(candidate.images) for candidate in record.candidates)
        self._count()
        for generation in record.generations:
            self._settle(generation)
        if record.target_images and self.folder is not None:
            self.target = _thumbnail(self.folder.inside(record.target_images[0]))

    def _note(self, candidate: Candidate) -> None:
        """One more that is done.  The first is the best until the search names one, at the end of a generation."""
        if candidate.loss is None:
            return
        self.done[candidate.weights] = candidate
        if self.best is None:
            self.best = candidate
            self.standing = standing(1.0) if (candidate.generation, candidate.index) == (1, 0) else ""

    def _settle(self, generation: Generation) -> None:
        """The best is the one that the search takes for it."""
        self.best = self.done.get(tuple(generation.state.get("best") or ()), self.best)
        loss = None if self.best is None else self.best.loss
        self.standing = standing(generation.progress) or ("" if loss is None else f"best loss {loss:.4f}")
        if generation.progress is not None:
            self.curve.append(generation.progress)

    def _log(self, generation: Generation) -> None:
        if self.console and self.standing:
            step = generation.state.get("step_size")
            size = f", step size {step:.4g}" if isinstance(step, float) else ""
            tqdm.write(f"Prompt pinning: generation {generation.generation}, {self.standing}{size}")

    def _candidate(self, candidate: Candidate) -> None:
        first = self.best is None
        self._note(candidate)
        if first:
            self._picture()
        shared.state.textinfo = self.words(candidate.generation)

    def words(self, generation: int) -> str:
        """`generation 7/42 · 53 % of the original's loss · 12 min left · Interrupt keeps everything · 31 img/s`.

        The bar has room for some 95 letters at 1280 pixels: what may be cut off comes last.
        """
        parts = [f"generation {min(generation, self.plan.generations)}/{self.plan.generations}"]
        if self.standing:
            parts.append(self.standing)
        elapsed = time.perf_counter() - self.started
        speed: list[str] = []
        if self.host.images:
            done = max(1, self.host.images) / max(1, self.images)
            parts.append("at most " + in_words(elapsed * max(0.0, 1.0 - done) / done) + " left")
            speed = [f"{self.host.images / elapsed:.3g} img/s"]
        return " · ".join([*parts, "Interrupt keeps everything", *speed])

    def _picture(self) -> None:
        """Target, best image, and the figure of progress with its curve, where the host shows its live preview."""
        if self.folder is None or self.best is None or not compat.setting("live_previews_enable", True):
            return
        if not self.best.images:
            return
        shown = [self.target] if self.target is not None else []
        shown.append(_thumbnail(self.folder.inside(f"{self.best.folder}/{self.best.images[0]}")))
        width = sum(image.width for image in shown)
        height = max(image.height for image in shown)
        picture = Image.new("RGB", (width, height + (CURVE if self.curve else 0)), GROUND)
        left = 0
        for image in shown:
            picture.paste(image, (left, 0))
            left += image.width
        if self.curve:
            _draw_curve(picture, self.curve, height)
            ImageDraw.Draw(picture).text((6, height + 5), self.standing, fill=INK, font=small_type())
        shared.state.assign_current_image(picture)


def planned_batches(plan: Plan, config: RunConfig) -> int:
    """Batches that the run renders at most: search, its answers, the contest and the check."""
    contest, check = (math.ceil(seeds / plan.batch.size) for seeds in (config.contest_seeds, config.held_out))
    words = math.ceil(weighing.SEEDS / plan.batch.size) * _weighed(plan, config)
    once = plan.rows * plan.generations + answers.count(config) + contest * contestants(config) + 2 * check
    return plan.panel.size * once + words


def planned_looks(plan: Plan) -> int:
    """Batches before the first image: as many recipes in each as images, those of another LoRA multiplier alone."""
    loras = sum(axis.group == "loras" for axis in plan.space.axes)
    alike = 1 + sum(likely.moved(plan.space)) - loras
    return plan.panel.size * (loras + math.ceil(alike / plan.batch.size)) if plan.before else 0


def planned_images(plan: Plan, config: RunConfig) -> int:
    """Images of those batches."""
    return plan.images + plan.panel.size * answers.count(config) * plan.batch.size + _independent(plan, config)


def planned_evaluations(plan: Plan, config: RunConfig) -> int:
    """Denoiser evaluations of those batches, the images of the contest and the check independent of each other."""
    alone = plan.batch.plain_evaluations // plan.batch.size
    told = plan.panel.size * answers.count(config) * plan.batch.evaluations
    return plan.evaluations + told + _independent(plan, config) * alone


def contestants(config: RunConfig) -> int:
    """Candidates that meet in the contest at most, without the user's own and those before restarts."""
    return config.finalists + 1 + answers.count(config) if config.finalists else 0


def _independent(plan: Plan, config: RunConfig) -> int:
    words = weighing.SEEDS * _weighed(plan, config)
    return plan.panel.size * (config.contest_seeds * contestants(config) + 2 * config.held_out) + words


def _weighed(plan: Plan, config: RunConfig) -> int:
    """Wordings of the pinned prompt that are measured at most, and itself."""
    return 1 + 2 * plan.space.size if config.words else 0


def overview(plan: Plan) -> str:
    """`14 weights vary · 11 candidates × 32 generations × 8 images (4 in the first 8) · tree saves 44 %`."""
    saves = f" · tree saves {plan.batch.saved:.0%}" if plan.batch.saved > 0 else ""
    varying = f"{plan.space.in_words} {'varies' if plan.space.size == 1 else 'vary'}"
    return f"{varying} · {plan.in_words}{saves}{plan.before_in_words}"


def in_words(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _thumbnail(path: Any) -> Image.Image:
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((PANEL, PANEL))
    return small


def _draw_curve(picture: Image.Image, curve: list[float], top: int) -> None:
    """The figure of progress by generation, from the original's on, in the strip below `top`, whose line is 0."""
    values = np.asarray([1.0, *curve], dtype=float)
    xs = np.linspace(6, picture.width - 7, len(values))
    ys = top + HEAD + (1.0 - values / values.max()) * (CURVE - HEAD - 7)
    draw = ImageDraw.Draw(picture)
    draw.line([(6, top + CURVE - 7), (picture.width - 7, top + CURVE - 7)], fill=FAINT)
    draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=ACCENT, width=2)
