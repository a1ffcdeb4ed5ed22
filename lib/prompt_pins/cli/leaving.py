"""`prompt-pins leave-out`: a run of payloads, once more without each of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..store import RunFolder, Runs
from ..store.left_out import left_out
from .arguments import with_moved
from .crew import Crew, again_as, with_workers
from .parameters import OUT, Out, RunName
from .running import FAILED, built, flags, run_to_the_end, say_how, signals
from .terminal import Terminal

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run.leaving import Begin


@with_moved
@with_workers
def leave_out(crew: Crew, run: RunName, out: Out = OUT, **moved: str) -> None:
    """Pin a run's piece without each of its payloads in turn: how does it do on a prompt that had no part in it?"""
    from ..config import RunConfig
    from ..report.view import left_out_in_words
    from ..run import leaving
    from ..run.plan import make_plan
    from . import threads

    folder = Runs(out).find(run)
    record, console = folder.record(), Terminal()
    configs = leaving.parts(folder, record)
    whole = RunConfig.from_record(record.config)
    threads.restore(record.host.get("threads"))
    again = crew.again(moved)
    with crew.opened(whole, again_as(record, *crew.own, moved), record, moved) as host:
        images = sum(make_plan(config, host).images for config in configs)
        console.say(f"{len(configs)} runs, each without one payload: at most {images} images in their searches")

        to_go_on: list[Path | str] = ["leave-out", folder.path]
        received: list[int] = []

        def follow(number: int, config: RunConfig, begin: Begin, _: RunFolder | None) -> None:
            console.say(f"without payload {number}")
            run_to_the_end(config, host, begin, again, moved, to_go_on)

        with signals(host, received):
            done = leaving.finish(folder, record, host, follow)
        if not done:
            say_how(console, [*to_go_on, *flags(again)])
            raise typer.Exit(128 + received[0] if received else FAILED)
    for one in left_out(folder):
        console.say(left_out_in_words(one))
    console.say(f"report: {built(folder)}")
