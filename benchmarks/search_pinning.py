"""Parts two and three of the benchmark of the search: pinning tasks, and what each method makes of its evaluations.

    python -m benchmarks.search --part two --rows FILE     measure what FILE does not hold yet, row by row
    python -m benchmarks.search --part two --quick         one task, one seed, one method
    python -m benchmarks.search --part three --rows FILE   the settings that people use, and long captions, too

Methods: `random` (uniform in the box), `deap` (plain `deap.cma.Strategy` with the seed's defaults, from a random
centroid within 0.25, for int(16 floor(log N)) generations), both on independent batches, and the presets, each run by
`prompt_pins.run.pin` as a user would, on hyperbatches.  `original` is Balanced from the original, `start` only where it
begins else, known before any image, `even` is Balanced on trees of one root, `whole` with whole batches throughout,
`half` without quarter batches, `early` broken off after 0.17 of plain DEAP's evaluations.
Every method is given the original's batch first.

A curve is the best candidate so far (by the method's own account) against the denoiser evaluations spent (images x
steps), valued by the same loss of an independent batch of 16 seeds that no method sees, the same for all runs; valuing
is not counted.
"""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deap import cma as deap_cma
from prompt_pins.config import PRESETS, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.loss import Target, score_batch
from prompt_pins.run import contest, likely, pin, seeds
from prompt_pins.run.plan import Plan, make_plan
from prompt_pins.run.scoring import loss_options
from prompt_pins.run.targets import read_targets
from prompt_pins.search.individual import Individual, Loss
from prompt_pins.store import Runs
from prompt_pins.store.events import CandidateDone, GenerationDone

from . import search_tasks
from .search_tasks import RENDER, Task

METHODS = ("deap", *reversed(PRESETS), "original", "start", "even", "whole", "half", "early", "random")
PART_THREE = ("deap", "original", "Balanced")
CURVE_SEEDS, HELD_SEEDS, MATTER_SEEDS = 16, 16, 32
COMMON = 0  # the seed whose unseen seeds value every run
DEAP_RADIUS, DEAP_STEP = 0.25, 0.05
EARLY = 0.17  # of plain DEAP's evaluations

Trace = list[tuple[int, float, tuple[float, ...]]]
"""(evaluations spent on it, its loss by the method's own measure, its weights) of every candidate, in order."""

Best = list[tuple[int, tuple[float, ...]]]
"""(evaluations spent so far, weights of the best so far), in order."""

_MATTERS: dict[str, tuple[str, ...]] = {}


@dataclass
class Bench:
    """One task with one seed: its configuration, and what its candidates are worth on unseen seeds."""

    task: Task
    seed: int
    host: HeadlessHost
    config: RunConfig
    plan: Plan
    targets: tuple[Target, ...]

    @classmethod
    def build(cls, task: Task, seed: int, host: HeadlessHost, folder: Path, **changes: Any) -> Bench:
        """Draws the targets into `folder`."""
        render = {name: changes.get(name, value) for name, value in search_tasks.RENDER.items()}
        paths = search_tasks.targets(task, host, folder, render)
        config = search_tasks.config(task, paths, seed=1000 * seed, cma_seed=seed, **changes)
        return cls(task, seed, host, config, make_plan(config, host), read_targets(config, host))

    def plain_loss(self, vector: Sequence[float]) -> tuple[int, float]:
        """(evaluations, loss) of an independent batch on the search's seeds, its loss the seed's for such batches."""
        config = self.config
        row = seeds.search_seeds(config.seed, config.batch_size, 1, "fixed")
        batch = self.host.render(self.plan.space.recipe(vector), row, config, forked=False)
        levels = self.host.levels(config.batch_size, config, forked=False)
        return batch.evaluations, score_batch(batch.images, self.targets, levels, loss_options(config)).loss

    def unseen(self, vector: Sequence[float], count: int, seed: int | None = None) -> tuple[float, tuple[float, ...]]:
        """(loss of an independent batch on unseen seeds, each of its images' mean loss to the targets)."""
        row = seeds.held_out_seeds(self.config.seed if seed is None else seed, count)
        batch = self.host.render(self.plan.space.recipe(vector), row, self.config, forked=False)
        levels = self.host.levels(count, self.config, forked=False)
        scored = score_batch(batch.images, self.targets, levels, loss_options(self.config))
        return scored.loss, tuple(fit for fit, _ in scored.per_image)

    def matters(self) -> tuple[str, ...]:
        """The words with hidden weights that the images depend on, measured once for a task, on the same seeds always.

        The word's hidden weight alone brings the original nearer to the targets, or the hidden prompt without it is
        further from them, by more than two standard errors.
        """
        space, hidden = self.plan.space, self.task.hidden
        if self.task.name in _MATTERS:
            return _MATTERS[self.task.name]

        def fits(weights: Mapping[str, float]) -> np.ndarray:
            vector = [weights.get(word, start) for word, start in zip(space.labels, space.original, strict=True)]
            return np.array(self.unseen(vector, MATTER_SEEDS, seed=COMMON)[1])

        def clear(gain: np.ndarray) -> bool:
            return bool(gain.mean() > 2.0 * gain.std(ddof=1) / math.sqrt(gain.size))

        original, whole = fits({}), fits(hidden)
        found = tuple(
            word
            for word in hidden
            if clear(original - fits({word: hidden[word]})) or clear(fits({**hidden, word: 1.0}) - whole)
        )
        return _MATTERS.setdefault(self.task.name, found)

    def cosine(self, vector: Sequence[float]) -> float | None:
        """Between the weights' changes and the hidden ones', on the words with hidden weights that matter."""
        if not self.task.hidden:
            return None
        space, matters = self.plan.space, self.matters()
        chosen = [(index, self.task.hidden[word]) for index, word in enumerate(space.labels) if word in matters]
        found = np.array([vector[index] - space.original[index] for index, _ in chosen])
        hidden = np.array([weight - 1.0 for _, weight in chosen])
        length = float(np.linalg.norm(found) * np.linalg.norm(hidden))
        return float(found @ hidden) / length if length else 0.0


def random_search(bench: Bench) -> Iterator[np.ndarray]:
    """Uniform in the box, without end."""
    space, rng = bench.plan.space, np.random.Generator(np.random.PCG64(bench.seed))
    while True:
        yield rng.uniform(space.low, space.high)


def deap_budget(size: int) -> int:
    """Candidates of plain DEAP with the seed's defaults; at least 16 generations."""
    return max(16, int(16 * np.floor(np.log(size)))) * int(4 + 3 * np.log(size))


def traced(bench: Bench, vectors: Iterator[np.ndarray], count: int) -> Trace:
    """Score `count` candidates by independent batches."""
    found = []
    for _ in range(count):
        vector = tuple(bench.plan.space.round(next(vectors)))
        found.append((*bench.plain_loss(vector), vector))
    return found


def run_random(bench: Bench) -> tuple[Best, dict[str, Any]]:
    """Random search with half of plain DEAP's candidates."""
    start = [np.array(bench.plan.space.original)]
    points = random_search(bench)
    vectors = (vector for source in (start, points) for vector in source)
    return best_so_far(traced(bench, vectors, deap_budget(bench.plan.space.size) // 2)), {}


def run_deap(bench: Bench) -> tuple[Best, dict[str, Any]]:
    """`deap.cma.Strategy` as it comes, points beyond a bound moved onto it."""
    space = bench.plan.space
    trace = traced(bench, iter([np.array(space.original)]), 1)
    np.random.seed(bench.seed)
    centroid = np.array(space.original) + np.random.uniform(-DEAP_RADIUS, DEAP_RADIUS, space.size)
    strategy = deap_cma.Strategy(np.clip(centroid, space.low, space.high), DEAP_STEP)
    while len(trace) + strategy.lambda_ <= deap_budget(space.size) + 1:
        people = strategy.generate(lambda x: Individual(np.clip(x, space.low, space.high), Loss()))
        generation = traced(bench, iter(np.array(people)), len(people))
        for one, (_, loss, _) in zip(people, generation, strict=True):
            one.fitness.values = (loss,)
        trace += generation
        strategy.update(people)
    return best_so_far(trace), {}


def best_so_far(trace: Trace) -> Best:
    """Whenever a candidate is the best of all before, and at the end."""
    spent, lowest, found = 0, math.inf, []
    for cost, loss, vector in trace:
        spent += cost
        if loss < lowest:
            lowest = loss
            found.append((spent, vector))
    return [*found, (spent, found[-1][1])]


def run_preset(bench: Bench, share: float = math.inf, **changes: Any) -> tuple[Best, dict[str, Any]]:
    """A run as a user's, without its pictures; the contest's evaluations count with its winner.

    share: of plain DEAP's evaluations; the run is broken off after the first generation that ends beyond it.
    """
    values = {**bench.config.to_dict(), "held_out": 0, "gifs": False, "plots": False}
    config = RunConfig.from_dict(
        {**{name: value for name, value in values.items() if name not in BY_PRESET}, **changes}
    )
    with tempfile.TemporaryDirectory() as out:
        limit = share * deap_budget(bench.plan.space.size) * bench.config.batch_size * bench.config.steps
        running = pin.start(config, bench.host, Runs(Path(out)))
        spent = 0
        for event in running:
            spent += event.candidate.evaluations if isinstance(event, CandidateDone) else 0
            if isinstance(event, GenerationDone) and spent > limit:
                running.close()
        record = Runs(Path(out)).find("0").record()
    found: Best = []
    spent = 0
    if record.likely is not None:  # the start is the best so far until the first generation is known
        spent = record.likely.evaluations
        mean = np.array(record.likely.mean or bench.plan.space.original) * bench.plan.space.scale
        found.append((spent, tuple(bench.plan.space.round(mean.tolist()))))
    for generation in record.generations:
        best = tuple(bench.plan.space.round(generation.state["best"]))
        for candidate in record.candidates:
            if candidate.generation == generation.generation:
                spent += candidate.evaluations
                if candidate.weights == best and (not found or best != found[-1][1]):
                    found.append((spent, best))
    spent = record.evaluations
    if record.choice is not None and record.best is not None:
        spent += record.choice.evaluations
        found.append((spent, record.best.weights))
    return [*found, (spent, found[-1][1])], {"reason": record.reason, "generations": len(record.generations)}


def run_start(bench: Bench) -> tuple[Best, dict[str, Any]]:
    """Where Balanced starts: the same for every seed."""
    space = bench.plan.space
    found = likely.measured(bench.config, bench.host, bench.plan.panel, [bench.targets])
    assert found is not None
    mean = np.array(found.mean or space.original) * space.scale
    best = (found.evaluations, tuple(space.round(mean.tolist())))
    return [best, best], {}


BY_PRESET = frozenset(name for values in PRESETS.values() for name in values)
RUNNERS: dict[str, Callable[[Bench], tuple[Best, dict[str, Any]]]] = {
    "random": run_random,
    "deap": run_deap,
    **{name: (lambda bench, name=name: run_preset(bench, preset=name)) for name in PRESETS},
    "even": lambda bench: run_preset(bench, preset="Balanced", fork_policy="even"),
    "start": run_start,
    "original": lambda bench: run_preset(bench, preset="Balanced", start="original"),
    "whole": lambda bench: run_preset(bench, preset="Balanced", early_generations=0),
    "early": lambda bench: run_preset(bench, EARLY, preset="Balanced"),
    "half": lambda bench: run_preset(bench, preset="Balanced", quarter_generations=0),
}


def row(
    task: Task,
    seed: int,
    method: str,
    host: HeadlessHost,
    render: Mapping[str, Any] = RENDER,
    end_alone: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    """One run of a method, measured; its whole curve, or its end alone, which takes less time."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.build(task, seed, host, Path(folder), **render)
        began = time.process_time()
        best, extra = run_preset(bench, **changes) if changes else RUNNERS[method](bench)
        seconds = time.process_time() - began
        best = best[-1:] if end_alone else thinned(best)
        return {"task": task.name, "method": method, "seed": seed, **measured(bench, best, extra), "seconds": seconds}


def thinned(best: Best) -> Best:
    """The best after each quarter more of the evaluations, and at the end: valuing costs evaluations, too."""
    kept: Best = []
    for here, after in zip(best, [*best[1:], None], strict=True):
        if after is None or after[0] >= 1.25 * (kept[-1][0] if kept else 1):
            kept.append(here)
    return kept


def measured(bench: Bench, best: Best, extra: dict[str, Any]) -> dict[str, Any]:
    """The curve, the end and the comparison with the original of a run."""
    spent, pinned = best[-1]
    path = [(0, tuple(bench.plan.space.original)), *best]
    curve = [(cost, bench.unseen(vector, CURVE_SEEDS, seed=COMMON)[0]) for cost, vector in path]
    before, after = (bench.unseen(vector, HELD_SEEDS)[1] for vector in (bench.plan.space.original, pinned))
    gain, low, high = contest.improvement(before, after, seed=bench.seed)
    return {
        "weights": pinned,
        "evaluations": spent,
        "path": path,
        "curve": curve,
        "fits": {"original": before, "pinned": after},
        "improvement": [gain, low, high],
        "cosine": bench.cosine(pinned),
        **extra,
    }


def measure(
    path: Path | None,
    tasks: Sequence[Task],
    methods: Sequence[str],
    count: int,
    render: Mapping[str, Any] = RENDER,
    checkpoint: str = "",
    jobs: int = 1,
    ends: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Every row, those of the file (one JSON object a line) first; each new one is written at once.

    Seeds are the outermost loop.  Rows of another checkpoint are left out.  jobs: processes that share the work.
    ends: methods of which the end alone is valued.
    """
    begin(checkpoint)
    digest = _HOSTS[0].describe()["checkpoint_sha256"]
    kept = path.read_text().splitlines() if path is not None and path.exists() else []
    rows = [found for found in map(json.loads, kept) if found["checkpoint"] == digest]
    done = {(found["task"], found["method"], found["seed"]) for found in rows}
    wanted = [
        (task, seed, method, render, method in ends)
        for seed in range(1, count + 1)
        for task in tasks
        for method in methods
        if (task.name, method, seed) not in done
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, begin, (checkpoint,)) if jobs > 1 else contextlib.nullcontext() as pool:
        for found in pool.imap_unordered(_work, wanted) if pool else map(_work, wanted):
            rows.append({**found, "checkpoint": digest})
            if path is not None:
                with path.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    return rows


_HOSTS: list[HeadlessHost] = []


def begin(checkpoint: str) -> None:
    """Load the model, once in a process."""
    torch.set_num_threads(1)
    _HOSTS[:] = [HeadlessHost(checkpoint, precise=True)]


def _work(wanted: tuple[Task, int, str, Mapping[str, Any], bool]) -> dict[str, Any]:
    task, seed, method, render, end_alone = wanted
    return row(task, seed, method, _HOSTS[0], render, end_alone)
