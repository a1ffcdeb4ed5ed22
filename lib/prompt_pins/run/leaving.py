"""Leave one out: what a run's piece is on a payload that had no part in finding it.

Each payload is left out of a run of its own, with all other options alike and the targets that the run of all payloads
has kept; its piece is then rendered on that payload's unseen seeds, where the run of all payloads was checked, too.  It
has no warm start, for what an earlier run learnt may be of the payload that is left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NoReturn, Optional

from ..config import RunConfig
from ..errors import HostError, HostInterrupted, OptionError, StoreError
from ..host import Host
from ..space.tied import build as build_tied
from ..store import Candidate, Record, RunFolder, Runs, events
from ..store.journal import read_journal
from ..store.left_out import LeftOut, left_out, note
from . import pin, seeds
from .contest import improvement
from .judge import Judge
from .plan import make_plan
from .rendering import tagger
from .scoring import Scorer, loss_options, noted_normalisers
from .targets import Read, each_kept, ready_targets

PLACE = "unseen/without"
Begin = Callable[[], Iterator[events.Event]]
Follow = Callable[[int, RunConfig, Begin, Optional[RunFolder]], object]
"""Takes a run to its end, or as far as the user lets it.

Of the payload that it is without: the number, from 1.  Its configuration, what begins it, its folder if it goes on.
"""


def parts(folder: RunFolder, record: Record) -> list[RunConfig]:
    """The configurations without each payload in turn.

    Raises `OptionError` for a run that nothing can be left out of: it must be finished, and checked.
    """
    if record.state != "finished" or record.held is None or not record.held.payload_fits:
        raise OptionError("run", folder.path.name, "a finished run of payloads that was checked (held_out above 0)")
    whole = RunConfig.from_record(record.config)
    return [without(whole, place) for place in range(len(whole.payloads))]


def finish(
    folder: RunFolder,
    record: Record,
    host: Host,
    follow: Follow,
    around: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> bool:
    """Do what is not done yet, and write it down: each run without a payload, and its piece on that payload.

    around: what the host needs to render the run of all payloads.  False where the user stopped it.  Raises `PinError`,
    and before anything is rendered `OptionError` where other words would vary without a payload.
    """
    runs, configs = Runs(folder.path.parent), parts(folder, record)
    for place in range(len(configs)):
        carried(RunConfig.from_record(record.config), host, place)
    for place, config in enumerate(configs):
        known = _known(folder, place)
        if known is not None and known.gains:
            continue
        other = _earlier(runs, known.run if known else "", config)
        if other is None:
            run = functools.partial(pin.start, config, host, runs, _others_targets(folder, record, place))
            follow(place + 1, config, functools.partial(_noted, folder, place + 1, run), None)
            known = _known(folder, place)
            assert known is not None
            other = runs.find(known.run)
        elif other.record().state != "finished":
            follow(place + 1, config, functools.partial(pin.resume, other, host), other)
        found = other.record()
        if found.state != "finished":
            return False
        if found.best is None:
            raise HostError(f"the run {other.path.name} has no prompt: all of its candidates failed")
        try:
            with around():
                note(folder, valued(folder, record, host, other.path.name, found.best, place))
        except HostInterrupted:
            return False
    return True


def _others_targets(folder: RunFolder, record: Record, place: int) -> Read | None:
    """Those of the other payloads, as the run has kept them; None where they are first batches, to be rendered."""
    if record.target_source == "batch" and not record.config.get("mask"):
        return None
    found = each_kept(folder, record)
    return (*found[:place], *found[place + 1 :])


def _known(folder: RunFolder, place: int) -> LeftOut | None:
    return next((one for one in left_out(folder) if one.number == place + 1), None)


def _noted(folder: RunFolder, number: int, begin: Begin) -> Iterator[events.Event]:
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


def without(config: RunConfig, payload: int) -> RunConfig:
    """A configuration without one of its payloads, counted from 0.

    Raises `OptionError` where there are fewer than two.
    """
    if len(config.payloads) < 2:
        raise OptionError("run", f"{len(config.payloads)} payload", "a run of two payloads or more")
    lines = tuple(line for place, line in enumerate(config.payload) if place != payload)
    return dataclasses.replace(config, payload=lines, warm_start="")


def carried(config: RunConfig, host: Host, payload: int) -> list[int]:
    """Which axis of the words of all payloads each axis of those without one (counted from 0) is.

    Raises `OptionError` where a word varies without it that stands still in the run of all.
    """
    (texts, _), (less, _) = (build_tied(one, host.embeddings()) for one in (config, without(config, payload)))
    found: dict[int, int] = {}
    for mine, theirs in zip(less, (*texts[:payload], *texts[payload + 1 :]), strict=True):
        for one, other in zip(mine.units, theirs.units, strict=True):
            if one.axis is not None and other.axis is None:
                allowed = (
                    f"a run whose words alone vary without payload {payload + 1}, too; there {one.unit.text!r} would"
                )
                raise OptionError("run", f"{len(texts)} payloads", f"{allowed}: put the words into a piece")
            if one.axis is not None and other.axis is not None:
                found[one.axis] = other.axis
    return [found[axis] for axis in range(len(less[0].axes))]


def valued(folder: RunFolder, record: Record, host: Host, run: str, piece: Candidate, payload: int) -> LeftOut:
    """What another run's piece is on a payload, counted from 0, that it was found without.

    folder, record: of the run of all payloads, which keeps the images.  run, piece: the other one and its best.  Raises
    as rendering does.
    """
    config, held = RunConfig.from_record(record.config), record.held
    assert held is not None
    plan = make_plan(config, host)
    panel, space = plan.panel, plan.space
    words, vector = carried(config, host, payload), list(space.original)
    settings = range(len(space.groups[0].axes), space.size)  # the same in both, after the words
    for axis, weight in zip((*words, *settings), piece.weights, strict=True):
        vector[axis] = weight
    texts = tuple((one.prompt, one.negative_prompt) for one in panel.recipes(vector))
    _, _, targets = ready_targets(panel.jobs, host, folder, record, _no_batch)
    normalisers, interrogator = noted_normalisers(read_journal(folder.journal_path)), tagger(host, loss_options(config))
    scorer = Scorer(config, folder, panel, targets, normalisers, interrogator)
    judge, row = Judge(config, host, scorer), seeds.held_out_seeds(panel.jobs[payload].seed, config.held_out)
    fits, batch = judge.fits(dataclasses.replace(piece, prompts=texts), row, payload)
    original, pinned = held.payload_fits[payload]
    pairs = ((original, pinned), (original, fits), (fits, pinned))
    gains = tuple(improvement(before, after, config.cma_seed) for before, after in pairs)
    return LeftOut(payload + 1, run, gains, judge.kept(PLACE, batch, row, payload))


def _no_batch(index: int) -> NoReturn:
    raise AssertionError("a finished run keeps its targets")
