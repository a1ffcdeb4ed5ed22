"""Pin the multiplier of the embedded model's LoRA to an image that was made with it at 0.7.

python -m benchmarks.multiplier --seeds 5 --json

Each seed draws a target of its own; the search begins at 1, renders other seeds, and varies nothing else.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.lora_tags import read_tags
from prompt_pins.headless.opening import open_host
from prompt_pins.host import Recipe
from prompt_pins.run import pin
from prompt_pins.store import Runs

PROMPT = "a large red circle on the left, blue background<lora:prompt-pins-faded:{:g}>"
MADE_WITH = 0.7
TARGET_SEED, SEED = 10_000, 1
JOB = {
    "prompt": PROMPT.format(1),
    "vary": "groups",  # no word is in brackets, so none varies
    "vary_loras": True,
    "steps": 10,
    "batch_size": 4,
    "cfg_scale": 5.0,
    "generations": 6,
    "held_out": 8,
    "gifs": False,
    "plots": False,
}


def open_with_lora() -> HeadlessHost:
    """The embedded model with its LoRA."""
    return open_host(device="cpu", prompt=PROMPT.format(1))


def measure(host: HeadlessHost, seed: int) -> dict[str, Any]:
    """Pin one target, and tell the multiplier that is found."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "target.png")
        config = RunConfig.from_dict({**JOB, "target": [str(target)], "cma_seed": seed, "seed": SEED + 1000 * seed})
        made = host.render(Recipe(PROMPT.format(MADE_WITH)), (TARGET_SEED + seed,), config, forked=False)
        Image.fromarray(made.images[0]).save(target)
        started = time.perf_counter()
        for _ in pin.start(config, host, Runs(Path(folder, "runs"))):
            pass
        seconds = time.perf_counter() - started
        record = Runs(Path(folder, "runs")).find("0").record()
    assert record.held is not None and record.best is not None
    (tag,) = read_tags(record.best.prompt)
    return {
        "seed": seed,
        "found": tag.unet,
        "improvement": record.held.improvement,
        "candidates": len(record.candidates),
        "seconds": seconds,
    }


def main() -> None:
    """Print a line for each seed, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    host = open_with_lora()
    for seed in range(1, arguments.seeds + 1):
        row = measure(host, seed)
        words = f"seed {seed}: {row['found']:.3f}, {row['improvement']:.0%} nearer on unseen seeds"
        print(json.dumps(row) if arguments.json else f"{words}, {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
