"""Does `analyze --vary auto` find the words that move the image most, for how many of the images?

python -m benchmarks.phrases --json --steps 4
python -m benchmarks.phrases --lists 2 --seeds 8

Tag lists of 40 words on the embedded model, each measured word by word and by `auto`.  `cost`: images of `auto` as a
share of the other's.  `top`: of the 1, 3 and 5 words that move the image most, the share that `auto` has among its
own.  `halves`: the same share between the two halves of the seeds of the first analysis, which is what chance leaves.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.store import Record, Runs
from prompt_pins.store.wordings import shown
from prompt_pins.words.analyze import start

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "star", "ring")
SIZES = ("small", "large")
PLACES = ("left", "right", "top", "bottom", "center")
GROUNDS = ("white", "black")
FILLERS = (
    "masterpiece", "best quality", "highly detailed", "sharp focus", "beautiful", "very simple drawing",
    "minimal design", "soft light", "trending on artstation", "professional", "digital art", "award winning",
    "clean lines", "8k wallpaper", "intricate", "studio lighting", "concept art", "smooth", "elegant composition",
    "vivid", "cinematic", "nice mood", "absurdres", "official art", "depth of field",
)  # fmt: skip
WORDS = 40


def lists(count: int) -> Iterator[str]:
    """The first `count` tag lists: three or four tags that say what is drawn among fillers, 40 words in all."""
    rng = np.random.default_rng(18)
    for _ in range(count):
        colour, shape, size, place, ground = (str(rng.choice(row)) for row in (COLOURS, SHAPES, SIZES, PLACES, GROUNDS))
        tags = [f"{size} {colour} {shape}", f"{ground} background", place]
        for filler in rng.permutation(FILLERS):
            left = WORDS - sum(len(tag.split()) for tag in tags)
            if len(str(filler).split()) <= left:
                tags.append(str(filler))
        yield ", ".join(str(tag) for tag in rng.permutation(tags))


TOP = (1, 3, 5)
Line = dict[str, Any]


def measure(prompt: str, host: HeadlessHost, seeds: int, steps: int) -> Line:
    """Both analyses of one tag list."""
    started = time.perf_counter()
    records = [_record(prompt, host, seeds, steps, vary) for vary in ("words", "auto")]
    words, auto = ({word.label: word.mean for word in shown(record.words)} for record in records)
    halves = [
        {word.label: _part(word.sides, slice(*ends)) for word in shown(records[0].words)}
        for ends in ((0, seeds // 2), (seeds // 2, seeds))
    ]
    return {
        "prompt": prompt,
        "images": [record.rendered for record in records],
        "cost": records[1].rendered / records[0].rendered,
        "top": [common(words, auto, count) for count in TOP],
        "halves": [common(*halves, count) for count in TOP],
        "words": sum(" " not in label for label in auto),
        "moved": {label: round(value, 4) for label, value in sorted(words.items(), key=lambda item: -item[1])},
        "seconds": round(time.perf_counter() - started, 1),
    }


def _record(prompt: str, host: HeadlessHost, seeds: int, steps: int, vary: str) -> Record:
    with tempfile.TemporaryDirectory() as out:
        runs = Runs(Path(out))
        config = RunConfig(prompt=prompt, vary=vary, steps=steps, batch_size=8, cfg_scale=5.0)
        for _ in start(config, AnalysisOptions(analysis_seeds=seeds), host, runs):
            pass
        return runs.find("0").record()


def _part(sides: Mapping[str, Any], seeds: slice) -> float:
    return float(np.mean([side.moved[seeds] for side in sides.values()]))


def common(left: Mapping[str, float], right: Mapping[str, float], count: int) -> float:
    """The share of the `count` largest of one that are among those of the other."""
    tops = [set(sorted(values, key=lambda label: -values[label])[:count]) for values in (left, right)]
    return len(tops[0] & tops[1]) / count


def total(lines: Sequence[Line]) -> Line:
    """Means over all lists."""
    shares = {name: np.mean([line[name] for line in lines], axis=0).round(3).tolist() for name in ("top", "halves")}
    costs = [line["cost"] for line in lines]
    return {"lists": len(lines), "cost": float(np.mean(costs)), "largest cost": max(costs), "top of": TOP, **shares}


def main() -> None:
    """Print a line for each list, then the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--lists", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    given = parser.parse_args()
    host, lines = HeadlessHost(device="cpu"), list[Line]()
    for prompt in lists(given.lists):
        line = measure(prompt, host, given.seeds, given.steps)
        lines.append(line)
        text = f"{line['cost']:.2f}  {line['top']}  {line['seconds']:6.1f} s  {prompt}"
        print(json.dumps(line) if given.json else text, flush=True)
    print(json.dumps(total(lines)))


if __name__ == "__main__":
    main()
