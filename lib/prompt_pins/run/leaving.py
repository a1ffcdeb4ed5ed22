"""Leave one out: what a run's piece is on a payload that had no part in finding it.

Each payload is left out of a run of its own, with all other options alike; its piece is then rendered on that payload's
unseen seeds, where the run of all payloads was checked, too.
"""

from __future__ import annotations

import dataclasses
from typing import NoReturn

from ..config import RunConfig
from ..errors import OptionError
from ..host import Host
from ..store import Candidate, Record, RunFolder
from ..store.journal import read_journal
from ..store.left_out import LeftOut
from . import seeds
from .contest import improvement
from .judge import Judge
from .plan import make_plan
from .rendering import tagger
from .scoring import Scorer, loss_options
from .targets import ready_targets

PLACE = "unseen/without"


def without(config: RunConfig, payload: int) -> RunConfig:
    """A configuration without one of its payloads, counted from 0.

    Raises `OptionError` where there are fewer than two.
    """
    if len(config.payloads) < 2:
        raise OptionError("run", f"{len(config.payloads)} payload", "a run of two payloads or more")
    lines = tuple(line for place, line in enumerate(config.payload) if place != payload)
    return dataclasses.replace(config, payload=lines)


def check_whole(folder: RunFolder, record: Record) -> None:
    """Raises `OptionError` for a run that nothing can be left out of: it must be finished, and checked."""
    if record.state != "finished" or record.held is None or not record.held.payload_fits:
        raise OptionError("run", folder.path.name, "a finished run of payloads that was checked (held_out above 0)")


def valued(folder: RunFolder, record: Record, host: Host, run: str, piece: Candidate, payload: int) -> LeftOut:
    """What another run's piece is on a payload, counted from 0, that it was found without.

    folder, record: of the run of all payloads, which keeps the images.  run, piece: the other one and its best.  Raises
    as rendering does.
    """
    config, held = RunConfig.from_record(record.config), record.held
    assert held is not None
    plan = make_plan(config, host)
    panel, space = plan.panel, plan.space
    weights = dict(zip(make_plan(without(config, payload), host).space.labels, piece.weights, strict=True))
    vector = [weights.get(label, start) for label, start in zip(space.labels, space.original, strict=True)]
    texts = tuple((one.prompt, one.negative_prompt) for one in panel.recipes(vector))
    _, _, targets = ready_targets(panel.jobs, host, folder, record, _no_batch)
    lines = (line["values"] for line in read_journal(folder.journal_path) if line["kind"] == "normalisers")
    interrogator = tagger(host, loss_options(config))
    scorer = Scorer(config, folder, panel, targets, next(filter(None, lines), None), interrogator)
    judge, row = Judge(config, host, scorer), seeds.held_out_seeds(panel.jobs[payload].seed, config.held_out)
    fits, batch = judge.fits(dataclasses.replace(piece, prompts=texts), row, payload)
    original, pinned = held.payload_fits[payload]
    pairs = ((original, pinned), (original, fits), (fits, pinned))
    gains = tuple(improvement(before, after, config.cma_seed) for before, after in pairs)
    return LeftOut(payload + 1, run, gains, judge.kept(PLACE, batch, row, payload))


def _no_batch(index: int) -> NoReturn:
    raise AssertionError("a finished run keeps its targets")
