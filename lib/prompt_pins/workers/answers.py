"""What a worker must answer, and what is asked of it besides batches.  Imports numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import RenderOptions
from ..errors import shorten
from ..host import Batch, Host, Misfits, Recipe, Request, Tagger, View


class WorkerFault(Exception):
    """A worker cannot be used just now: it is gone, silent, or answers nonsense.  Another one may do its work."""


def whole(host: Host, request: Request, size: tuple[int, int]) -> Batch:
    """A request's batch, scored where the host can do that.

    size: (width, height) in pixels.  Raises `WorkerFault` for nonsense.
    """
    render = getattr(host, "render_scored", None)
    plain = (request.recipe, request.seeds, request.job, request.forked)
    batch: Batch = host.render(*plain) if render is None else render(request)
    count, images = len(request.seeds), getattr(batch, "images", None)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or len(images) != count:
        raise WorkerFault(f"it answered {shorten(batch)}, not {count} images")
    if images.shape[1:] != (*size[::-1], 3) or len(batch.infotexts) != count:
        raise WorkerFault(f"it answered images of the shape {images.shape}, and {len(batch.infotexts)} infotexts")
    return batch


class Asking:
    """What a `Host` tells without rendering, passed on to one that knows: by `_ask`, which subclasses have."""

    def describe(self) -> dict[str, Any]:
        """What it renders with."""
        found: dict[str, Any] = self._ask("describe")
        return found

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversions."""
        return tuple(self._ask("embeddings"))

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """What a recipe may set."""
        found: dict[str, float] = self._ask("settings", job)
        return found

    def size(self, job: RenderOptions) -> tuple[int, int]:
        """(width, height) in pixels."""
        width, height = self._ask("size", job)
        return width, height

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        """The tree of a batch."""
        return tuple(self._ask("levels", batch_size, job, forked))

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        """What one batch costs."""
        return int(self._ask("evaluations", batch_size, job, forked))

    def tagger(self) -> Tagger | None:
        """No interrogator: those of several machines may differ."""

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        """As the one that is asked tells them."""
        found: Misfits | None = self._ask("misfits", recipes, images, masks, views, job)
        return found

    def _ask(self, name: str, *values: Any) -> Any:
        """What a method answers with these values."""
        raise NotImplementedError
