"""The command line, `prompt-pins`.  Imports typer and rich; the model only where a command needs it.

Exit codes: 0 done; 1 the run failed (it can be resumed); 2 bad input, nothing was left behind; 130 interrupted
(it can be resumed); 141 nobody read the output any more (it can be resumed); 143 ended by SIGTERM (it can be resumed).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .. import __version__
from ..errors import OptionError, PinError, StoreError, reason
from ..store import Runs
from . import facts, leaving, merging, threads
from .arguments import (
    merged,
    read_payloads,
    some_path,
    with_analysis_options,
    with_map_options,
    with_moved,
    with_options,
)
from .crew import Crew, again_as, fresh, with_workers
from .parameters import OUT, ConfigFile, Device, Embeddings, Loras, Out, RunName
from .running import FAILED, draw_again, run_to_the_end
from .terminal import GONE, Terminal, complain, emit, leave, prepare, shown

BAD_INPUT = 2
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What no other input would help: a full disk, a used-up quota, a disk that fails."""
LONGEST = 500  # characters of a message about the command line, which may quote an argument of any length

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="rich")


def _version(given: bool) -> None:
    if given:
        emit(__version__)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Print it.")] = False,
) -> None:
    """Find the emphasis weights that pin a Stable Diffusion prompt to a visual target."""


@app.command()
@with_options
@with_workers
def pin(
    crew: Crew,
    prompt: Annotated[Optional[str], typer.Argument(help="The prompt to pin, in the WebUI's syntax.")] = None,
    config: ConfigFile = None,
    out: Out = OUT,
    payloads: Annotated[
        Optional[Path],
        typer.Option(parser=some_path, metavar="FILE", help="A text file of payloads, one a line (see --payload)."),
    ] = None,
    **options: Any,
) -> None:
    """Pin a prompt: find the weights of its words that bring its images to the target."""
    from ..run import pin as loop

    if payloads is not None:
        options["payload"] = [*(options.get("payload") or ()), *read_payloads(payloads)]
    settings = merged(prompt, config, options)
    with crew.opened(settings, fresh(settings, *crew.own)) as host:
        run_to_the_end(settings, host, lambda: loop.start(settings, host, Runs(out)), crew.again())


@app.command()
@with_moved
@with_workers
def resume(
    crew: Crew,
    run: RunName,
    out: Out = OUT,
    **moved: str,
) -> None:
    """Go on with a run, an analysis or a map that was interrupted, exactly where it was, with what it began with."""
    from ..config import RunConfig
    from ..map import work as mapping
    from ..run import pin as loop
    from ..words import analyze as measuring
    from .analyzing import measure_to_the_end
    from .mapping import map_to_the_end

    folder = Runs(out).find(run)
    record = folder.record()
    again = crew.again(moved)
    if record.state == "finished":
        draw_again(folder, again, moved)
        return
    settings = RunConfig.from_record(record.config)
    threads.restore(record.host.get("threads"))
    with crew.opened(settings, again_as(record, *crew.own, moved), record, moved) as host:
        if record.task == measuring.TASK:
            measure_to_the_end(measuring.resume(folder, host), host, again=again)
        elif record.task == mapping.TASK:
            map_to_the_end(mapping.resume(folder, host), host, again)
        else:
            run_to_the_end(settings, host, lambda: loop.resume(folder, host), again, moved)


@app.command()
@with_analysis_options
@with_workers
def analyze(
    crew: Crew,
    prompt: Annotated[Optional[str], typer.Argument(help="The prompt to measure, in the WebUI's syntax.")] = None,
    config: ConfigFile = None,
    out: Out = OUT,
    run: Annotated[
        Optional[str],
        typer.Option(
            metavar="RUN", help="Measure this finished run's pinned prompt, with its own target and settings."
        ),
    ] = None,
    against: Annotated[
        Optional[str],
        typer.Option(
            metavar="ANALYSIS",
            help="Measure what this analysis measured, under the options that are given, and compare the two.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **options: Any,
) -> None:
    """Measure which words hold the image and which let it drift, without a search."""
    from .analyzing import Order, measure_to_the_end

    order = Order.of(prompt, config, Runs(out), run, against, options)
    here, terminal = order.here(*crew.own), Terminal(stderr=as_json)
    with crew.opened(order.config, here, order.record, terminal=terminal) as host:
        measure_to_the_end(order.begin(host), host, order.against, as_json, crew.again())


@app.command(name="map")
@with_map_options
@with_workers
def map_(
    crew: Crew,
    prompt: Annotated[Optional[str], typer.Argument(help="The prompt to map, in the WebUI's syntax.")] = None,
    config: ConfigFile = None,
    out: Out = OUT,
    run: Annotated[
        Optional[str], typer.Option(metavar="RUN", help="Map this run's own candidates instead of new ones.")
    ] = None,
    **options: Any,
) -> None:
    """Show which pictures lie near a prompt: other weights of its words, and which of them give the same picture."""
    from ..map.work import start
    from .mapping import Order, map_to_the_end

    order = Order(prompt, config, Runs(out), run, options)
    with crew.opened(order.config, order.here(*crew.own), order.record) as host:
        map_to_the_end(start(order.config, order.options, host, order.runs, order.earlier), host, crew.again())


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="ANALYSIS", help="An analysis's number below --out, or its folder.")],
    after: Annotated[str, typer.Argument(metavar="OTHER", help="Another one of the same prompt.")],
    out: Out = OUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two analyses of one prompt, word by word: what changed, and what is proven."""
    from .analyzing import compared

    compared(Terminal(stderr=as_json), Runs(out).find(before), Runs(out).find(after), as_json)


@app.command()
def export(
    run: RunName,
    notation: Annotated[
        str, typer.Option("--format", help="text, csv (a style of the WebUI), json, compel, piece, or embedding.")
    ] = "text",
    to: Annotated[
        Optional[Path],
        typer.Option("--to", parser=some_path, metavar="PATH", help="The file to write; none: the terminal."),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", help="For an embedding of a WebUI's run: its checkpoint's file.")
    ] = "",
    out: Out = OUT,
    device: Device = None,
    embeddings: Embeddings = None,
    loras: Loras = None,
) -> None:
    """Carry a run's pinned prompt away: as text, a style, JSON, Compel's notation, or baked into an embedding."""
    from ..report import notations
    from ..report.view import verdict
    from ..store.files import check_place, write_text

    folder = Runs(out).find(run)
    if notation == "embedding":
        from .baking import baked  # imports the engine

        emit(baked(folder, to, checkpoint, device, embeddings, loras))
        return
    if to is not None:
        check_place(to)
    if notation not in notations.FORMATS:
        raise OptionError("format", notation, ", ".join((*notations.FORMATS, "embedding")))
    record = folder.record()
    text = notations.export(folder.path.name, record, notation)
    if said := verdict(record):
        Terminal(stderr=True).say(f"warning: {said}", style="yellow")
    if to is None:
        emit(text, newline=False)
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

    if not os.path.isdir(out):
        raise OptionError("out", str(out), "a folder of runs")
    with contextlib.suppress(StoreError):  # a folder that is only to be read shows the index that it has
        build_index(Runs(out))
    try:
        server = make_server(out, port)
    except OSError as error:
        raise PinError(f"port: {port} cannot be used ({reason(error)})") from error
    emit(f"serving {shown(out)} at http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends)")
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.2)


@app.command()
def report(run: RunName, out: Out = OUT) -> None:
    """Rebuild the report of a run, an analysis or a map from its journal."""
    from ..report import build_index
    from .running import built

    folder = Runs(out).find(run)
    emit(str(built(folder)))
    build_index(Runs(folder.path.parent))


commands = (facts.samplers, facts.scorers, facts.hyperbatch, facts.doctor, facts.convert, merging.merge)
for command in (leaving.leave_out, *commands):
    app.command()(command)


def main() -> None:
    """Entry point: every `PinError`, and every mistake of the command line, is one message; exit code 2, `FULL` 1."""
    prepare()
    try:
        code = app(args=sys.argv[1:] or ["--help"], prog_name="prompt-pins", standalone_mode=False)
    except PinError as error:
        complain(error)
        code = FAILED if getattr(error.__cause__, "errno", None) in FULL else BAD_INPUT
    except BrokenPipeError:
        code = GONE
    except typer.Abort:
        code = FAILED
    except OSError as error:  # the system's reasons are sentences, too
        complain(error)
        code = FAILED
    except Exception as error:
        said = getattr(error, "format_message", None)  # of click, which typer may carry within itself
        if said is None:
            raise
        words = " ".join(said().split())
        complain(words if len(words) <= LONGEST else words[: LONGEST - 1] + "…")
        code = BAD_INPUT
    sys.exit(leave(code if isinstance(code, int) else 0))


if __name__ == "__main__":
    main()
