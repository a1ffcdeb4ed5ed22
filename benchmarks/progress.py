"""Whether the figure of progress tells the truth: against the held-out loss of the same prompts.

    python -m benchmarks.progress --rows FILE     measure what FILE does not hold yet, run by run

Every run is Balanced's on a task of part two, as a user's would be.  After each generation the prompt that the search
takes for its best is valued on seeds that no search sees, the same for all runs of a task.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import pin
from prompt_pins.store import Runs

from .search_pinning import COMMON, Bench
from .search_tasks import TASKS, Task

NAMES = ("colours", "places", "backgrounds", "negative")
STARTS = ("original", "likely")
SMALL = {"steps": 4, "generations": 6}
UNSEEN = 8


def run(task: Task, seed: int, host: HeadlessHost) -> dict[str, Any]:
    """One run: its candidates, and what its best of each generation is worth on unseen seeds."""
    with tempfile.TemporaryDirectory() as folder:
        changes = {"start": STARTS[seed % 2], **SMALL, "held_out": 0, "finalists": 0, "gifs": False, "plots": False}
        bench = Bench.build(task, seed, host, Path(folder), **changes)
        for _ in pin.start(bench.config, host, Runs(Path(folder))):
            pass
        record = Runs(Path(folder)).find("0").record()
        space, done = bench.plan.space, record.generations
        best = [tuple(space.round(generation.state["best"])) for generation in done]
        held = {vector: bench.unseen(vector, UNSEEN, seed=COMMON)[0] for vector in dict.fromkeys(best)}
        return {
            "task": task.name,
            "seed": seed,
            "scale": space.scale,
            "original": space.original,
            "candidates": [(c.generation, c.index, c.weights, c.loss) for c in record.candidates],
            "best": best,
            "held": [held[vector] for vector in best],
            "held_original": bench.unseen(space.original, UNSEEN, seed=COMMON)[0],
        }


def measure(path: Path, count: int) -> list[dict[str, Any]]:
    """`count` runs, those of the file (one JSON object a line) first; each new one is written at once."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    tasks = [task for name in NAMES for task in TASKS if task.name == name]
    wanted = [(tasks[place % len(tasks)], 1 + place // len(tasks)) for place in range(count)]
    done = {(row["task"], row["seed"]) for row in rows}
    host = HeadlessHost(precise=True)
    for task, seed in wanted:
        if (task.name, seed) not in done:
            rows.append(run(task, seed, host))
            with path.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    return rows


def main() -> None:
    """Print the rank correlations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measure(arguments.rows, arguments.runs)


if __name__ == "__main__":
    main()
