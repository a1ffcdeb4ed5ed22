"""The file in which a host keeps its last job's infotext, for its button ↙: what a run leaves there.

Hosts write it in each `process_images`, before a job's first batch is sampled, unless --no-prompt-history forbids it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from modules import shared

from . import compat


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """While it lasts, a job is rendered that is not the user's own; afterwards the file is as it was before."""
    path, before = _file(), None
    with contextlib.suppress(OSError):
        before = path.read_bytes() if path and path.exists() else b""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path and before:
                path.write_bytes(before)
            elif path and before is not None:  # without a text it says as much as none
                path.unlink(missing_ok=True)


def write(text: str) -> None:
    """The user's own job."""
    path = _file()
    with contextlib.suppress(OSError):
        if path:
            path.write_text(text, "utf-8")


def _file() -> Path | None:
    """None where the host keeps none."""
    folder = getattr(compat.module("modules.paths"), "data_path", None)
    return None if not folder or getattr(shared.cmd_opts, "no_prompt_history", False) else Path(folder, "params.txt")
