"""Searches over few images of a closed-form world, where what counts is the loss on images that were not seen.

    python -m benchmarks.search_noise
    python -m benchmarks.search_noise --idle 7     what words cost that do nothing

Each image seed has its own best weights near the common ones, its own threshold along the way there at which the image
tips over, and its own offset.  A batch's loss is the mean plus the standard deviation of its images' losses, its true
value that of 150 other seeds.  Costs are those of 8 steps: independent batches of plain DEAP, hyperbatches of two roots
of ours (whose images are as independent here as any: what a tree's images have in common is no part of this world).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from deap import cma as deap_cma
from prompt_pins.run.contest import winner
from prompt_pins.sampling.schedule import fork_schedule
from prompt_pins.search import SearchOptions, create
from prompt_pins.search.individual import Individual, Loss
from prompt_pins.search.surface import Surface

from .functions import Array
from .search_curves import first_below
from .search_pinning import DEAP_RADIUS, DEAP_STEP, deap_budget

STEPS, UNSEEN, CONTEST = 8, range(10**6, 10**6 + 150), range(5 * 10**5, 5 * 10**5 + 8)
CASES = ((5, 4), (5, 8), (12, 8))
LEVELS = (0.35, 0.30, 0.26, 0.24, 0.23)
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "Balanced": {"preset": "Balanced"},
    "Balanced, independent draws": {"preset": "Balanced", "draws": "independent"},
    "Balanced, without the simplest finalist": {"preset": "Balanced", "simplify": False},
    "Balanced, whole batches from the start": {"preset": "Balanced", "early_generations": 0},
    "Balanced, half batches from the start": {"preset": "Balanced", "quarter_generations": 0},
    "Balanced, half batches for half of the generations": {"preset": "Balanced", "early_generations": 1000},
    "Balanced, step 0.15": {"preset": "Balanced", "initial_std": 0.15},
    "Balanced, fixed seeds": {"preset": "Balanced", "seed_policy": "fixed"},
    "Quick": {"preset": "Quick"},
    "Quick, without the simplest finalist": {"preset": "Quick", "simplify": False},
    "Quick, rotated seeds": {"preset": "Quick", "seed_policy": "rotated"},
}
Curve = list[tuple[int, float]]


class World:
    """`size` weights that matter and `idle` that do nothing; everything is drawn from `seed`."""

    def __init__(self, size: int, seed: int, idle: int = 0) -> None:
        rng = np.random.Generator(np.random.PCG64([seed, size]))
        self.size, self.seed = size + idle, seed
        self.shape = np.linalg.qr(rng.standard_normal((size, size)))[0] * np.sqrt(np.logspace(0, -1.5, size))
        self.best = np.clip(1.0 + 0.3 * rng.standard_normal(size), 0.2, 1.8)
        self.distance = float(np.linalg.norm(self.best - 1.0))
        self.way = (self.best - 1.0) / self.distance

    def images(self, weights: Array, seeds: Sequence[int]) -> Array:
        """The loss of each seed's image."""
        return np.array([self._image(weights[: self.best.size], seed) for seed in seeds])

    def _image(self, weights: Array, seed: int) -> float:
        rng = np.random.Generator(np.random.PCG64([self.seed, seed, 1]))
        away = (weights - self.best - 0.12 * rng.standard_normal(self.best.size)) @ self.shape
        threshold = self.distance * rng.uniform(0.1, 0.9)
        tipped = 0.2 / (1.0 + np.exp(((weights - 1.0) @ self.way - threshold) / 0.04))
        offset = 0.15 + 0.04 * abs(rng.standard_normal())
        return float(offset + 0.25 * (1.0 - np.exp(-(away @ away) / 0.6)) + tipped)

    def loss(self, weights: Array, seeds: Sequence[int]) -> float:
        """Mean + population standard deviation."""
        losses = self.images(weights, seeds)
        return float(losses.mean() + losses.std())


def run_deap(world: World, batch: int, seed: int) -> Curve:
    """Plain DEAP with the seed's defaults, as in part two."""
    np.random.seed(seed)
    seeds = range(1000 * seed, 1000 * seed + batch)
    centroid = np.clip(1.0 + np.random.uniform(-DEAP_RADIUS, DEAP_RADIUS, world.size), 0.0, 2.0)
    strategy = deap_cma.Strategy(centroid, DEAP_STEP)
    lowest, best, cost, curve = np.inf, np.ones(world.size), 0, []
    while cost < deap_budget(world.size) * batch * STEPS:
        people = strategy.generate(lambda x: Individual(np.clip(x, 0.0, 2.0), Loss()))
        for one in people:
            weights = np.round(np.array(one), 3)
            loss = world.loss(weights, seeds)
            one.fitness.values = (loss,)
            if loss < lowest:
                lowest, best = loss, weights
        strategy.update(people)
        cost += len(people) * batch * STEPS
        curve.append((cost, world.loss(best, UNSEEN)))
    return curve


def run_ours(world: World, batch: int, seed: int, options: Mapping[str, Any]) -> Curve:
    """The search and its contest, as a run's.  options: of the search, and `simplify`."""
    searching = dict(options)
    simplify = searching.pop("simplify", True)
    chosen = SearchOptions(cma_seed=seed, **searching)
    box = np.ones(world.size), np.zeros(world.size), np.full(world.size, 2.0)
    search = create(*box, chosen)
    resolved, rotated = chosen.resolve(world.size), chosen.seed_policy == "rotated"
    early, quarter = resolved.early_generations, resolved.quarter_generations if batch >= 8 else 0
    cost, curve, told = 0, [], []
    while search.stop() is None:
        done = search.generation
        part = batch // 4 if done < quarter else batch // 2 if done < early else batch
        first = 1000 * seed + (batch * done if rotated else 0)
        rows = np.round(search.ask(), 3)
        losses = [world.loss(weights, range(first, first + part)) for weights in rows]
        search.tell(losses, rows)
        merits = [loss - losses[0] if rotated else loss for loss in losses]
        told += [(done, merit, loss, tuple(row)) for merit, loss, row in zip(merits, losses, rows, strict=True)]
        cost += len(rows) * fork_schedule(part, STEPS).cost
        assert search.best is not None
        curve.append((cost, world.loss(search.best[0], UNSEEN)))
    later = sorted((merit, weights) for done, merit, _, weights in told if not rotated or 2 * done >= search.generation)
    answers = [np.round(search.state()["mean"], 3)]
    if simplify:
        done, _, losses, points = zip(*told, strict=True)
        groups = np.array(done) if rotated else np.zeros(len(done), np.int64)
        answers.append(np.round(Surface(points, losses, groups, answers[0]).nearest(*box), 3))
    start = (1.0,) * world.size
    ordered = list(dict.fromkeys([start, *map(tuple, answers), *(weights for _, weights in later[:3])]))
    simplest = ordered.index(tuple(answers[-1])) if simplify else None
    cost += len(answers) * fork_schedule(batch, STEPS).cost + len(ordered) * len(CONTEST) * STEPS
    fits = [world.images(np.array(weights), CONTEST) for weights in ordered]
    return [*curve, (cost, world.loss(np.array(ordered[winner(fits, simplest)]), UNSEEN))]


def value_at(curve: Curve, spent: float) -> float:
    """What a run had after `spent` evaluations; infinite before its first generation."""
    return next((value for cost, value in reversed(curve) if cost <= spent), np.inf)


def lines(worlds: int, names: Sequence[str] = tuple(VARIANTS)) -> Iterator[str]:
    """A Markdown table for each case, of plain DEAP and these variants."""
    for size, batch in CASES:
        deap = [run_deap(World(size, seed), batch, seed) for seed in range(1, worlds + 1)]
        end, budget = (float(np.median([curve[-1][place] for curve in deap])) for place in (1, 0))
        yield f"{size} weights, {batch} images: plain DEAP ends at {end:.3f} after {budget:.0f} evaluations\n"
        yield "| | end | evaluations | to DEAP's end | at a third of DEAP's evaluations |\n|---|---|---|---|---|"
        for name, options in {"plain DEAP": {}, **{name: VARIANTS[name] for name in names}}.items():
            curves = deap
            if options:
                curves = [run_ours(World(size, seed), batch, seed, options) for seed in range(1, worlds + 1)]
            grid = np.linspace(0.0, 1.0, 101)[1:]
            medians = [float(np.median([value_at(curve, budget * share) for curve in curves])) for share in grid]
            hits = [share for share, median in zip(grid, medians, strict=True) if median <= end]
            last, spent = (float(np.median([curve[-1][place] for curve in curves])) for place in (1, 0))
            share = f"{hits[0]:.2f}" if hits else "–"
            yield f"| {name} | {last:.3f} | {spent:.0f} | {share} | {medians[32]:.3f} |"
        yield ""


def idle_lines(worlds: int, idle: int) -> Iterator[str]:
    """A Markdown table: evaluations until Balanced is as low, without words that do nothing and with them."""
    size, batch = CASES[1]
    options = {"preset": "Balanced", "generations": 32}
    curves = [
        [run_ours(World(size, seed, extra), batch, seed, options) for seed in range(1, worlds + 1)]
        for extra in (0, idle)
    ]
    yield f"| loss | {size} weights | and {idle} that do nothing |\n|---|---|---|"
    for level in LEVELS:
        spent = [np.median([first_below(curve, level) for curve in some]) for some in curves]
        yield f"| {level:.2f} | " + " | ".join(f"{median:.0f}" for median in spent) + " |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.search_noise", description=__doc__.split("\n")[0])
    parser.add_argument("--worlds", type=int, default=15)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--idle", type=int, default=0, help="only what so many words cost that do nothing")
    arguments = parser.parse_args()
    idle, worlds = arguments.idle, arguments.worlds
    for line in idle_lines(worlds, idle) if idle else lines(worlds, arguments.variants):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
