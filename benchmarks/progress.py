"""Whether the figure of progress tells the truth: against the loss of the same prompts on seeds that no search sees.

    python -m benchmarks.progress --rows FILE     measure what FILE does not hold yet, run by run, and compare

Every run is Balanced's on a task of part two, as a user's would be, in every second one from the original prompt
(`start="original"`).  After each generation the prompt that the search takes for its best is valued on unseen seeds,
the same for all runs.  `figure`: the figure of progress; `losses`: the best's own loss as a share of the original's, as
both were scored, each on the seeds of its generation.

`pooled`: Spearman's correlation with the unseen loss as a share of the original's, over the curves of all runs, each
from its start on, which is 1; `later`: without the starts; `within`: the mean of the correlations within each run, and
`median`: their median; `worse`: generations that look no better than the start; `off`: the root mean square of the
differences.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import pin, progress
from prompt_pins.store import Axis, Candidate, Runs

from .search_pinning import COMMON, Bench
from .search_tasks import TASKS, Task

NAMES = ("colours", "places", "backgrounds", "negative")
STARTS = ("original", "likely")
GENERATIONS, UNSEEN = 6, 8
Row = Mapping[str, Any]


def run(task: Task, seed: int, host: HeadlessHost) -> dict[str, Any]:
    """One run: its candidates, and what its best of each generation is worth on unseen seeds."""
    quiet = {"held_out": 0, "finalists": 0, "gifs": False, "plots": False}
    with tempfile.TemporaryDirectory() as folder:
        start = STARTS[seed % len(STARTS)]
        bench = Bench.build(task, seed, host, Path(folder), start=start, generations=GENERATIONS, **quiet)
        for _ in pin.start(bench.config, host, Runs(Path(folder))):
            pass
        record = Runs(Path(folder)).find("0").record()
    space = bench.plan.space
    best = [tuple(space.round(generation.state["best"])) for generation in record.generations]
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


def measure(path: Path, count: int) -> list[Row]:
    """`count` runs, those of the file (one JSON object a line) first; each new one is written at once."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    tasks = [task for name in NAMES for task in TASKS if task.name == name]
    wanted = [(tasks[place % len(tasks)], 1 + place // len(tasks)) for place in range(count)]
    done = {(row["task"], row["seed"]) for row in rows}
    missing = [(task, seed) for task, seed in wanted if (task.name, seed) not in done]
    host = HeadlessHost(precise=True) if missing else None
    for task, seed in missing:
        assert host is not None
        rows.append(run(task, seed, host))
        with path.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    return rows


def candidates(row: Row, generation: int) -> list[Candidate]:
    """Those up to a generation, as its run had them."""
    return [
        Candidate(number, index, "", tuple(weights), "", "", loss, None, None, "", (), 0)
        for number, index, weights, loss in row["candidates"]
        if number <= generation
    ]


def figure(row: Row, generation: int) -> float:
    """The figure of progress after a generation."""
    axes = [Axis("", start, 0.0, 2.0, scale=scale) for start, scale in zip(row["original"], row["scale"], strict=True)]
    found = progress.share(candidates(row, generation), row["best"][generation - 1], axes, rotated=True)
    return 1.0 if found is None else found


def losses(row: Row, generation: int) -> float:
    """The best's loss over the original's, as they were scored."""
    done = candidates(row, generation)
    best = [c.loss for c in done if np.allclose(c.weights, row["best"][generation - 1])]
    return float((best[-1] or 0.0) / (done[0].loss or 1.0))


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks, of equals their mean."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[places], dtype=np.float64)


def correlation(left: ArrayLike, right: ArrayLike) -> float:
    """Spearman's; 0 where one of them never changes."""
    a, b = (found - found.mean() for found in (ranks(left), ranks(right)))
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length else 0.0


def compared(rows: Sequence[Row], tell: Callable[[Row, int], float]) -> dict[str, float]:
    """How a figure compares with the unseen losses."""
    told = [[tell(row, number) for number in range(1, len(row["best"]) + 1)] for row in rows]
    shares = [[loss / row["held_original"] for loss in row["held"]] for row in rows]
    flat, true, starts = np.concatenate(told), np.concatenate(shares), np.ones(len(rows))
    within = [correlation([1.0, *a], [1.0, *b]) for a, b in zip(told, shares, strict=True)]
    return {
        "pooled": correlation(np.append(flat, starts), np.append(true, starts)),
        "later": correlation(flat, true),
        "within": float(np.mean(within)),
        "median": float(np.median(within)),
        "worse": float((flat >= 1.0).sum()),
        "off": float(np.sqrt(np.mean((flat - true) ** 2))),
    }


def main() -> None:
    """Print one line for each figure, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(arguments.rows, arguments.runs)
    points = sum(len(row["best"]) for row in rows)
    for tell in (figure, losses):
        found = {name: round(value, 3) for name, value in compared(rows, tell).items()}
        print(json.dumps({"figure": tell.__name__, "runs": len(rows), "generations": points, **found}))


if __name__ == "__main__":
    main()
