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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.store import Runs
from prompt_pins.words.analyze import analyze
from prompt_pins.words.result import AnalysisDone, Word

from benchmarks.search_tasks import world

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "ring")
SIZES = ("small", "large")
PLACES = ("left", "right", "top", "bottom", "center")
FILLERS = ("nice", "beautiful", "simple", "detailed", "masterpiece", "minimal")
RIVALS = ("colour", "shape", "size", "place", "background", "")


@dataclasses.dataclass(frozen=True)
class Task:
    """A prompt, which of its words fix an attribute and which mean nothing, and a target that the world draws."""

    prompt: str
    attributes: tuple[str, ...]
    fillers: tuple[str, ...]
    target: np.ndarray


def tasks(count: int) -> Iterator[Task]:
    """The first `count` prompts: two rivals of each kind in turn, of which the target has the first, or no rivals.

    Size, place and background are said only where they have rivals, or where nothing has.
    """
    rng = np.random.default_rng(8)
    for index in range(count):
        rivals = RIVALS[index % len(RIVALS)]
        fillers = [str(word) for word in rng.permutation(FILLERS)[:2]]
        colours = iter([str(word) for word in rng.permutation(COLOURS)])
        drawn = {"size": SIZES, "shape": SHAPES, "place": PLACES}
        words = {
            kind: [str(word) for word in rng.permutation(among)[: 2 if kind == rivals else 1]]
            for kind, among in drawn.items()
        }
        words |= {kind: [next(colours) for _ in range(2 if kind == rivals else 1)] for kind in ("colour", "background")}
        said = {
            kind: " ".join(row) if kind in ("colour", "shape", rivals) or not rivals else ""
            for kind, row in words.items()
        }
        place = f" (at the:=1) {said['place']}" if said["place"] else ""
        background = f", {said['background']} (background:=1)" if said["background"] else ""
        thing = " ".join(filter(None, (said["size"], said["colour"], said["shape"])))
        attributes = tuple(word for kind, row in words.items() if said[kind] for word in row)
        prompt = f"(a:=1) {fillers[0]} {thing}{place}{background}, {fillers[1]}"
        yield Task(prompt, attributes, tuple(fillers), _drawn({kind: row[0] for kind, row in words.items()}, rng))


def _drawn(words: Mapping[str, str], rng: np.random.Generator) -> np.ndarray:
    """uint8, H x W x 3."""
    w = world()
    thing = w.make_thing(words["shape"], words["colour"], words["size"], words["place"], rng)
    colour = words["background"]
    picture: np.ndarray = w.render(w.Scene((thing,), w.Background("plain", (colour,), (w.PALETTE[colour],))))
    return picture


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
