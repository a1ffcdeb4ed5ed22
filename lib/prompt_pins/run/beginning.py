"""Where the search of a run begins besides the original prompt: an earlier run, and the user's own candidates.

Imports numpy; never torch.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import RunConfig
from ..errors import OptionError, PromptError, StoreError
from ..host import Host
from ..search import SearchOptions
from ..search.scaled import ScaledSearch
from ..search.warm import WarmStart
from ..space import PRINTED, Space, read
from ..store import Candidate, Record, RunFolder, Runs
from ..store.pictures import Picture, pictures
from .contest import advantages
from .panel import Panel
from .plan import Plan

REPLAYED = 0.0015
"""How far a replayed weight may be off: a printed step, as another machine may round the other way."""


def warm_start(config: RunConfig, space: Space, runs: Runs) -> WarmStart | None:
    """The distribution that an earlier run's best candidates make, or a map's cluster; `None` if not asked for.

    Where each of its generations had image seeds of its own, the best are the furthest below the centre on the same
    seeds, in the search's own units.  Axes are matched by their labels; one that the earlier run did not vary starts at
    its original value.

    Raises `OptionError` for a run that has no word in common or no loss, `StoreError` for none.
    """
    if not config.warm_start:
        return None
    if (cluster := _cluster(config.warm_start, space, runs)) is not None:
        return cluster
    record = runs.find(config.warm_start).record()
    scored = [(candidate.loss, candidate) for candidate in record.candidates if candidate.loss is not None]
    if record.rotated:
        scored = advantages(record.candidates) or scored
    vectors = _matched(space, [axis.label for axis in record.axes], [candidate.weights for _, candidate in scored])
    if vectors is None:
        raise OptionError("warm_start", config.warm_start, "a run with a word in common and at least one loss")
    return WarmStart.from_candidates(vectors, np.array([merit for merit, _ in scored]))


def _matched(space: Space, labels: Sequence[str], rows: Sequence[Sequence[float]]) -> np.ndarray | None:
    """(M, N) the space's vectors of other ones, in the search's own units; None where no label is common."""
    common = [label for label in space.labels if label in labels]
    if not common or not rows:
        return None
    vectors = np.tile(np.array(space.original, dtype=np.float64), (len(rows), 1))
    earlier = np.array(rows, dtype=np.float64)
    for label in common:
        vectors[:, space.labels.index(label)] = earlier[:, labels.index(label)]
    return np.asarray(vectors / space.scale)


def picture(name: str, runs: Runs, field: str) -> tuple[RunFolder, Picture] | None:
    """The map and its cluster that `5/2` names; None for another name.  Raises `OptionError` for a cluster it lacks."""
    before, _, number = name.rpartition("/")
    try:
        folder = runs.find(before) if before and number.isascii() and number.isdecimal() else None
        if folder is None or folder.record().task != "map":
            return None
    except StoreError:
        return None
    found = pictures(folder)
    if not 0 < int(number[:9]) <= len(found):
        raise OptionError(field, name, f"a cluster of map {folder.path.name}, 1 to {len(found)}")
    return folder, found[int(number) - 1]


def _cluster(name: str, space: Space, runs: Runs) -> WarmStart | None:
    """The distribution of a cluster of a map, centred where its images are; None for another name."""
    found = picture(name, runs, "warm_start")
    if found is None:
        return None
    cluster = found[1]
    vectors = _matched(space, cluster.labels, [cluster.weights, *cluster.members])
    if vectors is None:
        raise OptionError("warm_start", name, "a map with a word in common")
    warm = WarmStart.from_candidates(vectors[1:], np.zeros(len(vectors) - 1), share=1.0)
    return dataclasses.replace(warm, mean=vectors[0], proven=True)


def to_json(warm: WarmStart) -> dict[str, Any]:
    """Plain values for the journal: a run goes on even when the earlier one is gone."""
    shape = None if warm.shape is None else warm.shape.tolist()
    known = {"proven": True} if warm.proven else {}
    return {"mean": warm.mean.tolist(), "step_size": warm.step_size, "shape": shape, **known}


def from_json(value: dict[str, Any] | None) -> WarmStart | None:
    """What `to_json` wrote."""
    return None if value is None else WarmStart(**value)


def check_replayed(folder: RunFolder, candidate: Candidate, weights: ArrayLike) -> None:
    """Raises `StoreError` where a run's candidate is not what its search, begun again, asks for in its place."""
    alike = np.shape(weights) == np.shape(candidate.weights)
    if not alike or not np.allclose(candidate.weights, weights, rtol=0.0, atol=REPLAYED):
        place = f"candidate {candidate.index} of generation {candidate.generation}"
        raise StoreError(
            f"{folder.path}: {place} has the weights {list(candidate.weights)}, but this version of Prompt Pinning "
            f"asks for {np.asarray(weights).tolist()}: the run was begun with another version, and goes on with that"
        )


def to_keep(record: Record) -> int | None:
    """How many of a run's candidates count where it goes on, if the last ones failed; None where they did not.

    Those are done again, as if they had never been: now the host may be well.
    """
    losses = [candidate.loss for candidate in record.candidates]
    failed = next((count for count, loss in enumerate(reversed(losses)) if loss is not None), len(losses))
    if record.by_eye:  # what was ranked beside them stays as it was seen
        ranked = max((c.generation for c in record.candidates if c.loss is not None), default=0)
        failed = min(failed, sum(c.generation > ranked for c in record.candidates))
    return len(losses) - failed if failed and record.choice is None else None


def search_options(config: RunConfig) -> SearchOptions:
    """The search's share of a configuration."""
    names = (field.name for field in dataclasses.fields(SearchOptions))
    return SearchOptions(**{name: getattr(config, name) for name in names})


def injected(config: RunConfig, panel: Panel, embeddings: Collection[str]) -> list[list[float]]:
    """The weights of the user's own candidates: the words of the prompt with other weights, as text.

    A negative prompt may follow after ###.  Of a run with a piece the words are the piece's, of other payloads the
    first one's.
    embeddings: the names that the host knows.  Raises `OptionError` where the words differ, and for weights that the
    search cannot try: beyond the bounds, or of a word that does not vary.
    """
    found, space = [], panel.shown
    usual = "" if panel.piece else panel.jobs[0].negative_prompt
    for text in config.inject:
        positive, *rest = re.split(r"\s*###\s*", text, maxsplit=1)
        try:
            vector = read(config, space, (positive, rest[0] if rest else usual), embeddings)
        except PromptError as error:
            raise OptionError("inject", text, str(error)) from error
        for axis, value in zip(space.axes, vector):
            if not axis.low - PRINTED < value < axis.high + PRINTED:
                raise OptionError("inject", text, f"for {axis.label!r} the weights {axis.low:g} to {axis.high:g}")
        found.append(vector)
    return found


def search(config: RunConfig, host: Host, plan: Plan, warm: WarmStart | None, counted: bool = True) -> ScaledSearch:
    """The search of a run as it begins.  Raises `OptionError` for options that do not fit the prompt.

    counted: whether it knows how many generations of smaller batches the plan has.  The runs of earlier versions went
    by the options' numbers, also where batches were too small to be halved.
    """
    space = plan.space
    own = injected(config, plan.panel, host.embeddings())
    options = search_options(config)
    if counted:
        options = dataclasses.replace(
            options, quarter_generations=plan.quarter_generations, early_generations=plan.early_generations
        )
    found = ScaledSearch(space.original, space.low, space.high, space.scale, options, warm)
    known = [] if warm is None or not warm.proven else [(warm.mean * space.scale).tolist()]
    found.inject([*known, *own])
    return found
