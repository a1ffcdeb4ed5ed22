"""What a map tells, worked out from its record and the distances of its candidates, and the events on the way to it."""

from __future__ import annotations

import dataclasses
from typing import Any, Union

import numpy as np

from ..config import MapOptions, RunConfig
from ..errors import StoreError
from ..run import seeds
from ..space import Space, build
from ..space.text import Text
from ..store import Record, RunFolder, events
from . import clusters, naming, plane
from .distances import Distances, averaged
from .naming import Ranges

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Word:
    """A word that sets a cluster apart: how much higher its weight is than in the nearest others, with its interval."""

    label: str
    change: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Candidates that show one picture.

    name: `blue up, yellow down`.  example: the candidate that shows it most surely.  stability: how often two of its
    candidates share a cluster when seeds are drawn anew; None with one seed.  outline: the corners of its hull.
    ranges: boxes round it, from the narrowest to the whole.
    """

    name: str
    size: int
    example: int
    stability: float | None
    words: tuple[Word, ...]
    outline: tuple[int, ...]
    ranges: tuple[Ranges, ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """A candidate on the map.  cluster: -1 for none.  folder: of its images."""

    id: str
    weights: tuple[float, ...]
    prompt: str
    negative_prompt: str
    folder: str
    x: float
    y: float
    cluster: int


@dataclasses.dataclass(frozen=True)
class Part:
    """A word of the prompts.  axis: what moves it, -1 for nothing; weight: the user's own."""

    text: str
    side: str
    axis: int
    weight: float


@dataclasses.dataclass(frozen=True)
class Map:
    """The whole result; places and clusters name one another by number, from 0.

    planned: candidates that the map is to have.  parts: of its prompts, in reading order.  images: file names of each
    candidate's, by seed.  mean: distance of two candidates.
    """

    state: str
    reason: str
    config: RunConfig
    options: MapOptions
    host: dict[str, Any]
    time: str
    of_run: str
    planned: int
    seeds: tuple[int, ...]
    axes: tuple[dict[str, Any], ...]
    parts: tuple[Part, ...]
    images: tuple[str, ...]
    mean: float
    evaluations: int
    places: tuple[Place, ...]
    clusters: tuple[Cluster, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `map.json`."""
        found = dataclasses.asdict(dataclasses.replace(self, config=None, options=None))  # type: ignore[arg-type]
        own = {"config": self.config.to_dict(), "options": dataclasses.asdict(self.options)}
        return {"version": VERSION, **found, **own}


@dataclasses.dataclass(frozen=True)
class MapStarted:
    """The folder is there.  record: what was replayed.  candidates, images, evaluations: of the whole map, at most."""

    folder: RunFolder
    record: Record
    candidates: int
    images: int
    evaluations: int


@dataclasses.dataclass(frozen=True)
class MapDone:
    """All is rendered, or the user stopped it (`state` is "stopped").  reason: in words."""

    state: str
    reason: str


Event = Union[MapStarted, events.CandidateDone, MapDone]


def result(record: Record, pairs: Distances) -> Map:
    """What a record tells so far; the same for the same record and distances.  Raises `StoreError`."""
    config, options = RunConfig.from_record(record.config), MapOptions.from_record(record.options)
    count = len(record.candidates)
    table = averaged(pairs, count)
    weights = np.array([candidate.weights for candidate in record.candidates]).reshape(count, len(record.axes))
    found = clusters.find(pairs, weights)
    points = plane.scaled(table) if count else np.zeros((0, 2))
    places = tuple(
        Place(c.id, c.weights, c.prompt, c.negative_prompt, c.folder, float(x), float(y), int(label))
        for c, (x, y), label in zip(record.candidates, points.round(6), found.labels)
    )
    space = _space(config, record)
    return Map(
        record.state,
        record.reason,
        config,
        options,
        dict(record.host),
        record.ended or record.started,
        record.of_run,
        int(record.plan.get("candidates", count)),
        seeds.search_seeds(config.seed, config.batch_size, 1, config.seed_policy),
        tuple(dataclasses.asdict(axis) for axis in record.axes),
        _parts(space),
        record.candidates[0].images if count else (),
        round(float(table.sum() / max(1, count * (count - 1))), 6),
        record.evaluations,
        places,
        tuple(_cluster(record, space, weights, points, found, number) for number in range(len(found.examples))),
    )


def _space(config: RunConfig, record: Record) -> Space:
    """The space of a map without its host, as the journal tells what that knew.  Raises `StoreError`."""
    settings = {axis.group: axis.original for axis in record.axes if axis.side == "settings"}
    found = build(config, record.plan.get("embeddings", ()), settings)
    if found.labels != [axis.label for axis in record.axes]:
        raise StoreError(f"the axes of this map are not those of its prompt, {found.labels}")
    return found


def _parts(space: Space) -> tuple[Part, ...]:
    text = space.groups[0]
    assert isinstance(text, Text)
    return tuple(
        Part(one.unit.text, one.side, -1 if one.axis is None else one.axis, one.unit.weight) for one in text.units
    )


def _cluster(
    record: Record, space: Space, weights: np.ndarray, points: np.ndarray, found: clusters.Clusters, number: int
) -> Cluster:
    scale = np.array([axis.scale for axis in record.axes])
    rows = [
        Word(record.axes[one.axis].label, *one.in_units(float(scale[one.axis])))
        for one in naming.apart(weights, scale, found.labels, number)
    ]
    own = np.flatnonzero(found.labels == number)
    name = ", ".join(f"{word.label} {'up' if word.change > 0 else 'down'}" for word in rows)
    return Cluster(
        name,
        len(own),
        found.examples[number],
        found.stability[number],
        tuple(rows),
        tuple(int(own[corner]) for corner in plane.hull(points[own])),
        naming.ranges(space, weights, found.labels, number),
    )


def told(found: Map) -> list[str]:
    """What a map found, in lines."""
    if not found.clusters:
        return [f"no clusters in {len(found.places)} candidates"]
    rows = [
        f"picture {number}: {cluster.name or 'no word sets it apart'} ({cluster.size} candidates"
        + (f", holds in {cluster.stability:.0%} of the draws)" if cluster.stability is not None else ")")
        for number, cluster in enumerate(found.clusters, 1)
    ]
    loose = sum(place.cluster < 0 for place in found.places)
    return [*rows, *([f"{loose} candidates in none of them"] if loose else [])]
