"""`prompt-pins leave-out`: a run of payloads, once more without each of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import HostError, StoreError
from ..store import RunFolder, Runs, events
from ..store.left_out import LeftOut, left_out, note
from .arguments import with_moved
from .crew import Crew, again_as, with_workers
from .parameters import OUT, Out, RunName
from .running import built, run_to_the_end
from .terminal import Terminal

if TYPE_CHECKING:
    from ..config import RunConfig


@with_moved
@with_workers
def leave_out(crew: Crew, run: RunName, out: Out = OUT, **moved: str) -> None:
    """Pin a run's piece without each of its payloads in turn: how does it do on a prompt that had no part in it?"""
    from ..config import RunConfig
    from ..run import leaving
    from ..run import pin as loop
    from ..run.plan import make_plan
    from . import threads

    folder = Runs(out).find(run)
    record, runs, console = folder.record(), Runs(folder.path.parent), Terminal()
    leaving.check_whole(folder, record)
    whole = RunConfig.from_record(record.config)
    configs = [leaving.without(whole, place) for place in range(len(whole.payloads))]
    threads.restore(record.host.get("threads"))
    again = crew.again(moved)
    with crew.opened(whole, again_as(record, *crew.own, moved), record, moved) as host:
        images = sum(make_plan(config, host).images for config in configs)
        console.say(f"{len(configs)} runs, each without one payload: at most {images} images in their searches")
        for place, config in enumerate(configs):
            known = {one.number: one for one in left_out(folder)}.get(place + 1)
            if known is not None and known.gains:
                continue
            console.say(f"without payload {place + 1}")
            other = _earlier(runs, known.run if known else "", config)
            if other is None:
                noting = functools.partial(_noted, folder, place + 1, functools.partial(loop.start, config, host, runs))
                run_to_the_end(config, host, noting, again, moved)
                other = runs.find(next(one.run for one in left_out(folder) if one.number == place + 1))
            elif other.record().state != "finished":
                run_to_the_end(config, host, functools.partial(loop.resume, other, host), again, moved)
            best = other.record().best
            if best is None:
                raise HostError(f"the run {other.path.name} has no prompt: all of its candidates failed")
            note(folder, leaving.valued(folder, record, host, other.path.name, best, place))
    for one in left_out(folder):
        among, alone, brings = (
            f"{-gain or 0.0:+.1%} [{-high or 0.0:+.1%}, {-low or 0.0:+.1%}]" for gain, low, high in one.gains
        )
        console.say(
            f"payload {one.number}, loss on unseen seeds: pinned on all {among}; on the others alone {alone} "
            f"(run {one.run}); from these to all {brings}"
        )
    console.say(f"report: {built(folder)}")


def _noted(folder: RunFolder, number: int, begin: Callable[[], Iterator[events.Event]]) -> Iterator[events.Event]:
    """A run's events; as it begins, it is written down which one it is."""
    for event in begin():
        if isinstance(event, events.RunStarted):
            note(folder, LeftOut(number, event.folder.path.name))
        yield event


def _earlier(runs: Runs, name: str, config: RunConfig) -> RunFolder | None:
    """The run without a payload that was begun already; None where there is none, or it is another one by now."""
    try:
        folder = runs.find(name) if name else None
        fits = folder is not None and folder.record().config.get("payload") == list(config.payload)
    except StoreError:
        return None
    return folder if fits else None
