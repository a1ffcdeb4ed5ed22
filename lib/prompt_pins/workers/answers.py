"""What a worker must answer.  Imports numpy."""

from __future__ import annotations

import numpy as np

from ..errors import shorten
from ..host import Batch, Host, Request


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
