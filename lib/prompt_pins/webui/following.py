"""Working through a run, an analysis or a map in the WebUI: its folder, and the fault by which it ended."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, Optional

from ..errors import HostError, PinError, StoreError
from ..store import RunFolder

log = logging.getLogger(__name__)

Ended = tuple[RunFolder, Optional[Exception]]
"""A folder, and the fault by which the work in it ended, if it did."""


def followed(running: Iterator[Any], begun: type[Any], handle: Callable[[Any], object], what: str) -> Ended:
    """Work through it, and hand on each event.

    begun: the event that names the folder.  what: "run", for messages.  Raises what comes before that event, and bad
    input; every other fault is returned.
    """
    folder: RunFolder | None = None
    with contextlib.closing(running):  # type: ignore[type-var]
        try:
            for event in running:
                folder = event.folder if isinstance(event, begun) else folder
                handle(event)
        except Exception as error:
            refused = isinstance(error, PinError) and not isinstance(error, (HostError, StoreError))
            if folder is None or refused:
                raise
            log.warning("the %s failed", what, exc_info=not isinstance(error, PinError))
            return folder, error
    if folder is None:
        raise HostError(f"the {what} did not begin")
    return folder, None
