"""The commands that need no run: what there is, what a batch costs, whether this machine can pin, other notations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.table import Table

from ..config import RenderOptions
from .parameters import OUT, Device, Loras, Out
from .running import FAILED
from .terminal import Terminal, emit


def samplers() -> None:
    """List the samplers."""
    from ..headless.engine import samplers as listed

    table = Table("name", "kind", "model calls a step", box=None)
    for sampler in listed():
        kind = "stochastic" if sampler.stochastic else "deterministic"
        table.add_row(sampler.name, kind, "2" if sampler.second_order else "1")
    Terminal().print(table)


def hyperbatch(
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", help="Images of the batch.")] = 8,
    steps: Annotated[int, typer.Option("--steps", "-s", help="Sampling steps.")] = 20,
    fork_policy: Annotated[
        str, typer.Option("--fork-policy", help="twin, even, early, late, none, or fork steps: 5,10,15.")
    ] = RenderOptions.fork_policy,
    fork_strength: Annotated[
        Optional[float], typer.Option("--fork-strength", help="Of a deterministic sampler.")
    ] = None,
    prompt: Annotated[
        Optional[str], typer.Option("--prompt", help="Measure the diversity of this prompt's images.")
    ] = None,
    sampler: Annotated[str, typer.Option("--sampler", help="The sampler to measure.")] = "DPM++ 2M - Hyperbatch",
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="The model to measure on; none: the small one.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = None,
    loras: Loras = None,
) -> None:
    """Draw a hyperbatch's tree and say what it saves; with --prompt also what it costs in diversity."""
    from ..config import RunConfig
    from ..headless.opening import open_host
    from .measure import measured, planned

    values: dict[str, Any] = {"batch_size": batch_size, "steps": steps, "fork_policy": fork_policy, "sampler": sampler}
    values |= {} if fork_strength is None else {"fork_strength": fork_strength}
    config = RunConfig.from_dict({**values, "prompt": prompt or "-", "checkpoint": checkpoint})
    meter = (
        planned(config)
        if prompt is None
        else measured(config, open_host(checkpoint, device, loras=loras, prompt=prompt))
    )
    emit(json.dumps(meter.to_json()) if as_json else meter.text())


def scorers(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The folder of scorers, as --scorers takes it.")] = "",
) -> None:
    """List the scorers: what is there, and where the rest is looked for.  Nothing is ever fetched."""
    from ..loss import tagger
    from ..loss.scorers import SCORERS
    from .arguments import absolute

    console, root = Terminal(), Path(absolute(folder) or "FOLDER")
    rows = [(f"{one.name} ({one.label})", one.missing(root)) for one in SCORERS.values()]
    for name, missing in [*rows, ("tags (WD14's taggers, DeepDanbooru)", tagger.missing(root))]:
        console.say(f"{'NO  ' if missing else 'ok  '}{name}: {f'needs {missing}' if missing else root}")


def convert(
    prompt: Annotated[str, typer.Argument(help="A prompt in Compel's notation: word++, (a phrase)1.3, word--.")],
) -> None:
    """Turn a prompt in Compel's notation into the WebUI's syntax."""
    from ..prompt.compel import to_a1111

    emit(to_a1111(prompt))


def doctor(
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="The model to try; none: the small one.")] = "",
    out: Out = OUT,
    device: Device = None,
) -> None:
    """Say whether this machine can pin: packages, device, memory, room, and whether weights act.  Exit code 1: no."""
    from .doctor import findings

    console, whole = Terminal(), True
    for found in findings(checkpoint, device, out):
        console.say(
            f"{'ok  ' if found.good else 'NO  '}{found.name}: {found.said}", style=None if found.good else "red"
        )
        whole = whole and found.good
    raise typer.Exit(0 if whole else FAILED)
