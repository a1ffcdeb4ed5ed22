"""What several workers are worth: python -m benchmarks.workers [--json]

A host that sleeps as long as a GPU would take; its images and losses are made beforehand. The best that whole
generations allow is the longest worker's time of each, with batches of the same lengths, the longest ones first.
With --engine the embedded model on Ray, one worker and two, each held to one core (needs two free cores).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import heapq
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.host import Batch, Host, Misfits, Recipe, Request
from prompt_pins.run import pin
from prompt_pins.store import Runs, events
from prompt_pins.workers.giving import Worker
from prompt_pins.workers.pool import Pool

SECONDS, JITTER = 0.5, 0.2
WORKERS, POPULATION, GENERATIONS = (1, 2, 4, 8, 16), 16, 6
PREDICTED = (10, 16, 32)
SIDE = 16
MADE: dict[bool, Any] = {}


class Sleeper:
    """One worker.  spent: its own computing time; asleep: (when it began, seconds) of its batches."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.spent = seconds, 0.0
        self.asleep: list[tuple[int, float]] = []

    def describe(self) -> dict[str, Any]:
        return {"name": "sleeper", "version": "1", "checkpoint": "none"}

    def embeddings(self) -> tuple[str, ...]:
        return ()

    def settings(self, job: RenderOptions) -> dict[str, float]:
        return {}

    def size(self, job: RenderOptions) -> tuple[int, int]:
        return SIDE, SIDE

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        return ((0,) * batch_size, tuple(range(batch_size)))

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        return batch_size * job.steps

    def misfits(self, *_: Any) -> Misfits | None:
        return None

    def tagger(self) -> None:
        return None

    def interrupted(self) -> bool:
        return False

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        return self.render_scored(Request(recipe, tuple(seeds), job, forked))

    def render_scored(self, request: Request) -> Batch:
        started, began = time.thread_time(), time.perf_counter()
        digest = hashlib.sha256(repr((request.recipe, request.seeds)).encode()).digest()
        rng = np.random.default_rng(list(digest))
        images, texts, loss, files = made(request)
        loss = loss and dataclasses.replace(loss, loss=rng.uniform())
        seconds = self.seconds * (1 + JITTER * rng.uniform(-1, 1))
        self.spent += time.thread_time() - started
        time.sleep(max(0.0, began + seconds - time.perf_counter()))
        self.asleep.append((began, time.perf_counter() - began))
        return Batch(images, texts, len(request.seeds), loss=loss, files=files)


def made(request: Request) -> tuple[np.ndarray, tuple[str, ...], Any, tuple[bytes, ...]]:
    """Images, infotexts, loss and files, which other machines would make: made once."""
    known = request.judge is not None
    if known not in MADE:
        images = np.random.default_rng(1).integers(0, 255, (len(request.seeds), SIDE, SIDE, 3), dtype=np.uint8)
        texts = tuple(f"{request.recipe.prompt}\nSeed: {seed}" for seed in request.seeds)
        loss = None if request.judge is None else request.judge(images)
        MADE[known] = images, texts, loss, () if request.pack is None else request.pack(images, texts)
    return MADE[known]


def best(lengths: Sequence[float], workers: int) -> float:
    """Seconds of a generation, the longest batches first, each to whoever is free."""
    free = [0.0] * workers
    for length in sorted(lengths, reverse=True):
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def config(population: int, generations: int, folder: Path) -> RunConfig:
    """A run whose target is an image in a folder, so that nothing is rendered before the search."""
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(folder / "target.png")
    return RunConfig(
        prompt="a red blue circle, white background", target=(str(folder / "target.png"),), steps=1, batch_size=8,
        lambda_=population, generations=generations, seed_policy="fixed", start="original", early_generations=0,
        held_out=0, finalists=0, loss_objectives=("colour",),
    )  # fmt: skip


def ran(host: Host, settings: RunConfig, out: Path) -> dict[str, float]:
    """Seconds of the search, of computing in this thread, and of computing in all threads of this process."""
    marks: list[float] = []
    for event in pin.start(settings, host, Runs(out)):
        if isinstance(event, events.TargetReady):
            marks.append(time.perf_counter())
            began, own = time.process_time(), time.thread_time()
        elif isinstance(event, events.GenerationDone):
            marks.append(time.perf_counter())
            spent, own_spent = time.process_time() - began, time.thread_time() - own
    return {"wall": marks[-1] - marks[0], "cpu": spent, "driver": own_spent}


def measured(workers: int, seconds: float = SECONDS, generations: int = GENERATIONS) -> dict[str, Any]:
    """One pool of sleepers."""
    sleepers = [Sleeper(seconds) for _ in range(workers)]
    pool = Pool([Worker(f"w{index}", host) for index, host in enumerate(sleepers)])
    with tempfile.TemporaryDirectory() as out:
        found = ran(pool, config(POPULATION, generations, Path(out)), Path(out) / "runs")
    pool.close()
    asleep = sorted(pair for host in sleepers for pair in host.asleep)
    rows = [[seconds for _, seconds in asleep[POPULATION * i : POPULATION * (i + 1)]] for i in range(generations)]
    allowed = sum(best(row, workers) for row in rows)
    count = generations * POPULATION
    saving = found["cpu"] - found["driver"] - sum(host.spent for host in sleepers)
    return {
        "workers": workers,
        "wall_s": found["wall"],
        "best_s": allowed,
        "share_of_best": min(allowed / found["wall"], 1.0),
        "driver_ms_per_candidate": 1000 * found["driver"] / count,
        "saving_ms_per_candidate": 1000 * saving / count,
    }


def predicted(population: int, workers: int, rng: np.random.Generator) -> float:
    """The speed-up that a barrier allows, of batches of such lengths."""
    rows = SECONDS * (1 + JITTER * rng.uniform(-1, 1, (200, population)))
    return float(rows.sum() / sum(best(row, workers) for row in rows.tolist()))


def engine(workers: int) -> float:
    """Seconds of a run of the embedded model on Ray, without opening it."""
    import ray
    from prompt_pins.cli import crew
    from prompt_pins.workers import cluster
    from prompt_pins.workers.bench import Opening

    os.environ.update(cluster.SETTINGS)
    ray.init(address="local", num_cpus=workers, include_dashboard=False, configure_logging=False, log_to_driver=False)
    pool = cluster.open_cluster("local", Opening(functools.partial(crew.engine, device="cpu")))
    while len(pool.workers) < workers:
        pool.workers += pool._recruit()
        time.sleep(0.1)
    with tempfile.TemporaryDirectory() as out:
        settings = dataclasses.replace(config(8, 3, Path(out)), steps=10, loss_objectives=("flip",))
        seconds = ran(pool, settings, Path(out) / "runs")["wall"]
    pool.close()
    ray.shutdown()
    return seconds


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    found: dict[str, Any] = {"sleeping": [measured(count, arguments.seconds) for count in WORKERS]}
    found["predicted"] = {
        population: {count: round(predicted(population, count, rng), 2) for count in WORKERS}
        for population in PREDICTED
    }
    if arguments.engine:
        one, two = engine(1), engine(2)
        found["engine"] = {"one_s": one, "two_s": two, "speed_up": one / two}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for row in found["sleeping"]:
        print("  ".join(f"{name} {value:.3g}" for name, value in row.items()))
    for name in ("predicted", "engine"):
        print(name, found.get(name, "not measured"))


if __name__ == "__main__":
    main()
