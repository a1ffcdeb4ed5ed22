"""What an analysis of a prompt's words tells, and the events on the way to it.  Data only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Union

from ..config import AnalysisOptions, RunConfig
from ..store import RunFolder
from .effects import Effect

VERSION = 3
INTERRUPTED = "interrupted by the user"
Places = Mapping[str, Sequence[float]]
"""The vectors of a word's sides, "lowered" and "raised", those that there are."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One axis at another value, mostly a word at another weight, against the unchanged prompt.

    fit, spread: changes of the losses; below zero is better.  image: mean ꟻLIP to the unchanged image of the same seed.
    By likelihood: fit is the change of the misfit to the targets, 1 being what the prompt's words do to it on the root
    mean square, image the mean size of that change; there is no spread.
    """

    weight: float
    prompt: str
    negative_prompt: str
    fit: Effect
    spread: Effect | None
    image: Effect
    images: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Word:
    """What a word, or another axis, does.

    image: mean over both sides; lowered or raised is None at the end of the range.
    """

    label: str
    side: str
    weight: float
    image: Effect
    fit: Effect
    lowered: Side | None
    raised: Side | None


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The whole result; words: those that move the image, or the misfit, most first.

    hint: how far the figures can be trusted; "" for what was rendered.  fit, spread: of the unchanged prompt, 0 by
    likelihood.  evaluations: the denoiser's, in images x steps.
    """

    state: str
    reason: str
    config: RunConfig
    options: AnalysisOptions
    host: dict[str, Any]
    time: str
    seeds: tuple[int, ...]
    target_source: str
    target_images: tuple[str, ...]
    images: tuple[str, ...]
    fit: float
    spread: float
    words: tuple[Word, ...]
    hint: str = ""
    evaluations: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for `analysis.json`."""
        named = ("state", "reason", "host", "time", "fit", "spread", "hint", "evaluations")
        plain = {name: getattr(self, name) for name in named}
        lists = {name: list(getattr(self, name)) for name in ("seeds", "target_images", "images")}
        return {
            "version": VERSION,
            **plain,
            **lists,
            "target_source": self.target_source,
            "config": self.config.to_dict(),
            "options": dataclasses.asdict(self.options),
            "words": [dataclasses.asdict(word) for word in self.words],
        }


@dataclasses.dataclass(frozen=True)
class AnalysisStarted:
    """The folder is there; `words` will be measured."""

    folder: RunFolder
    words: int


@dataclasses.dataclass(frozen=True)
class WordMeasured:
    """One word is done."""

    label: str


@dataclasses.dataclass(frozen=True)
class AnalysisDone:
    """All is measured, or the user stopped it (`result.state` is "stopped"); `analysis.json` is written."""

    result: Analysis


Event = Union[AnalysisStarted, WordMeasured, AnalysisDone]
