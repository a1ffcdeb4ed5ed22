"""A pinned prompt baked into an embedding, on the command line."""

from __future__ import annotations

from pathlib import Path

from ..errors import OptionError
from ..headless.bake import bake_run, baked_files, own_checkpoint
from ..headless.opening import open_host, reopen_host
from ..store import RunFolder


def baked(folder: RunFolder, to: Path | None, checkpoint: str, device: str | None, *folders: Path | None) -> str:
    """Bake a run's pinned prompt, once it is sure that there is a place for it; says what was made."""
    record, (embeddings, loras) = folder.record(), folders
    if to is None:
        raise OptionError("to", "", "a file whose name ends in .safetensors")
    if record.config.get("merge_with"):
        raise OptionError("format", "embedding", "another one: this run pinned a merge")
    baked_files(record, to)
    if checkpoint and record.host.get("name") != "headless":
        prompt = record.exportable().prompt
        host = open_host(checkpoint, device, embeddings, precise=True, loras=loras, prompt=prompt)
    else:
        own_checkpoint(record)
        host = reopen_host(record, device, embeddings, precise=True, checkpoint=checkpoint, loras=loras)
    return bake_run(record, host, to)
