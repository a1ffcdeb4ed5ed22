"""What a run tells its listeners, in the order in which it happens.  Standard library only; types name numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

from .questions import Question, Verdict
from .records import Candidate, Choice, Held, Record
from .searching import Generation, Likely
from .wordings import Measured

if TYPE_CHECKING:
    import numpy as np

    from .folder import RunFolder


@dataclasses.dataclass(frozen=True)
class RunStarted:
    """The run has its folder and its plan; `record` holds what was replayed, if it was resumed."""

    folder: RunFolder
    record: Record


@dataclasses.dataclass(frozen=True)
class TargetReady:
    """The target's images are in the folder of generation 0."""

    source: str
    images: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class LikelyDone:
    """What each weight does before the first image is known."""

    likely: Likely


@dataclasses.dataclass(frozen=True)
class CandidateDone:
    """A candidate was rendered, scored and written down.

    images: those of its batches as its files hold them (uint8, each H x W x 3); None: they must be read from there.
    """

    candidate: Candidate
    images: Sequence[np.ndarray] | None = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Rendered:
    """By eye: a candidate was rendered and written down; its loss is known when the user has ranked it."""

    candidate: Candidate


@dataclasses.dataclass(frozen=True)
class Asked:
    """By eye: the run waits for its user, and does nothing else."""

    question: Question


@dataclasses.dataclass(frozen=True)
class Answered:
    """By eye: the user has answered.  seconds: that this process waited."""

    verdict: Verdict
    seconds: float


@dataclasses.dataclass(frozen=True)
class GenerationDone:
    """All candidates of a generation are done and the search has been told."""

    generation: Generation


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The contest between the best candidates is over."""

    choice: Choice


@dataclasses.dataclass(frozen=True)
class Validated:
    """The pinned and the original prompt were compared on unseen seeds."""

    held: Held


@dataclasses.dataclass(frozen=True)
class WordMeasured:
    """One word is done, and written down.

    done, of: words so far, and in all; in an analysis with `auto` those of its passes so far.
    """

    word: Measured
    done: int
    of: int


@dataclasses.dataclass(frozen=True)
class RunFinished:
    """The run is over.  state: "finished", or "stopped" if it can be resumed; reason in words."""

    state: str
    reason: str


Event = Union[
    RunStarted, TargetReady, LikelyDone, CandidateDone, Rendered, Asked, Answered, GenerationDone, Chosen, Validated,
    WordMeasured, RunFinished,
]  # fmt: skip
