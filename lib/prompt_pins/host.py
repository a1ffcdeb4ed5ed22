"""The Host protocol: what turns a recipe into images.  Standard library and numpy only.

A host never writes into a run's folder, and a batch comes back in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from .config import RenderOptions


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a candidate is rendered from, besides the job and the seeds.

    prompt, negative_prompt: in the host's plain syntax.  settings: (name, value) of what it sets of the job, by the
    names of `Host.settings`; the job's own values where there is none.
    """

    prompt: str
    negative_prompt: str = ""
    settings: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Batch:
    """The images of one candidate.

    images: uint8, B x H x W x 3, sRGB.
    infotexts: one for each image.
    evaluations: denoiser evaluations spent, in images x steps (guidance is not counted twice).
    worker, seconds: who rendered it and how long that took, where there are several; "" where there are not.
    loss, files: what a worker has made of it already, by the request's `judge` and `pack`; kept: by its `keep`.
    """

    images: np.ndarray
    infotexts: tuple[str, ...]
    evaluations: int
    worker: str = ""
    seconds: float = 0.0
    loss: Any = None
    files: tuple[bytes, ...] = ()
    kept: bool = False


@dataclasses.dataclass(frozen=True)
class View:
    """One look at a target image through noise.

    image: which one.  step: of the job's sampling, from 0: its noise level, and its stretch of a prompt's schedule.
    seed, sign: of the noise, which is `sign` times what the seed draws.
    """

    image: int
    step: int
    seed: int
    sign: int = 1


@dataclasses.dataclass(frozen=True)
class Misfits:
    """How badly recipes explain images that are given.

    values: (recipes, views), 0 (best) to 2: 1 - cos of the angle between where the denoiser is led by the prompt and
        where the image lies, both seen from its answer to the negative prompt.
    evaluations: denoiser evaluations spent, guidance not counted twice.
    """

    values: np.ndarray
    evaluations: int


@dataclasses.dataclass(frozen=True)
class Request:
    """A batch that `Host.render` will be asked for.

    judge: scores its images; pack: (images, infotexts) to the content of their files.  A worker may do so where it is.
    keep: writes the batch's files here, which a pool may do as soon as a batch has come.
    """

    recipe: Recipe
    seeds: tuple[int, ...]
    job: RenderOptions
    forked: bool
    judge: Callable[[np.ndarray], Any] | None = dataclasses.field(default=None, compare=False)
    pack: Callable[[np.ndarray, Sequence[str]], tuple[bytes, ...]] | None = dataclasses.field(
        default=None, compare=False
    )
    keep: Callable[[Batch], object] | None = dataclasses.field(default=None, compare=False)


Tagger = Callable[["np.ndarray"], Sequence[Mapping[str, float]]]
"""An interrogator: uint8 images, B x H x W x 3, to one {tag: probability} mapping each."""


def checked_settings(recipe: Recipe, known: Mapping[str, float]) -> dict[str, Any]:
    """A recipe's settings.  known: those that the host has.  Raises `OptionError` for another one."""
    for name, value in recipe.settings:
        if name not in known:
            raise OptionError("settings", f"{name}: {value:g}", f"what this host can set: {', '.join(known)}")
    return dict(recipe.settings)


class Host(Protocol):
    """One contract for the WebUI and the headless engine; the same test suite runs against every one."""

    def describe(self) -> dict[str, Any]:
        """Name, versions and checkpoint, as plain JSON values; the same for the same installation."""

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversions that the host knows: each is one unit of a prompt."""

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """What a recipe may set of `job` besides the prompts, each with the value that the job has."""

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels of the images of `job`: 0 in `job` stands for the model's own."""

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch: levels[K - 1][leaf] is the node of level K above that leaf."""

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """What one batch costs, in images x steps."""

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed.  `forked` is False where the images must be independent of each other.

        Raises `HostError`; `HostInterrupted` if the user stopped it.
        """

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        """How badly each recipe explains the images, by the denoiser and with nothing sampled; None if it cannot tell.

        images: uint8, H x W x 3, of `size`; masks: uint8, H x W, 255 where an image counts, one for each.
        No more memory than for a batch of `job`.  Raises as `render` does.
        """

    def tagger(self) -> Tagger | None:
        """The host's own interrogator; None where it has none."""

    def interrupted(self) -> bool:
        """True once the user asked to stop."""
