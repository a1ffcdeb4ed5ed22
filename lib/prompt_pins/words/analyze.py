"""Which words hold the image and which let it drift, measured directly and without a search.

Each word is raised and lowered alone; what that does is seen in images on the same seeds (`rendered`), or in how
likely the denoiser finds the targets (`likely`).  Works with any host; the parts of a pinned prompt's run are used as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..config import AnalysisOptions, RunConfig
from ..errors import HostInterrupted, PromptError
from ..host import Host
from ..loss import Target
from ..run import seeds
from ..run.plan import make_plan
from ..run.rendering import render
from ..run.scoring import check_loss
from ..run.targets import first_batch_targets, read_targets
from ..space import Space
from ..store import RunFolder, Runs, now
from ..store.folder import ANALYSIS
from .likely import ByLikelihood
from .rendered import ByImages, kept
from .result import INTERRUPTED, Analysis, AnalysisDone, AnalysisStarted, Event, Places, WordMeasured


def analyze(config: RunConfig, options: AnalysisOptions, host: Host, runs: Runs) -> Iterator[Event]:
    """Measure every word that may vary, in a new folder of `runs`.

    Raises `PinError` for input that cannot be used, before a folder is made.
    """
    plan = make_plan(config, host)
    found = {index: _places(plan.space, index, options) for index in range(plan.space.size)}
    movable = {index: places for index, places in found.items() if places}
    if not movable:
        raise PromptError("no word can be raised or lowered: its range holds no other weight that can be printed")
    if options.by == "images":
        check_loss(config, host)
    targets = read_targets(config, host)
    return _work(config, options, host, runs.claim(), plan.space, movable, targets)


def _places(space: Space, index: int, options: AnalysisOptions) -> Places:
    """The vectors with one axis `lowered` and `raised` by the step in its scale, within its range, if that changes it.

    None for a setting by likelihood: it has no part in that.
    """
    axis = space.axes[index]
    if options.by == "likelihood" and axis.side == "settings":
        return {}
    step = options.analysis_step * axis.scale
    places = {"lowered": max(axis.original - step, axis.low), "raised": min(axis.original + step, axis.high)}
    found = {}
    for name, place in places.items():
        vector = list(space.original)
        vector[index] = place
        vector = space.round(vector)
        if vector[index] != axis.original:
            found[name] = vector
    return found


def _work(
    config: RunConfig,
    options: AnalysisOptions,
    host: Host,
    folder: RunFolder,
    space: Space,
    movable: Mapping[int, Places],
    targets: tuple[Target, ...],
) -> Iterator[Event]:
    """All of it.  movable: the axes that are measured; targets: () for the first batch."""
    yield AnalysisStarted(folder, len(movable))
    source = "images" if targets else "batch"
    targets = targets or _first_batch(config, host, space)
    names = kept(folder, "target", [target.pixels for target in targets], config.image_format)
    found = (
        ByLikelihood(config, host, space, targets)
        if options.by == "likelihood"
        else ByImages(config, options, host, space, targets, folder)
    )
    state, reason = "finished", ""
    try:
        for label in found.measured(movable):
            yield WordMeasured(label)
    except HostInterrupted:
        state, reason = "stopped", INTERRUPTED
    ranked = tuple(sorted(found.words(), key=lambda word: -word.image.mean))
    result = Analysis(
        state, reason, config, options, host.describe(), now(), found.seeds, source, names, found.images, found.fit,
        found.spread, ranked, found.hint, found.evaluations,
    )  # fmt: skip
    folder.save_json(ANALYSIS, result.to_json())
    yield AnalysisDone(result)


def _first_batch(config: RunConfig, host: Host, space: Space) -> tuple[Target, ...]:
    """The prompt's own first batch, as a run without a target would take it."""
    row = seeds.search_seeds(config.seed, config.batch_size, 1, config.seed_policy)
    batch = render(host, space.recipe(space.original), row, config, forked=True)
    return first_batch_targets(batch.images, config, host)
