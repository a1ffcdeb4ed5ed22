"""Find a merge again from pictures that were made with it; what a change of block weights costs.

python -m benchmarks.merging --seeds 3 --json
python -m benchmarks.merging --cost

A is the embedded model, B the same with its LoRA in the weights.  Each seed draws hidden block weights, as `groups` or
as `curve`, and one target picture.  The search renders that picture's seed and begins at the even merge.  What it finds
is compared with the hidden merge on seeds that neither saw, image by image (mean ꟻLIP), and set against the spread of
the hidden merge's own images.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.headless.merged import MergedHost
from prompt_pins.headless.opening import open_host
from prompt_pins.host import Recipe
from prompt_pins.loss import flip_pairs
from prompt_pins.run import pin
from prompt_pins.space import build
from prompt_pins.store import Runs
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.bake_lora import baked

PROMPT = "a large red circle on the left, blue background"
UNSEEN = tuple(range(5_000, 5_008))
JOB: dict[str, Any] = {
    "prompt": PROMPT,
    "vary_prompt": False,
    "vary_negative": False,
    "steps": 10,
    "batch_size": 1,
    "cfg_scale": 5.0,
    "sampler": "DPM++ 2M",
    "preset": "Quick",
    "seed_policy": "fixed",
    "lambda_": 8,
    "patience": 12,
    "generations": 24,
    "consistency": 0.0,
    "finalists": 0,
    "held_out": 0,
    "gifs": False,
    "plots": False,
}


def open_merged(folder: Path) -> MergedHost:
    """The embedded model and its second checkpoint, which is written into a folder."""
    save_file(baked(), folder / "faded.safetensors")
    host = open_host(device="cpu", merge_with=str(folder / "faded.safetensors"))
    if not isinstance(host, MergedHost):
        raise TypeError(host)
    return host


def measure(host: MergedHost, axes: str, seed: int) -> dict[str, Any]:
    """Hide a merge, find it, and tell how far what was found is from it."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "target.png")
        given = {"merge_with": str(host.sources.paths[1]), "merge_axes": axes, "target": [str(target)]}
        config = RunConfig.from_dict({**JOB, **given, "cma_seed": seed, "seed": 100 * seed})
        space = build(config, settings=host.settings(config))
        hidden = space.recipe(rng.uniform(0.0, 1.0, space.size).tolist())
        Image.fromarray(host.render(hidden, (config.seed,), config, forked=False).images[0]).save(target)
        started = time.perf_counter()
        for _ in pin.start(config, host, Runs(Path(folder, "runs"))):
            pass
        seconds = time.perf_counter() - started
        record = Runs(Path(folder, "runs")).find("0").record()
    best, first = record.best, record.original
    if best is None or first is None:
        raise RuntimeError("nothing was found")
    found, start = (Recipe(PROMPT, settings=tuple(one.settings.items())) for one in (best, first))
    wanted, mine, even = (host.render(one, UNSEEN, config, forked=False).images for one in (hidden, found, start))
    pairs = list(combinations(range(len(UNSEEN)), 2))
    spread = float(flip_pairs(*(wanted[list(side)] for side in zip(*pairs))).mean())
    return {
        "axes": axes,
        "seed": seed,
        "gap": float(flip_pairs(wanted, mine).mean()) / spread,
        "gap_at_the_start": float(flip_pairs(wanted, even).mean()) / spread,
        "weights": float(np.abs(np.subtract([w for _, w in hidden.settings], [w for _, w in found.settings])).mean()),
        "candidates": len(record.candidates),
        "seconds": seconds,
    }


def cost(host: MergedHost, rounds: int = 20) -> dict[str, float]:
    """Milliseconds (medians): all blocks changed, one group changed, and one denoiser call of 8 images."""
    config = RunConfig.from_dict({**JOB, "steps": 1, "batch_size": 8})
    weights = [{name: (place + turn) % 7 / 7 for place, name in enumerate(host.sources.names)} for turn in range(2)]
    took: dict[str, list[float]] = {"all blocks": [], "middle block": [], "denoiser call": []}
    for turn in range(rounds):
        steps = {"all blocks": weights[turn % 2], "middle block": {**weights[turn % 2], "M00": turn / rounds}}
        for name, wanted in steps.items():
            started = time.perf_counter()
            host._blend.put(wanted, "fp16")
            took[name].append(time.perf_counter() - started)
        recipe = Recipe(PROMPT, settings=tuple(steps["middle block"].items()))
        started = time.perf_counter()
        host.render(recipe, range(8), config, forked=False)
        took["denoiser call"].append(time.perf_counter() - started)
    return {name: 1000 * statistics.median(row) for name, row in took.items()}


def main() -> None:
    """Print a line for each seed, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--axes", nargs="+", default=["groups", "curve"])
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        host = open_merged(Path(folder))
        if arguments.cost:
            print(json.dumps(cost(host)))
            return
        for axes in arguments.axes:
            for seed in range(1, arguments.seeds + 1):
                row = measure(host, axes, seed)
                words = f"{axes} {seed}: {row['gap']:.1%} of the hidden merge's spread away on unseen seeds"
                from_start = f"{row['gap_at_the_start']:.0%} at the start"
                line = f"{words}, {from_start}; {row['candidates']} candidates, {row['seconds']:.0f} s"
                print(json.dumps(row) if arguments.json else line, flush=True)


if __name__ == "__main__":
    main()
