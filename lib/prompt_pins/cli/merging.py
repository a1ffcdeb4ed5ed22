"""Merges on the command line: what to do, the presets, and the files that a finished run leaves.  Imports typer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import RunConfig
from ..errors import OptionError
from ..merge.blocks import as_list, block_names, weights_of
from ..merge.presets import PRESETS, preset
from ..store import Record, RunFolder
from ..store.files import whole_file, write_text
from .arguments import complete, given_values
from .terminal import emit

MERGED, RECIPE = "merged.safetensors", "merged.txt"
USUAL = ("BASE", *(f"IN{i:02d}" for i in range(12)), "M00", *(f"OUT{i:02d}" for i in range(12)))
BARS = " ▁▂▃▄▅▆▇█"


def order(given: Mapping[str, Any], rest: Sequence[str], config: Path | None) -> RunConfig:
    """The configuration of a merge.  rest: what the command line says after A and B: C, or none, and the prompt.

    Words keep their weights where nothing is said of them.  Raises `OptionError`.
    """
    if len(rest) > 2:
        raise OptionError("merge", " ".join(rest), "two checkpoints, or three, and one prompt in quotation marks")
    third = rest[0] if len(rest) == 2 else given.get("merge_minus")
    values = given_values(rest[-1] if rest else None, config, {**given, "merge_minus": third})
    if not values.get("merge_with"):
        raise OptionError("merge_with", "", "a second checkpoint: prompt-pins merge A B PROMPT")
    return complete({"vary_prompt": False, "vary_negative": False, **values})


def draw_presets(checkpoint: str | None) -> None:
    """Every preset as a row of bars, one for each block.  checkpoint: whose blocks; None: Stable Diffusion 1.x's."""
    names = USUAL
    if checkpoint is not None:
        from ..headless.checkpoint import EMBEDDED
        from ..merge.sources import opened

        names = block_names(opened("checkpoint", Path(checkpoint) if checkpoint else EMBEDDED).keys())
    width = max(map(len, PRESETS))
    emit(f"{'':{width}}  {names[1]}{'M00':^{len(names) - 9}}{names[-1]}")
    for name in PRESETS:
        weights = [*preset(name, names).values()][1:]
        bars = "".join(BARS[min(int(weight * len(BARS)), len(BARS) - 1)] for weight in weights)
        emit(f"{name:{width}}  {bars}  {as_list(preset(name, names))}")


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
