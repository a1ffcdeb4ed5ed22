"""A map is rendered: a batch of each candidate, all on the same seeds.

Works with any host; nothing is scored.  Everything is written to the map's journal before its event is yielded, and
going on is replay.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from ..config import MapOptions, RenderOptions, RunConfig
from ..errors import HostInterrupted, PinError, StoreError
from ..host import Host, Request
from ..options import declarations
from ..run import rendering, seeds
from ..run.beginning import check_replayed
from ..run.scoring import candidate_id, image_names
from ..search import INTERRUPTED
from ..space import Space
from ..store import FORMAT_VERSION, Candidate, Journal, Record, RunFolder, Runs, axes_json, events, now, replay, to_json
from ..store.files import write_files
from ..store.folder import MAP
from . import points
from .distances import distances
from .points import Earlier, Points
from .result import Event, Map, MapDone, MapStarted, result

TASK = "map"


def start(
    config: RunConfig, options: MapOptions, host: Host, runs: Runs, earlier: Earlier | None = None
) -> Iterator[Event]:
    """A map round a prompt, or of a run's candidates, in a new folder of `runs`.

    Raises `PinError` for input that cannot be used, before a folder is made.
    """
    space = points.space_of(config, host)
    wanted = points.of_run(space, earlier, options) if earlier else points.sampled(space, options, config.seed)
    text = f"{config.prompt}\n{config.negative_prompt}".lower()
    head = {"kind": "run", "version": FORMAT_VERSION, "task": TASK, "config": config.to_dict()}
    head |= {"options": vars(options), "host": host.describe(), "space": axes_json(space.axes)}
    head |= {"of_run": earlier.folder.path.name} if earlier else {}
    cost = host.evaluations(config.batch_size, config, forked=True) * len(wanted)
    known = [name for name in host.embeddings() if name.lower() in text]
    head |= {"plan": {"candidates": len(wanted), "evaluations": cost, "embeddings": known}}
    head |= {"points": [list(point) for point in wanted], "time": now()}
    return _events(config, host, runs.claim(), space, head)


def resume(folder: RunFolder, host: Host) -> Iterator[Event]:
    """Go on with a map that was stopped, exactly where it was.  Raises `PinError`, also for a finished one."""
    record = folder.record()
    if record.task != TASK:
        raise StoreError(f"{folder.path}: is no map")
    if record.state == "finished":
        raise StoreError(f"{folder.path}: this map is finished")
    config = RunConfig.from_record(record.config)
    return _events(config, host, folder, points.space_of(config, host), None)


def drawn(folder: RunFolder) -> Map:
    """What the map tells as it is now, which is written into its folder.  Raises `StoreError`."""
    record = folder.record()
    if record.task != TASK:
        raise StoreError(f"{folder.path}: is no map")
    found = result(record, distances(folder, record))
    folder.save_json(MAP, found.to_json())
    return found


def _events(
    config: RunConfig, host: Host, folder: RunFolder, space: Space, head: dict[str, object] | None
) -> Iterator[Event]:
    with folder.working() as journal:
        if head is None:
            journal.append({"kind": "resumed", "time": now()})
        else:
            journal.append(head, sync=True)
        yield from _Work(config, host, folder, journal, space).work()


class _Work:
    """One process's work on a map."""

    def __init__(self, config: RunConfig, host: Host, folder: RunFolder, journal: Journal, space: Space) -> None:
        self.config, self.host, self.folder, self.journal, self.space = config, host, folder, journal, space
        self.points: Points = tuple(map(tuple, journal.records[0].get("points", ())))
        self.seeds = seeds.search_seeds(config.seed, config.batch_size, 1, config.seed_policy)

    def work(self) -> Iterator[Event]:
        """All of it, or what is left of it."""
        record = replay(self.journal.records)
        count = len(self.points)
        yield MapStarted(self.folder, record, count, count * len(self.seeds), int(record.plan.get("evaluations", 0)))
        state, reason = "finished", f"{len(self.points)} candidates"
        try:
            with self.journal.faults_told():
                yield from self._candidates(record)
                distances(self.folder, replay(self.journal.records))
        except HostInterrupted:
            state, reason = "stopped", str(INTERRUPTED)
        self.journal.end(state, reason)
        yield MapDone(state, reason)

    def _candidates(self, record: Record) -> Iterator[events.CandidateDone]:
        if len(record.candidates) > len(self.points):
            raise StoreError(f"{self.folder.path}: has more candidates than points")
        for candidate, point in zip(record.candidates, self.points):
            check_replayed(self.folder, candidate, point)
        rendered = self._rendered(record.of_run)
        left = range(len(record.candidates), len(self.points))
        rendering.ahead(self.host, lambda: (self._request(index) for index in left if self._id(index) not in rendered))
        for index in left:
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            candidate = self._candidate(index, rendered.get(self._id(index), []))
            self.journal.append(to_json(candidate))
            yield events.CandidateDone(candidate)

    def _rendered(self, of_run: str) -> dict[str, list[Path]]:
        """The files of a run's candidates by their ids, where it rendered as the map does.

        An id tells prompts and seeds.
        """
        found: dict[str, list[Path]] = {}
        with contextlib.suppress(PinError):  # a run that is gone is rendered again
            folder = RunFolder(self.folder.path.parent / of_run)
            run = folder.record() if of_run else None
            then = None if run is None else RunConfig.from_record(run.config)
            alike = all(getattr(then, name, None) == getattr(self.config, name) for name in declarations(RenderOptions))
            for candidate in run.candidates if run is not None and alike else ():
                files = [folder.inside(f"{candidate.folder}/{name}") for name in candidate.images]
                if files and all(path.is_file() for path in files):
                    found[candidate.id] = files
        return found

    def _id(self, index: int) -> str:
        return candidate_id([self.space.recipe(self.points[index])], [self.seeds])

    def _request(self, index: int) -> Request:
        return Request(self.space.recipe(self.points[index]), self.seeds, self.config, forked=True)

    def _candidate(self, index: int, files: list[Path]) -> Candidate:
        """Rendered, or with the images of a run's candidate in these files."""
        started, request, evaluations, worker = time.perf_counter(), self._request(index), 0, ""
        recipe, name = request.recipe, self._id(index)
        place = f"{1:08d}/{name}"
        names = image_names(self.seeds, files[0].suffix.lstrip(".") if files else self.config.image_format)
        if files:
            write_files(self.folder.path / place, {name: path.read_bytes() for name, path in zip(names, files)})
        else:
            batch = rendering.render(self.host, recipe, self.seeds, self.config, forked=True)
            self.folder.save_images(self.folder.path / place, batch.images, names, batch.infotexts)
            evaluations, worker = batch.evaluations, batch.worker
        seconds = {"render": time.perf_counter() - started}
        return Candidate(
            1, index, name, self.points[index], recipe.prompt, recipe.negative_prompt, None, None, None, place, names,
            evaluations, seconds=seconds, settings=dict(recipe.settings), worker=worker,
        )  # fmt: skip
