"""What is asked of a host while a run goes on: a batch, looks at the targets, and the tags of images.

A host is somebody else's program, which may fail in any way; here every fault of it becomes a `HostError`.  Faults of
our own are not touched.  Imports numpy.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from ..config import RenderOptions
from ..errors import HostError, PinError
from ..host import Batch, Host, Misfits, Recipe, Request, Tagger, View
from ..loss import LossOptions
from ..loss.tagger import find as find_tagger

LONGEST = 300
"""Characters of a fault that are told."""
log = logging.getLogger(__name__)


def render(host: Host, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
    """`Host.render`, a whole batch: an image and an infotext for each seed.

    Raises `HostError` also for whatever else the host raises (out of memory, say), and for a batch that is not whole.
    """
    with _faults("render"):
        batch = host.render(recipe, seeds, job, forked)
        images = np.asarray(batch.images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise HostError(f"the host returned {images.dtype} {images.shape}, not images (uint8, B x H x W x 3)")
        if len(images) != len(seeds) or len(batch.infotexts) != len(seeds):
            found = f"{len(images)} images and {len(batch.infotexts)} infotexts"
            raise HostError(f"the host returned {found} for {len(seeds)} seeds")
        return batch


def ahead(host: Host, requests: Callable[[], Iterable[Request]]) -> None:
    """Tell a host of several workers what is asked for next, in this order; any other host renders when asked."""
    begin = getattr(host, "ahead", None)
    if begin is not None:
        begin(list(requests()))


def chunks(recipe: Recipe, row: Sequence[int], job: RenderOptions) -> list[Request]:
    """The batches of a recipe's independent images."""
    size = job.batch_size
    parts = [tuple(row[start : start + size]) for start in range(0, len(row), size)]
    return [Request(recipe, part, job, forked=False) for part in parts]


def misfits(
    host: Host,
    recipes: Sequence[Recipe],
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    views: Sequence[View],
    job: RenderOptions,
) -> Misfits | None:
    """`Host.misfits`, whose faults are `HostError`s; numbers, one for each recipe and view."""
    with _faults("look at the targets"):
        found = host.misfits(recipes, images, masks, views, job)
        if found is not None and np.shape(found.values) != (len(recipes), len(views)):
            raise HostError(f"the host told {np.shape(found.values)} misfits, not {(len(recipes), len(views))}")
        if found is not None and not np.isfinite(found.values).all():
            raise HostError("the model's answer holds no numbers (NaN or infinite)")
        return found


def tagger(host: Host, options: LossOptions) -> Tagger | None:
    """The tagger in the folder of scorers, or `Host.tagger`, whose faults are `HostError`s.

    None where there is neither, or no tags are asked for.
    """
    if all(name != "tags" for name, _ in options.loss_objectives):
        return None
    found = find_tagger(options.scorers, options.device) or host.tagger()
    if found is None:
        return None

    def tag(images: np.ndarray) -> Sequence[Mapping[str, float]]:
        with _faults("tag images"):
            return found(images)

    return tag


@contextlib.contextmanager
def _faults(what: str) -> Iterator[None]:
    """Whatever is raised is a `HostError`, but for what is meant for the user already (`PinError`)."""
    try:
        yield
    except PinError:
        raise
    except Exception as error:
        log.info("the host could not %s", what, exc_info=True)
        words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
        words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
        raise HostError(f"the host could not {what}: {words}") from error
