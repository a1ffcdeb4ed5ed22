"""How near does a baked embedding come to its weighted prompt?  Several prompts on the embedded model.

python -m benchmarks.baking --json
python -m benchmarks.baking --rounds 80

`plain`: mean ꟻLIP between the images of the weighted prompt and of the same words without weights, on fresh seeds.
`mean`, `most`: the same for the baked word; `mean` must stay at or below 0.05.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from prompt_pins.config import RunConfig
from prompt_pins.headless.bake import ROUNDS, Bakery, compare
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.inversion import Inversion
from prompt_pins.host import Recipe
from prompt_pins.prompt import parse, render
from prompt_pins.prompt.units import units as units_of

PROMPTS = (
    "a (red:1.3) (blue:0.6) circle, white background",
    "a (red:0.7) (blue:1.4) circle in the center, white background",
    "a (small:1.4) (large:0.6) green square, (white:0.8) background",
    "a yellow (triangle:1.3) (star:0.7), (black:1.2) background",
    "(two:0.7) (three:1.3) purple rings, (left:1.2) (right:0.8)",
    "a (red:1.412) (blue:0.183) circle on a (white:1.25) background",
)


def measure(prompt: str, host: HeadlessHost, job: RunConfig, rounds: int) -> dict[str, Any]:
    """Bake one prompt and compare its images."""
    pair = Recipe(prompt)
    plain = render(parse(prompt), [1.0 for _ in units_of(parse(prompt))])
    before, _ = compare(host, pair, Recipe(plain), [], job)
    started = time.perf_counter()
    baked = Bakery(host, pair, job).bake(rounds)
    seconds = time.perf_counter() - started
    mean, most = compare(host, pair, Recipe("zqpin"), [Inversion("zqpin", baked.vectors)], job)
    return {
        "prompt": prompt,
        "plain": round(before, 4),
        "mean": round(mean, 4),
        "most": round(most, 4),
        "gap": round(baked.gap, 5),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    host = HeadlessHost(device="cpu", precise=True)
    job = RunConfig(prompt="x", steps=given.steps, batch_size=8)
    found = []
    for prompt in PROMPTS[: given.prompts]:
        found.append(measure(prompt, host, job, given.rounds))
        line = found[-1]
        shown = f"{line['plain']:.3f} → {line['mean']:.3f} (at most {line['most']:.3f})  {prompt}"
        sys.stdout.write((json.dumps(line) if given.json else shown) + "\n")
        sys.stdout.flush()
    total = {"prompts": len(found), "worst": max(line["mean"] for line in found)}
    sys.stdout.write((json.dumps(total) if given.json else f"worst mean: {total['worst']:.3f}") + "\n")


if __name__ == "__main__":
    main()
