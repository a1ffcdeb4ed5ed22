"""The Host protocol: what turns a prompt into images.  Standard library and numpy only.

A host never writes into a run's folder, and a batch comes back in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from .config import RenderOptions


@dataclasses.dataclass(frozen=True)
class PromptPair:
    """The two texts of a candidate, in the host's plain syntax."""

    positive: str
    negative: str = ""


@dataclasses.dataclass(frozen=True)
class Batch:
    """The images of one candidate.

    images: uint8, B x H x W x 3, sRGB.
    infotexts: one for each image.
    evaluations: denoiser evaluations spent, in images x steps (guidance is not counted twice).
    """

    images: np.ndarray
    infotexts: tuple[str, ...]
    evaluations: int


Tagger = Callable[["np.ndarray"], Sequence[Mapping[str, float]]]
"""An interrogator: uint8 images, B x H x W x 3, to one {tag: probability} mapping each."""


class Host(Protocol):
    """One contract for the WebUI and the headless engine; the same test suite runs against every one."""

    def describe(self) -> dict[str, Any]:
        """Name, versions and checkpoint, as plain JSON values; the same for the same installation."""

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversions that the host knows: each is one unit of a prompt."""

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels of the images of `job`: 0 in `job` stands for the model's own."""

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch: levels[K - 1][leaf] is the node of level K above that leaf."""

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """What one batch costs, in images x steps."""

    def render(self, prompt: PromptPair, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed.  `forked` is False where the images must be independent of each other.

        Raises `HostError`; `HostInterrupted` if the user stopped it.
        """

    def tagger(self) -> Tagger | None:
        """The host's own interrogator; None where it has none."""

    def interrupted(self) -> bool:
        """True once the user asked to stop."""
