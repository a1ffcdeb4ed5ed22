"""Does a piece of two rival words hold on other prompts when it is pinned on four prompts instead of one?

    python -m benchmarks.payloads --seeds 4
    python -m benchmarks.payloads --seeds 1 --generations 2 --held 4

On the embedded model; each prompt's target is drawn by `tools/embedded_world.py`.  For each seed the piece is pinned
on the four training prompts, and on each of them alone with as many images a candidate (four times the batch).  Then
the original, the four and the one meet on four prompts that neither saw, on seeds that no search saw.

`gain`: how much nearer to the targets of the unseen prompts than the original piece.  `better`: how much nearer the
piece of four prompts is than that of one, as a share of the original's distance, with the 95 % bootstrap interval of
the paired difference (a pair: the same seeds of search and image, over the four prompts).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.config.payloads import PIECE, Payload
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Recipe
from prompt_pins.loss import load_target, score_batch
from prompt_pins.run import contest, pin, seeds
from prompt_pins.run.scoring import loss_options
from prompt_pins.store import Runs

from .search_tasks import RADIUS, world

PIECES = ("yellow blue", "blue")
"""The rival words, and the one that the targets show."""
TRAINING = (
    ("circle", "center", "black"),
    ("star", "left", "white"),
    ("square", "right", "red"),
    ("triangle", "top", "green"),
)
UNSEEN = (
    ("ring", "center", "white"),
    ("circle", "bottom", "red"),
    ("star", "right", "black"),
    ("square", "top", "orange"),
)
RENDER: dict[str, Any] = {"batch_size": 2, "steps": 6, "cfg_scale": 3.0, "contest_seeds": 8, "held_out": 0}
Scene = tuple[str, str, str]


def prompt(scene: Scene) -> str:
    """`a large {piece} star on the left, white background`."""
    shape, place, ground = scene
    where = {"center": "in the center", "left": "on the left", "right": "on the right"}.get(place, f"at the {place}")
    return f"a large {PIECE} {shape} {where}, {ground} background"


def target(scene: Scene, folder: Path) -> str:
    """The path of its drawn target."""
    w, (shape, place, ground) = world(), scene
    thing = w.Thing(shape, PIECES[1], "large", place, w.PALETTE[PIECES[1]], *w.PLACES[place], RADIUS)
    picture = w.render(w.Scene((thing,), w.Background("plain", (ground,), (w.PALETTE[ground],))))
    path = folder / f"{'-'.join(scene)}.png"
    Image.fromarray(picture).save(path)
    return str(path)


def pinned(scenes: Sequence[Scene], seed: int, host: HeadlessHost, folder: Path, **changes: Any) -> str:
    """The piece as it was pinned on these prompts."""
    lines = [Payload(prompt=prompt(scene), target=(target(scene, folder),)).line() for scene in scenes]
    values = {**RENDER, **changes, "payload": lines, "piece": PIECES[0], "seed": 1000 * seed, "cma_seed": seed}
    for _ in pin.start(RunConfig.from_dict({**values, "gifs": False, "plots": False}), host, Runs(folder / "runs")):
        pass
    runs = Runs(folder / "runs")
    best = runs.find(str(runs.numbers()[-1])).record().best
    assert best is not None
    return best.piece


def fits(piece: str, seed: int, held: int, host: HeadlessHost, folder: Path) -> np.ndarray:
    """(unseen prompts, held) losses to their targets of a piece on seeds that no search has seen."""
    found = []
    for scene in UNSEEN:
        config = RunConfig.from_dict({**RENDER, "prompt": prompt(scene).replace(PIECE, piece), "seed": 1000 * seed})
        row = seeds.held_out_seeds(config.seed, held)
        images = host.render(Recipe(config.prompt), row, config, forked=False).images
        loss = score_batch(images, [load_target(target(scene, folder))], None, loss_options(config))
        found.append([fit for fit, _ in loss.per_image])
    return np.array(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print one JSON line a seed and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--held", type=int, default=16)
    parser.add_argument("--generations", type=int, default=8)
    given = parser.parse_args(arguments)
    host, rows = HeadlessHost(), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for seed in range(1, given.seeds + 1):
            alone = TRAINING[(seed - 1) % len(TRAINING)]
            many = pinned(TRAINING, seed, host, folder, generations=given.generations)
            batch = RENDER["batch_size"] * len(TRAINING)
            one = pinned([alone], seed, host, folder, generations=given.generations, batch_size=batch)
            found = np.stack([fits(piece, seed, given.held, host, folder) for piece in (PIECES[0], many, one)])
            shares = found / found[:1].mean(axis=2, keepdims=True)
            rows.append(shares)
            gains = 1.0 - shares[1:].mean(axis=(1, 2))
            said = {"seed": seed, "alone": "-".join(alone), "four": many, "one": one}
            print(json.dumps({**said, "gain of four": round(gains[0], 3), "gain of one": round(gains[1], 3)}))
    shares = np.stack(rows)  # seeds, wordings, prompts, images
    pairs = (shares[:, 2] - shares[:, 1]).mean(axis=1).reshape(-1)
    rng = np.random.default_rng(0)
    low, high = contest.interval(pairs[rng.integers(len(pairs), size=(contest.RESAMPLES, len(pairs)))].mean(axis=1))
    figures = {"better": float(pairs.mean()), "low": low, "high": high, "pairs": len(pairs)}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
