"""The command line, `prompt-pins`.  Imports typer and rich; the model only where a command needs it.

Exit codes: 0 done; 1 the run failed (it can be resumed); 2 bad input, nothing was left behind; 130 interrupted
(it can be resumed); 143 ended by SIGTERM (it can be resumed).
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

from ..config import RenderOptions
from ..errors import PinError
from ..store import RunFolder, Runs
from ..store.events import Event, RunStarted
from . import threads
from .arguments import analysis_options, merged, with_analysis_options, with_options

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..headless.engine import HeadlessHost

OUT = Path("outputs/prompt_pins")
BAD_INPUT = 2
FAILED = 1

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")

Out = Annotated[Path, typer.Option("--out", help="The folder of all runs.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's number below --out, or its folder.")]
Device = Annotated[Optional[str], typer.Option("--device", help="cpu or cuda; by itself: CUDA where there is one.")]
ConfigFile = Annotated[Optional[Path], typer.Option("--config", help="A TOML file of options.")]
Embeddings = Annotated[
    Optional[Path], typer.Option("--embeddings", help="A folder of textual inversions (.safetensors).")
]


@app.command()
@with_options
def pin(
    prompt: Annotated[Optional[str], typer.Argument(help="The prompt to pin, in the WebUI's syntax.")] = None,
    config: ConfigFile = None,
    out: Out = OUT,
    device: Device = None,
    embeddings: Embeddings = None,
    **options: Any,
) -> None:
    """Pin a prompt: find the weights of its words that bring its images to the target."""
    from ..run import pin as loop

    settings = merged(prompt, config, options)
    host = _host(settings.checkpoint, device, embeddings)
    _run(settings, host, lambda: loop.start(settings, host, Runs(out)))


@app.command()
def resume(run: RunName, out: Out = OUT, device: Device = None, embeddings: Embeddings = None) -> None:
    """Go on with a run that was interrupted or killed, exactly where it was."""
    from ..config import RunConfig
    from ..run import pin as loop

    folder = Runs(out).find(run)
    record = folder.record()
    settings = RunConfig.from_record(record.config)
    threads.restore(record.host.get("threads"))
    host = _host(settings.checkpoint, device, embeddings)
    _run(settings, host, lambda: loop.resume(folder, host))


@app.command()
@with_analysis_options
def analyze(
    prompt: Annotated[Optional[str], typer.Argument(help="The prompt to measure, in the WebUI's syntax.")] = None,
    config: ConfigFile = None,
    out: Out = OUT,
    device: Device = None,
    embeddings: Embeddings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **options: Any,
) -> None:
    """Measure which words hold the image and which let it drift, without a search."""
    from ..report import build_analysis, build_index
    from ..words import analyze as measuring
    from .analyzing import follow, table

    chosen = analysis_options(options)
    settings = merged(prompt, config, options)
    host = _host(settings.checkpoint, device, embeddings)
    console, received = Console(stderr=as_json), list[int]()
    with _signals(host, received):
        folder, result = follow(console, measuring.analyze(settings, chosen, host, Runs(out / "analysis")))
    page = build_analysis(folder.path)
    build_index(Runs(out))
    if as_json:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        console.print(table(result))
    console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)
    if received:
        raise typer.Exit(128 + received[0])


@app.command()
def export(
    run: RunName,
    notation: Annotated[
        str, typer.Option("--format", help="text, csv (a style of the WebUI), json, compel, or embedding.")
    ] = "text",
    to: Annotated[Optional[Path], typer.Option("--to", help="The file to write; none: the terminal.")] = None,
    checkpoint: Annotated[
        Optional[Path], typer.Option("--checkpoint", help="For an embedding of a WebUI's run: its checkpoint's file.")
    ] = None,
    out: Out = OUT,
    device: Device = None,
) -> None:
    """Carry a run's pinned prompt away: as text, a style, JSON, Compel's notation, or baked into an embedding."""
    from ..errors import OptionError
    from ..report import notations
    from ..store.files import write_text

    folder = Runs(out).find(run)
    if notation == "embedding":
        from ..headless.bake import bake_run, own_checkpoint

        if to is None or to.suffix != ".safetensors":
            raise OptionError("to", str(to or ""), "a file whose name ends in .safetensors")
        record = folder.record()
        host = _host(str(checkpoint or own_checkpoint(record)), device, precise=True)
        typer.echo(bake_run(record, host, to))
        return
    if notation not in notations.FORMATS:
        raise OptionError("format", notation, ", ".join((*notations.FORMATS, "embedding")))
    text = notations.export(folder.path.name, folder.record(), notation)
    if to is None:
        typer.echo(text, nl=False)
    else:
        write_text(to, text)


@app.command()
def serve(
    out: Out = OUT,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8137,
) -> None:
    """Show the runs to a browser on this machine, until Ctrl-C."""
    from ..report import build_index
    from .serve import make_server

    build_index(Runs(out))
    try:
        server = make_server(out, port)
    except OSError as error:
        raise PinError(f"port: {port} cannot be used ({error.strerror or error})") from error
    typer.echo(f"serving {out} at http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends)")
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.2)


@app.command()
def report(run: RunName, out: Out = OUT) -> None:
    """Rebuild a run's report from its journal."""
    from ..report import build, build_index

    folder = Runs(out).find(run)
    typer.echo(build(folder))
    build_index(Runs(folder.path.parent))


@app.command()
def samplers() -> None:
    """List the samplers."""
    from ..headless.engine import samplers as listed

    table = Table("name", "kind", "model calls a step", box=None)
    for sampler in listed():
        kind = "stochastic" if sampler.stochastic else "deterministic"
        table.add_row(sampler.name, kind, "2" if sampler.second_order else "1")
    Console().print(table)


@app.command()
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
) -> None:
    """Draw a hyperbatch's tree and say what it saves; with --prompt also what it costs in diversity."""
    from ..config import RunConfig
    from .measure import measured, planned

    values: dict[str, Any] = {"batch_size": batch_size, "steps": steps, "fork_policy": fork_policy, "sampler": sampler}
    values |= {} if fork_strength is None else {"fork_strength": fork_strength}
    config = RunConfig.from_dict({**values, "prompt": prompt or "-", "checkpoint": checkpoint})
    meter = planned(config) if prompt is None else measured(config, _host(checkpoint, device))
    typer.echo(json.dumps(meter.to_json()) if as_json else meter.text())


@app.command()
def convert(
    prompt: Annotated[str, typer.Argument(help="A prompt in Compel's notation: word++, (a phrase)1.3, word--.")],
) -> None:
    """Turn a prompt in Compel's notation into the WebUI's syntax."""
    from ..prompt.compel import to_a1111

    typer.echo(to_a1111(prompt))


def main() -> None:
    """Entry point: every `PinError` becomes one message and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app()
    except PinError as error:
        _complain(error)
        sys.exit(BAD_INPUT)


def _host(checkpoint: str, device: str | None, embeddings: Path | None = None, precise: bool = False) -> HeadlessHost:
    from ..headless.engine import HeadlessHost
    from ..headless.inversion import load_inversions

    return HeadlessHost(checkpoint, device, load_inversions(embeddings) if embeddings is not None else (), precise)


def _run(settings: RunConfig, host: HeadlessHost, begin: Callable[[], Iterator[Event]]) -> None:
    """Run to the end, with a live screen and a live report; never leaves without the report."""
    from ..report import LiveReport, build_index
    from ..run.plan import make_plan
    from .progress import Screen, summary

    console = Console()
    received: list[int] = []
    folder: RunFolder | None = None
    failure: PinError | None = None
    plan = make_plan(settings, host)
    with _signals(host, received), LiveReport() as live, Screen(console, plan) as screen:
        try:
            for event in begin():
                folder = event.folder if isinstance(event, RunStarted) else folder
                live.handle(event)
                screen.handle(event)
        except PinError as error:
            if folder is None:
                raise
            failure = error
    if folder is None:
        return
    build_index(Runs(folder.path.parent))
    summary(console, folder)
    if failure is not None:
        _complain(failure)
    if received or failure is not None:
        console.print(f"to go on: prompt-pins resume {folder.path}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(128 + received[0] if received else FAILED)


def _complain(error: PinError) -> None:
    Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _signals(host: HeadlessHost, received: list[int]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the run cleanly; a second one ends the program at once."""

    def stop(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        host.interrupt()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
