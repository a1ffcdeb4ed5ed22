"""Which words hold the image and which let it drift, measured directly and without a search.

Each word is raised and lowered alone; what that does is seen in images on the same seeds (`rendered`), or in how
likely the denoiser finds the targets (`likely`).  Works with any host; the parts of a pinned prompt's run are used as
they are.  Everything is written to the analysis's journal before its event is yielded, and going on is replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..errors import HostInterrupted, OptionError, StoreError
from ..host import Host
from ..loss import Target
from ..run import seeds
from ..run.rendering import render
from ..run.scoring import check_loss
from ..run.targets import read_targets, ready_targets
from ..store import FORMAT_VERSION, Journal, Record, RunFolder, Runs, axes_json, events, now, replay, to_json
from ..store.folder import ANALYSIS
from . import parts
from .earlier import Earlier, of_journal
from .likely import ByLikelihood, check_able
from .parts import Part, Parts
from .rendered import ByImages
from .result import INTERRUPTED, AnalysisDone, AnalysisStarted, Event, result

TASK = "words"


def start(
    config: RunConfig,
    options: AnalysisOptions,
    host: Host,
    runs: Runs,
    source: Earlier | None = None,
    wanted: Sequence[str] = (),
) -> Iterator[Event]:
    """Measure every word that may vary, in a new folder of `runs`.

    source: what gives the target instead of the configuration.  wanted: the phrases that `auto` splits, as an earlier
    analysis has split them.  Raises `PinError` for input that cannot be used, before a folder is made.
    """
    if config.many:
        raise OptionError("payload", list(config.payload), "no payload and no piece: words are measured on one prompt")
    found = _checked(config, options, host)
    if options.by == "images":
        check_loss(config, host)
    targets = read_targets(config, host) if source is None else source.targets(config, host)
    folder = runs.claim()
    head = {"target_of": source.place(folder.path.parent)} if source is not None else {}
    return _events(config, options, host, folder, found, targets, {**head, "split": list(wanted)})


def resume(folder: RunFolder, host: Host) -> Iterator[Event]:
    """Go on with an analysis that was stopped, exactly where it was.  Raises `PinError`, also for a finished one."""
    record = folder.record()
    if record.task != TASK:
        raise StoreError(f"{folder.path}: is no analysis")
    if record.state == "finished":
        raise StoreError(f"{folder.path}: this analysis is finished")
    config, options = RunConfig.from_record(record.config), AnalysisOptions.from_record(record.options)
    found, targets = _checked(config, options, host), of_journal(folder, record, config, host)
    return _events(config, options, host, folder, found, targets, {})


def _checked(config: RunConfig, options: AnalysisOptions, host: Host) -> Parts:
    """What is measured, by a host that can.  Raises `PinError`."""
    found = parts.find(config, options, host)
    if options.by == "likelihood":
        check_able(config, host, found.space.recipe(found.space.original))
    return found


def _events(
    config: RunConfig,
    options: AnalysisOptions,
    host: Host,
    folder: RunFolder,
    found: Parts,
    targets: tuple[Target, ...] | None,
    more: Mapping[str, Any],
) -> Iterator[Event]:
    with folder.working() as journal:
        yield from _Work(config, options, host, folder, journal, found, targets, more).work()


class _Work:
    """One process's work on an analysis.  targets: None where the journal has them.  more: of a new journal's head."""

    def __init__(
        self,
        config: RunConfig,
        options: AnalysisOptions,
        host: Host,
        folder: RunFolder,
        journal: Journal,
        found: Parts,
        targets: tuple[Target, ...] | None,
        more: Mapping[str, Any],
    ) -> None:
        self.config, self.options, self.host, self.folder = config, options, host, folder
        self.journal, self.parts, self.targets, self.more = journal, found, targets, more

    def work(self) -> Iterator[Event]:
        """All of it, or what is left of it."""
        if self.journal.records:
            self.journal.append({"kind": "resumed", "time": now()})
        else:
            head = {"kind": "run", "version": FORMAT_VERSION, "task": TASK, "config": self.config.to_dict()}
            head |= {"options": vars(self.options), "host": self.host.describe()}
            head |= {"space": axes_json(self.parts.space.axes), "plan": {}, **self.more, "time": now()}
            self.journal.append(head, sync=True)
        self.wanted = tuple(self.journal.records[0].get("split", ()))
        record = replay(self.journal.records)
        self.words = list(record.words)
        first = self.parts.phrases or self.parts.whole
        yield AnalysisStarted(self.folder, len(first), record, parts.planned(self.parts, self.options))
        try:
            with self.journal.faults_told():
                yield from self._measured(record)
        except HostInterrupted:
            self.journal.end("stopped", INTERRUPTED)
        else:
            self.journal.end("finished", f"{len(self.parts.whole)} words")
        told = result(replay(self.journal.records))
        self.folder.save_json(ANALYSIS, told.to_json())
        yield AnalysisDone(told)

    def _measured(self, record: Record) -> Iterator[Event]:
        method = self._method(record)
        original = self.parts.space.recipe(self.parts.space.original)
        if (unchanged := method.begin(original, record.unchanged)) is not None:
            self.journal.append(to_json(unchanged), sync=True)
        first = self.parts.phrases or self.parts.whole
        yield from self._pass(method, first, ())
        if self.parts.phrases:
            second = parts.split(self.parts, self.words[: len(first)], self.options, self.wanted)
            yield from self._pass(method, second, first)

    def _method(self, record: Record) -> ByImages | ByLikelihood:
        """With the targets, which are in the folder from now on."""
        given = None if self.targets is None else (self.targets,)
        source, names, (targets,) = ready_targets(
            [self.config], self.host, self.folder, record, self._first_batch, given
        )
        if not record.target_source:
            weights = [target.weight for target in targets]
            line = {"kind": "target", "source": source, "images": list(names), "weights": weights}
            self.journal.append(line, sync=True)
        if self.options.by == "likelihood":
            return ByLikelihood(self.config, self.host, targets)
        return ByImages(self.config, self.options, self.host, targets, self.folder)

    def _first_batch(self, _: int) -> np.ndarray:
        """The prompt's own first batch, as a run without a target would take it."""
        config, space = self.config, self.parts.space
        row = seeds.search_seeds(config.seed, config.batch_size, 1, config.seed_policy)
        return render(self.host, space.recipe(space.original), row, config, forked=True).images

    def _pass(
        self, method: ByImages | ByLikelihood, wanted: Sequence[Part], before: Sequence[Part]
    ) -> Iterator[events.WordMeasured]:
        """Measure these parts; what the journal has of them is not measured again."""
        for start in range(0, len(wanted), method.together):
            group, place = wanted[start : start + method.together], len(before) + start
            known = self.words[place : place + len(group)]
            for part, word in zip(group, known):
                parts.check_same(part, word)
            if len(known) == len(group):
                continue
            for offset, word in enumerate(method.measure(group, place)[len(known) :], place + len(known)):
                self.journal.append(to_json(word))
                self.words.append(word)
                yield events.WordMeasured(word, offset + 1, len(before) + len(wanted))
