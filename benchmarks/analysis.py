"""Do words that fix an attribute rank above filler words?  50 prompts on the embedded model, measured by `analyze`.

python -m benchmarks.analysis --json
python -m benchmarks.analysis --prompts 5 --seeds 8

`above`: the attribute words (colour, shape, size) of a prompt move the image more on the mean than its filler words.
`ranks`: their mean rank is above that of the filler words.  `pairs`: share of the (attribute, filler) pairs of words in
the right order.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.store import Runs
from prompt_pins.words.analyze import AnalysisDone, Word, analyze

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "ring")
SIZES = ("small", "large")
FILLERS = ("nice", "beautiful", "simple", "detailed", "masterpiece", "minimal")


@dataclasses.dataclass(frozen=True)
class Task:
    """A prompt, and which of its words fix an attribute and which mean nothing."""

    prompt: str
    attributes: tuple[str, ...]
    fillers: tuple[str, ...]


def tasks(count: int) -> Iterator[Task]:
    """The first `count` prompts: two rival colours, two rival shapes, two rival sizes, or no rivals, in turn."""
    rng = np.random.default_rng(8)

    def draw(words: tuple[str, ...], number: int) -> list[str]:
        return [str(word) for word in rng.permutation(words)[:number]]

    for index in range(count):
        kind = index % 4
        fillers = draw(FILLERS, 2)
        sizes = draw(SIZES, 2 if kind == 2 else 1 if kind == 3 else 0)
        words = [*sizes, *draw(COLOURS, 2 if kind == 0 else 1), *draw(SHAPES, 2 if kind == 1 else 1)]
        prompt = f"(a:=1) {fillers[0]} {' '.join(words)}, {fillers[1]}"
        yield Task(prompt, tuple(words), tuple(fillers))


def measure(task: Task, host: HeadlessHost, seeds: int, steps: int) -> dict[str, Any]:
    """Analyze one prompt, and compare the ranks of its words."""
    config = RunConfig(prompt=task.prompt, steps=steps, batch_size=8, cfg_scale=5.0)
    words: tuple[Word, ...] = ()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        for event in analyze(config, AnalysisOptions(analysis_seeds=seeds), host, Runs(Path(out))):
            words = event.result.words if isinstance(event, AnalysisDone) else words
    place = {word.label: rank for rank, word in enumerate(words, 1)}
    pairs = [place[a] < place[f] for a in task.attributes for f in task.fillers]
    moved = {word.label: word.image.mean for word in words}
    groups = (task.attributes, task.fillers)
    means = [float(np.mean([moved[word] for word in group])) for group in groups]
    ranks = [float(np.mean([place[word] for word in group])) for group in groups]
    return {
        "prompt": task.prompt,
        "above": means[0] > means[1],
        "ranks": ranks[0] < ranks[1],
        "pairs": float(np.mean(pairs)),
        "image": {label: round(value, 4) for label, value in moved.items()},
        "fillers": list(task.fillers),
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Print a line for each prompt, then the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    host = HeadlessHost(device="cpu")
    found = []
    for task in tasks(given.prompts):
        found.append(measure(task, host, given.seeds, given.steps))
        line = found[-1]
        print(
            json.dumps(line) if given.json else f"{line['above']!s:5}  {line['pairs']:.2f}  {task.prompt}", flush=True
        )
    total = {
        "prompts": len(found),
        "above": float(np.mean([line["above"] for line in found])),
        "ranks": float(np.mean([line["ranks"] for line in found])),
        "pairs": float(np.mean([line["pairs"] for line in found])),
    }
    shares = f"above in {total['above']:.0%} of {total['prompts']} prompts, {total['ranks']:.0%} by mean rank; "
    shares += f"{total['pairs']:.0%} of all pairs"
    print(json.dumps(total) if given.json else shares)


if __name__ == "__main__":
    main()
