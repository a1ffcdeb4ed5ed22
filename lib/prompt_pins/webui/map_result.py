"""What the host shows and returns of a map: an image of each of its pictures, with what sets it apart."""

from __future__ import annotations

from typing import Any

from ..errors import HostError, PinError
from ..map import work
from ..map.result import told
from ..store import RunFolder
from ..store.pictures import pictures
from . import compat
from .pictures import opened
from .refusals import RunFailed, in_words
from .words_result import processed


def result(p: Any, folder: RunFolder, failure: Exception | None) -> tuple[Any, dict[str, Any]]:
    """The `Processed` of a map, and what an answer of the API tells of it besides.

    Raises `RunFailed` where nothing was rendered because of a fault.
    """
    record = folder.record()
    if not record.candidates and (failure or not compat.stopping()):
        fault = failure or HostError(record.reason)
        raise RunFailed(folder.path.name, fault, record.state != "finished") from failure
    state = f"failed: {in_words(failure)}" if failure else f"{record.state}: {record.reason}"
    compat.comment(p, f"Prompt pins map {folder.path.name}: {state}; its page is in the tab Prompt pins")
    lines: list[str] = []
    images: list[Any] = []
    found = pictures(folder)
    try:
        lines = told(work.drawn(folder)) if record.candidates else []
        images = [opened(folder.inside(f"{one.folder}/{one.images[0]}")) for one in found]
    except PinError as error:
        compat.comment(p, str(error))
    for line in lines:
        compat.comment(p, line)
    told_of = [{"name": one.name, "prompt": one.prompts[0], "negative_prompt": one.prompts[1]} for one in found]
    return processed(p, folder, record, images), {"pictures": told_of}
