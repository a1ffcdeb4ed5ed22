"""What a run would be, said before it is started: from the controls alone, without the model."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..config import AnalysisOptions, MapOptions, RunConfig
from ..config.payloads import read
from ..errors import OptionError
from ..map import work as mapping
from ..map.points import space_of
from ..merge.blocks import USUAL
from ..options import checked
from ..run.likely import views
from ..run.plan import make_plan
from ..sampling import ForkOptions, fork_schedule, independent_levels
from ..words.analyze import TASK
from ..words.parts import find, planned
from ..words.result import PAIRS
from . import compat, overrides, samplers
from .arguments import read_arguments
from .declared import ANALYSIS, LEAVE_OUT, MAP, SCRIPT, ScriptOptions
from .measuring import overview as words_overview
from .progress import in_words, overview, planned_evaluations

MAX_PROMPT = 20_000
MOST = 100_000
OF_TARGETS = frozenset({"target", "mask", "target_weights"})
"""Said of images that a plan does not have."""


class _Paper:
    """As much of a host as a plan needs.  denoising_strength: None where there is none to set."""

    def __init__(self, denoising_strength: float | None) -> None:
        self.denoising_strength = denoising_strength

    def levels(self, batch_size: int, job: Any, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch, if its sampler is one of ours."""
        if not forked or samplers.hyperbatch_info(job.sampler) is None:
            return independent_levels(batch_size)
        return fork_schedule(batch_size, job.steps, job.fork_policy).levels

    def evaluations(self, batch_size: int, job: Any, forked: bool) -> int:
        """Images x steps of one batch."""
        forks = forked and samplers.hyperbatch_info(job.sampler) is not None
        return fork_schedule(batch_size, job.steps, job.fork_policy if forks else ForkOptions("none").policy).cost

    def embeddings(self) -> tuple[str, ...]:
        """None: asking for them would load the model."""
        return ()

    def settings(self, job: Any) -> dict[str, float]:
        """What the tab's own controls say."""
        denoising = self.denoising_strength
        blocks = dict.fromkeys(USUAL, job.merge_start)  # the loaded model's may be fewer
        return {"cfg_scale": job.cfg_scale, **blocks} | ({} if denoising is None else {"denoising_strength": denoising})


def outlook(question: Mapping[str, Any], pace: Callable[[int], float | None]) -> tuple[str, str]:
    """`14 weights vary · 11 candidates × 42 generations × 8 images · tree saves 53 % · at most about 21 min`, and tree.

    For measuring words `14 words · 464 images · at most about 4 min`, and "".
    pace: from an image's pixels (0: not known) to the seconds of one of its steps, if there was a run.
    Raises `PinError`.
    """
    own, config, analysis, mapped, paper = _asked(question)
    if own.get("task") == LEAVE_OUT:
        number = str(own.get("of_run") or "").strip()
        return f"run {number} of payloads, once more without each of them" if number else "Words of run: which one?", ""
    if own.get("task") == mapping.TASK:
        words, evaluations = _mapping(own, config, mapped, paper)
        tree = _tree(config)
    elif own.get("task") == TASK:
        words, evaluations = _measuring(own, config, analysis, paper)
        tree = ""
    else:
        plan = make_plan(config, paper)  # type: ignore[arg-type]
        words, evaluations, tree = overview(plan), planned_evaluations(plan, config), _tree(config)
    said = [words, _time(question, evaluations, pace), overrides.emphasis_note()]
    return " · ".join(filter(None, said)), tree


def _measuring(own: Mapping[str, Any], config: RunConfig, analysis: AnalysisOptions, paper: _Paper) -> tuple[str, int]:
    """What measuring the words would be, and its denoiser evaluations."""
    if own.get("of_run"):
        return f"the pinned prompt of run {own['of_run']}, word by word", 0
    parts = find(config, analysis, paper)  # type: ignore[arg-type]
    wordings = planned(parts, analysis)
    first = parts.phrases or parts.whole
    if analysis.by == "likelihood":
        looks = len(views(1, config.steps, PAIRS))
        return words_overview(len(first), 0, bool(parts.phrases)), math.ceil(wordings) * looks
    images = math.ceil(wordings * analysis.analysis_seeds)
    return words_overview(len(first), images, bool(parts.phrases)), images * config.steps


def _mapping(own: Mapping[str, Any], config: RunConfig, options: MapOptions, paper: _Paper) -> tuple[str, int]:
    """What a map would be, and its denoiser evaluations."""
    if own.get("of_run"):
        return f"at most {options.map_candidates} candidates of run {own['of_run']}", 0
    varies = space_of(config, paper).in_words  # type: ignore[arg-type]
    said = f"{varies} vary · {options.map_candidates} candidates × {config.batch_size} images"
    return said, options.map_candidates * paper.evaluations(config.batch_size, config, forked=True)


def _time(question: Mapping[str, Any], evaluations: int, pace: Callable[[int], float | None]) -> str:
    """`at most about 21 min`; "" where that is not known."""
    width, height = (_number(question.get(name)) for name in ("width", "height"))
    seconds_per_evaluation = pace(int(width * height) if width and height else 0) if evaluations else None
    return "" if seconds_per_evaluation is None else f"at most about {in_words(evaluations * seconds_per_evaluation)}"


def _number(value: Any) -> float | None:
    """A control's number; None for all else that a request may hold, and for what no control goes to."""
    return float(value) if isinstance(value, (int, float)) and abs(value) <= MOST else None


def _tree(config: RunConfig) -> str:
    """`1 image in steps 1–7, 2 in 8–14, 4 in 15–20`; "" where the sampler grows none."""
    if samplers.hyperbatch_info(config.sampler) is None:
        return ""
    parts, step = [], 1
    for size, same in itertools.groupby(fork_schedule(config.batch_size, config.steps, config.fork_policy).sizes):
        last = step + len(list(same)) - 1
        steps = f"step {step}" if last == step else f"steps {step}–{last}"
        parts.append(f"{size} image{'s' * (size > 1)} in {steps}" if not parts else f"{size} in {steps.split()[1]}")
        step = last + 1
    return ", ".join(parts)


def _untargeted(line: str) -> str:
    """A payload's line without its targets.  One that cannot be read stays: whoever reads all of them refuses it."""
    try:
        return dataclasses.replace(read(line), target=()).line()
    except OptionError:
        return line


def _asked(question: Mapping[str, Any]) -> tuple[dict[str, Any], RunConfig, AnalysisOptions, MapOptions, _Paper]:
    """The script's own options, the configuration, an analysis's options, a map's, and the host."""
    prompt = str(question.get("prompt", ""))
    if len(prompt) > MAX_PROMPT:
        raise OptionError("prompt", f"{len(prompt)} characters", f"at most {MAX_PROMPT}")
    chosen = question.get("options") or {}
    if not isinstance(chosen, Mapping):
        raise OptionError("options", chosen, "an object of named options")
    options = {**compat.host_defaults(), **read_arguments([chosen])}
    own = checked(ScriptOptions, {name: options[name] for name in SCRIPT if name in options})
    analysis = AnalysisOptions(**{name: options[name] for name in ANALYSIS if name in options})
    mapped = MapOptions(**{name: options[name] for name in MAP if name in options})
    values = {name: value for name, value in options.items() if name not in SCRIPT | ANALYSIS | MAP | OF_TARGETS}
    if isinstance(values.get("payload"), list):
        values["payload"] = [_untargeted(str(line)) for line in values["payload"]]
    values |= {name: question[name] for name in ("steps", "batch_size", "sampler", "cfg_scale") if question.get(name)}
    values |= {"prompt": prompt, "negative_prompt": str(question.get("negative_prompt", ""))}
    paper = _Paper(_number(question.get("denoising_strength")))
    return own, RunConfig.from_dict(values), analysis, mapped, paper
