"""The files that a finished run leaves which pinned a merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .. import __version__
from ..merge.blocks import as_list, weights_of
from ..store import Record, RunFolder
from ..store.files import whole_file, write_text

MERGED, RECIPE = "merged.safetensors", "merged.txt"


def keep(folder: RunFolder) -> Iterator[str]:
    """Write `merged.safetensors` and the recipe of a finished run that pinned a merge, where they are not there yet.

    Yields what to say.  Raises `PinError`.
    """
    record = folder.record()
    best = record.best
    if record.state != "finished" or not record.config.get("merge_with") or best is None:
        return
    from ..headless.merged import open_sources
    from ..merge.saving import save_merged

    models = [str(record.config.get(name) or "") for name in ("checkpoint", "merge_with", "merge_minus")]
    weights, path = weights_of(best.settings), folder.path / MERGED
    write_text(folder.path / RECIPE, recipe(record, weights))
    if not path.is_file():
        sources, precision = open_sources(*models), str(record.config.get("merge_precision"))
        with whole_file(path) as beside:
            save_merged(beside, sources, weights, precision, f"prompt-pins {__version__}")
        yaml = sources.paths[0].with_suffix(".yaml")
        if yaml.is_file():  # how a model is built, where its file does not say it
            write_text(path.with_suffix(".yaml"), yaml.read_text(encoding="utf-8"))
    yield f"block weights, {next(iter(weights))} first: {as_list(weights)}"
    yield f"merged: {path}"


def recipe(record: Record, weights: Mapping[str, float]) -> str:
    """The merge as text, for other mergers."""
    third = record.config.get("merge_minus")
    host, config = record.host, record.config
    lines = [
        f"A: {host.get('checkpoint')} (sha256 {host.get('checkpoint_sha256')})",
        f"B: {host.get('merge_with_name')} (sha256 {host.get('merge_with_sha256')})",
        *([f"C: {host.get('merge_minus_name')} (sha256 {host.get('merge_minus_sha256')})"] if third else []),
        f"method: {'add difference, A + (B - C) w' if third else 'weighted sum, A (1 - w) + B w'}",
        f"precision: {config.get('merge_precision')}",
        f"blocks: {','.join(weights)}",
        f"weights: {as_list(weights)}",
    ]
    return "\n".join(lines) + "\n"
