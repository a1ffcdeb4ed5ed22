"""The benchmark of the search.  Part one: evaluations to a target on closed-form functions.

    python -m benchmarks.search            a table
    python -m benchmarks.search --part two --rows FILE     pinning tasks, `search_pinning.py`
    python -m benchmarks.search --json     the same figures for programs
    python -m benchmarks.search --quick    a small part of it, in seconds

Ours, plain DEAP and pycma start at the same point with the same step size and population (the default
int(4 + 3 log N); 10 N for Rastrigin's function, doubled at each restart), in one process.  An evaluation
counts until the first point whose true value is below the target.  Medians are over seeds; a run that does
not get there within the budget counts as infinitely long.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cma
import deap
import numpy as np
from deap import cma as deap_cma
from prompt_pins.search import SearchOptions, create
from prompt_pins.search.individual import Individual, Loss

from . import functions
from .functions import Array, Problem

STEP = 0.3
TARGET = 1e-8
NOISES = ("none", "relative", "absolute")


class Finished(Exception):
    """The target is reached, or the budget spent."""


class Counter:
    """Evaluates a problem's points and counts them up to the first below the target.

    noise: "relative" multiplies values by exp(N(0, 0.03^2)); "absolute" adds N(0, s^2), s a hundredth of the
    value at the start, and s is the target then.
    """

    def __init__(self, problem: Problem, noise: str, budget: int, seed: int) -> None:
        self.problem, self.noise, self.budget = problem, noise, budget
        self.rng = np.random.Generator(np.random.PCG64([seed, 77]))
        self.level = 0.01 * float(problem.function(problem.start[None])[0])
        self.target = self.level if noise == "absolute" else TARGET
        self.count = 0
        self.success = False

    def __call__(self, points: Array) -> list[float]:
        """Values of (M, N) points; raises `Finished`."""
        values = self.problem.function(points)
        hits = np.flatnonzero(values <= self.target)
        if hits.size:
            self.count += int(hits[0]) + 1
            self.success = True
            raise Finished
        self.count += len(points)
        if self.count >= self.budget:
            raise Finished
        if self.noise == "relative":
            values = values * np.exp(0.03 * self.rng.standard_normal(len(values)))
        elif self.noise == "absolute":
            values = values + self.level * self.rng.standard_normal(len(values))
        return [float(value) for value in values]


def run_ours(problem: Problem, evaluate: Counter, seed: int, population: int, restarts: int) -> None:
    """Prompt Pinning's search, with the learning rates of the presets Balanced and Quick."""
    options = SearchOptions(
        cma_seed=seed,
        patience=0,
        generations=10**6,
        initial_std=STEP,
        seed_policy="fixed",
        rates="tutorial",
        resolution=0.0,
        lambda_=population,
        restarts=restarts,
        restart_start="anywhere",
    )
    search = create(problem.start, problem.low, problem.high, options)
    while search.stop() is None:
        search.tell(evaluate(search.ask()))


def run_deap(problem: Problem, evaluate: Counter, seed: int, population: int, restarts: int) -> None:
    """`deap.cma.Strategy` as it comes; points beyond a bound are moved onto it.  It has no stop and no restarts:
    it is given up where its step size has vanished or its matrix has broken down."""
    del restarts
    np.random.seed(seed)
    given = {"lambda_": population} if population else {}
    strategy = deap_cma.Strategy(problem.start, STEP, **given)
    while 1e-12 < strategy.sigma * strategy.diagD.max() < 1e12:
        individuals = strategy.generate(lambda x: Individual(np.clip(x, problem.low, problem.high), Loss()))
        for individual, value in zip(individuals, evaluate(np.array(individuals)), strict=True):
            individual.fitness.values = (value,)
        strategy.update(individuals)


def run_pycma(problem: Problem, evaluate: Counter, seed: int, population: int, restarts: int) -> None:
    """pycma with its defaults, its bounds and its stop; restarts are its IPOP, the population doubled each time."""
    rng = np.random.Generator(np.random.PCG64(seed))
    start = problem.start
    for _ in range(restarts + 1):
        options: dict[str, Any] = {
            "verbose": -9,
            "verb_log": 0,
            "seed": np.nan,
            "randn": lambda *shape: rng.standard_normal(shape),
        }
        if np.isfinite(problem.low):
            options["bounds"] = [problem.low, problem.high]
        if population:
            options["popsize"] = population
        strategy = cma.CMAEvolutionStrategy(start, STEP, options)
        while not strategy.stop():
            points = strategy.ask()
            strategy.tell(points, evaluate(np.array(points)))
        population = 2 * strategy.popsize
        start = rng.uniform(0.0, 2.0, problem.start.size)


RUNNERS: dict[str, Callable[[Problem, Counter, int, int, int], None]] = {
    "ours": run_ours,
    "deap": run_deap,
    "pycma": run_pycma,
}


@dataclass(frozen=True)
class Case:
    """A function in a dimension, with or without bounds and noise."""

    name: str
    dimension: int
    place: str
    noise: str

    @property
    def budget(self) -> int:
        """Evaluations allowed."""
        scale = {"rastrigin": 40_000, "rosenbrock": 4_000}.get(self.name, 2_500)
        return scale * self.dimension

    @property
    def population(self) -> int:
        """Candidates a generation at first; 0: the default, which is too small for Rastrigin's function."""
        return 10 * self.dimension if self.name == "rastrigin" else 0

    @property
    def restarts(self) -> int:
        """Restarts allowed, each with a doubled population."""
        return 12 if self.name == "rastrigin" else 0


def cases(dimensions: Sequence[int], names: Sequence[str], quick: bool) -> list[Case]:
    """Everything that is measured, noiseless ones first."""
    places = ("unbounded", "edge") if quick else functions.PLACES
    plain = [
        Case(name, dimension, place, "none")
        for dimension in dimensions
        for name in names
        for place in places
        if not (name == "rastrigin" and place == "unbounded")
    ]
    noisy = [
        Case(name, dimension, "inside", noise)
        for dimension in dimensions
        for name in names
        if name in ("sphere", "rotated ellipsoid")
        for noise in NOISES[1:]
    ]
    return plain if quick else plain + noisy


def measure(case: Case, seeds: int) -> dict[str, Any]:
    """Median evaluations (None where most runs fail), successes and CPU time for each optimiser."""
    row: dict[str, Any] = dict(vars(case), budget=case.budget)
    for label, runner in RUNNERS.items():
        counts: list[float] = []
        successes, spent, began = 0, 0, time.process_time()
        for seed in range(1, seeds + 1):
            problem = functions.problem(case.name, case.dimension, seed, case.place)
            counter = Counter(problem, case.noise, case.budget, seed)
            with contextlib.suppress(Finished, np.linalg.LinAlgError):  # plain DEAP's matrix may break down
                runner(problem, counter, seed, case.population, case.restarts)
            successes += counter.success
            spent += counter.count
            counts.append(float(counter.count) if counter.success else np.inf)
        median = float(np.median(counts))
        row[label] = {
            "median": median if np.isfinite(median) else None,
            "successes": successes,
            "counts": [count if np.isfinite(count) else None for count in counts],
            "ms_per_1000": 1e6 * (time.process_time() - began) / spent,
        }
    row["ratio_to_pycma"], row["interval"] = ratio(row["ours"]["counts"], row["pycma"]["counts"])
    return row


def ratio(
    ours: Sequence[float | None], theirs: Sequence[float | None]
) -> tuple[float | None, tuple[float, float] | None]:
    """Ratio of the medians, and its 95 % percentile bootstrap interval; None where a median is infinite."""
    tables = [np.array([np.inf if count is None else count for count in counts]) for counts in (ours, theirs)]
    medians = [float(np.median(counts)) for counts in tables]
    if not np.isfinite(medians).all():
        return None, None
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = [np.median(rng.choice(counts, (4000, len(counts))), axis=1) for counts in tables]
    with np.errstate(invalid="ignore"):
        low, high = np.nanpercentile(drawn[0] / drawn[1], [2.5, 97.5], method="nearest")
    return medians[0] / medians[1], (float(low), min(float(high), 1e9))


def table(rows: Sequence[dict[str, Any]], seeds: int) -> str:
    """The rows as text."""
    lines = [f"{'function':18} {'N':>3} {'bounds':10} {'noise':9} {'ours':>14} {'DEAP':>14} {'pycma':>14}  ours/pycma"]
    for row in rows:
        cells = []
        for label in RUNNERS:
            median, won = row[label]["median"], row[label]["successes"]
            cells.append(("-" if median is None else f"{median:.0f}") + f" ({won}/{seeds})")
        against = ""
        if row["interval"] is not None:
            against = f"{row['ratio_to_pycma']:.2f} ({row['interval'][0]:.2f} to {row['interval'][1]:.2f})"
        lines.append(
            f"{row['name']:18} {row['dimension']:3} {row['place']:10} {row['noise']:9} "
            + " ".join(f"{cell:>14}" for cell in cells)
            + f"  {against}"
        )
    return "\n".join(lines)


def pinning_part(chosen: argparse.Namespace) -> int:
    """The pinning tasks; imports the model only here."""
    from . import search_curves, search_pinning, search_tasks

    three = chosen.part == "three"
    render = search_tasks.USUAL if three else search_tasks.RENDER
    known = search_tasks.TASKS + (search_tasks.CAPTIONS if three else ())
    names = chosen.tasks or (["places"] if chosen.quick else [task.name for task in known])
    usual = ["Quick"] if chosen.quick else search_pinning.PART_THREE if three else search_pinning.METHODS
    rows = search_pinning.measure(
        chosen.rows,
        [task for task in known if task.name in names],
        chosen.methods or usual,
        chosen.seeds or (1 if chosen.quick else 3 if three else 5),
        render,
        chosen.checkpoint,
        chosen.jobs,
        chosen.ends,
    )
    lines = search_curves.summary(rows)
    if chosen.plot is not None:
        search_curves.plot(rows, chosen.plot)
    text = json.dumps({"rows": rows, "summary": lines}, indent=1) if chosen.json else search_curves.table(lines)
    sys.stdout.write(text + "\n")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if without noise ours is clearly (by the whole interval) over 10 % slower than pycma."""
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--part",
        choices=("one", "two", "three"),
        default="one",
        help="two, three: pinning tasks, on the embedded model",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="few dimensions and seeds")
    parser.add_argument("--seeds", type=int, default=0, help="runs of each case (default 11, quick 5)")
    parser.add_argument("--dimensions", type=int, nargs="+", default=None)
    parser.add_argument("--functions", nargs="+", choices=functions.NAMES, default=None)
    parser.add_argument("--rows", type=Path, default=None, help="these parts: a file to go on with, a row a run")
    parser.add_argument("--tasks", nargs="+", default=None, help="these parts: some of the tasks")
    parser.add_argument("--methods", nargs="+", default=None, help="these parts: some of the methods")
    parser.add_argument("--ends", nargs="+", default=[], help="these parts: methods of which the end alone is valued")
    parser.add_argument("--checkpoint", default="", help="these parts: another model than the embedded one")
    parser.add_argument("--jobs", type=int, default=1, help="these parts: processes that share the work")
    parser.add_argument("--plot", type=Path, default=None, help="these parts: draw the curves into this file")
    chosen = parser.parse_args(arguments)
    if chosen.part != "one":
        return pinning_part(chosen)
    dimensions = chosen.dimensions or ([6] if chosen.quick else [8, 20, 60])
    names = chosen.functions or (("sphere", "rotated ellipsoid") if chosen.quick else functions.NAMES)
    seeds = chosen.seeds or (5 if chosen.quick else 11)
    rows = [measure(case, seeds) for case in cases(dimensions, names, chosen.quick)]
    report = {
        "versions": {"pycma": cma.__version__, "deap": deap.__version__, "numpy": np.__version__},
        "seeds": seeds,
        "rows": rows,
    }
    sys.stdout.write((json.dumps(report, indent=1) if chosen.json else table(rows, seeds)) + "\n")
    compared = [row["interval"] for row in rows if row["noise"] == "none"]
    return int(any(interval is not None and interval[0] > 1.1 for interval in compared))


if __name__ == "__main__":
    raise SystemExit(main())
