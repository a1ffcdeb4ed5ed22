"""`prompt-pins merge`: pin the block weights of checkpoints, and draw the presets.  Imports typer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..config import RunConfig
from ..errors import HostInterrupted, OptionError
from ..merge.blocks import USUAL, as_list, block_names
from ..merge.presets import PRESETS, preset
from ..store import Runs
from .arguments import complete, given_values, with_options
from .crew import Crew, fresh, with_workers
from .parameters import OUT, ConfigFile, Out
from .running import FAILED, run_to_the_end, signals
from .terminal import Terminal, complain, emit

BARS = " ▁▂▃▄▅▆▇█"


@with_options
@with_workers
def merge(
    crew: Crew,
    checkpoint: Annotated[
        Optional[str], typer.Argument(metavar="A", help="The first checkpoint, a single file; '': the small model.")
    ] = None,
    merge_with: Annotated[Optional[str], typer.Argument(metavar="B", help="The second one.")] = None,
    prompt: Annotated[
        Optional[list[str]], typer.Argument(metavar="[C] PROMPT", help="A third one, for A + (B - C); the prompt.")
    ] = None,
    config: ConfigFile = None,
    out: Out = OUT,
    presets: Annotated[bool, typer.Option("--list", help="Draw the named presets of block weights.")] = False,
    all_presets: Annotated[
        bool, typer.Option("--grid", help="Render every preset on common seeds and rank them, instead of a search.")
    ] = False,
    **options: Any,
) -> None:
    """Pin a merge: find the block weights of two checkpoints that bring a prompt's images to the target."""
    from ..run import pin as loop

    if presets:
        draw_presets(checkpoint)
        return
    given = {**options, "checkpoint": checkpoint, "merge_with": merge_with}
    settings = order(given, prompt or [], config)
    with crew.opened(settings, fresh(settings, *crew.own)) as host:
        if all_presets:
            from .grid import grid  # scores with torch

            received = list[int]()
            try:
                with signals(host, received):
                    grid(settings, host, out, Terminal())
            except HostInterrupted as error:
                complain(error)
                raise typer.Exit(128 + received[0] if received else FAILED) from error
            return
        run_to_the_end(settings, host, lambda: loop.start(settings, host, Runs(out)), crew.again())


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
