"""The files that a finished run leaves which pinned a merge: the merged checkpoint, and its recipe as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .. import __version__
from ..merge.blocks import as_list, weights_of
from ..merge.saving import save_merged
from ..merge.sources import Sources
from ..store import RunFolder
from ..store.files import whole_file, write_text

MERGED, RECIPE = "merged.safetensors", "merged.txt"


def keep(folder: RunFolder, opened: Callable[[], Sources]) -> Iterator[str]:
    """Write what is not there yet, where a run is finished and pinned a merge; A's `.yaml` stands beside the file.

    opened: opens its checkpoints.  Yields what to say.  Raises `PinError`.
    """
    record = folder.record()
    best = record.best
    if record.state != "finished" or not record.config.get("merge_with") or best is None:
        return
    weights, path, sources = weights_of(best.settings), folder.path / MERGED, opened()
    precision = str(record.config.get("merge_precision"))
    write_text(folder.path / RECIPE, recipe(sources, weights, precision))
    if not path.is_file():
        with whole_file(path) as beside:
            save_merged(beside, sources, weights, precision, f"prompt-pins {__version__}")
        yaml = sources.paths[0].with_suffix(".yaml")
        if yaml.is_file():  # how a model is built, where its file does not say it
            write_text(path.with_suffix(".yaml"), yaml.read_text(encoding="utf-8"))
    yield f"block weights, {next(iter(weights))} first: {as_list(weights)}"
    yield f"merged: {path}"


def recipe(sources: Sources, weights: Mapping[str, float], precision: str) -> str:
    """The merge as text, for other mergers."""
    models = zip("ABC", sources.paths, sources.hashes)
    three = len(sources.paths) == 3
    lines = [
        *(f"{letter}: {path.name} (sha256 {digest})" for letter, path, digest in models),
        f"method: {'add difference, A + (B - C) w' if three else 'weighted sum, A (1 - w) + B w'}",
        f"precision: {precision}",
        f"blocks: {','.join(weights)}",
        f"weights: {as_list(weights)}",
    ]
    return "\n".join(lines) + "\n"
