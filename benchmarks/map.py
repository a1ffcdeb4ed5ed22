"""Does a map find the pictures of a prompt with two rival words and two rival places, and does pinning to one give it?

python -m benchmarks.map --json
python -m benchmarks.map --prompts 2 --pins 2 --out FOLDER
python -m benchmarks.map --set 3 --json
python -m benchmarks.map --large 1000

Embedded model.  The judge says of each image which colour and which place it shows.  `clear`: candidates all of whose
images show the same.  `rand`: adjusted Rand index (Hubert and Arabie, 1985) of their clusters against what they show,
those in no cluster being one more; `in_clusters`: without those.  `examples`: of each cluster, the share of images on
unseen seeds that show its example's picture when its prompt is rendered as it is.  `pinned`: of each cluster of the
first `--pins` maps, the same after a quick run that pins to it.  `--set`: other prompts and seeds; what
decides was found with the first three in view, and on the last only how mixtures with rare pictures are told.

`--large`: so many candidates of four drawn images: seconds of the distances, of clustering and plane, and of the page,
on one thread, and the page's bytes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prompt_pins.config import MapOptions, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.opening import open_host
from prompt_pins.host import Recipe
from prompt_pins.map import work
from prompt_pins.map.distances import distances
from prompt_pins.map.result import Place, result
from prompt_pins.report import build_map
from prompt_pins.report.images import read_image
from prompt_pins.run import pin, seeds
from prompt_pins.store import Candidate, Record, RunFolder, Runs
from prompt_pins.store.folder import MAP, save_image

sys.path[:0] = [str(Path(__file__).parents[1] / "tools"), str(Path(__file__).parents[1] / "tools" / "embedded")]
from judge import row_background, see  # noqa: E402

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "star", "ring")
PLACES = (("on the", "left", "right"), ("at the", "top", "bottom"))
QUICK = {"preset": "Quick", "generations": 3, "held_out": 10, "finalists": 0, "gifs": False, "plots": False}
Shows = tuple[str, str]
"""(colour, place) of an image."""


SETS = ((3, 0, 0, None), (11, 2, 1, 1000), (29, 3, 3, 3000), (47, 4, 4, 5000))
"""Of each set: the seed that draws pairs of colours, how far shapes and grounds are shifted against the places, and the
image seed of the first prompt, one more for each; None for a run's usual one in all of them."""


def prompts(count: int, chosen: int = 0) -> Iterator[str]:
    """All words but the rivals are frozen.  chosen: the number of the set."""
    drawn, shapes, grounds, _ = SETS[chosen]
    rng = np.random.default_rng(drawn)
    for index in range(count):
        first, second = (str(word) for word in rng.permutation(COLOURS)[:2])
        at, *rivals = PLACES[index % 2]
        shape, ground = SHAPES[(index + shapes) % 5], ("white", "black")[(index + grounds) % 2]
        yield f"(a:=1) {first} {second} ({shape} {at}:=1) {' '.join(rivals)}, ({ground} background:=1)"


def shows(path: Path) -> Shows:
    """What the judge sees in an image."""
    picture = read_image(path)
    assert picture is not None
    return _judged(picture)


def _judged(picture: np.ndarray) -> Shows:
    seen = see(picture, row_background(picture, False))
    return seen.colour, seen.place


def rand(left: Sequence[Any], right: Sequence[Any]) -> float:
    """The adjusted Rand index of two partitions."""

    def pairs(parts: Counter[Any]) -> float:
        return sum(count * (count - 1) / 2 for count in parts.values())

    both, one, other = pairs(Counter(zip(left, right))), pairs(Counter(left)), pairs(Counter(right))
    expected = one * other / max(1.0, len(left) * (len(left) - 1) / 2)
    most = (one + other) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def measure(host: HeadlessHost, config: RunConfig, options: MapOptions, pins: bool, out: Path) -> dict[str, Any]:
    """One prompt's map, its examples on unseen seeds, and runs that pin to its clusters."""
    list(work.start(config, options, host, Runs(out)))
    folder = Runs(out).find("0")
    found = work.drawn(folder)
    build_map(folder.path)
    seen = [[shows(folder.path / place.folder / name) for name in found.images] for place in found.places]
    clear = [number for number, row in enumerate(seen) if len(set(row)) == 1]
    inside = [number for number in clear if found.places[number].cluster >= 0]
    labels = [place.cluster for place in found.places]
    row: dict[str, Any] = {"prompt": config.prompt, "clear": len(clear), "clusters": len(found.clusters)}
    row["none"] = sum(label < 0 for label in labels)
    row["rand"] = rand([seen[i][0] for i in clear], [labels[i] for i in clear])
    row["in_clusters"] = rand([seen[i][0] for i in inside], [labels[i] for i in inside])
    row["stability"] = [cluster.stability for cluster in found.clusters]
    row["names"] = [cluster.name for cluster in found.clusters]
    wanted = [Counter(seen[cluster.example]).most_common(1)[0][0] for cluster in found.clusters]
    row["examples"] = [
        _shown(host, config, found.places[cluster.example], picture) for cluster, picture in zip(found.clusters, wanted)
    ]
    if pins:
        row["pinned"] = [
            _pinned(host, dataclasses.replace(config, **QUICK), folder, number, picture, found.places[cluster.example])
            for number, (cluster, picture) in enumerate(zip(found.clusters, wanted))
        ]
    return row


def _shown(host: HeadlessHost, config: RunConfig, place: Place, wanted: Shows) -> float:
    recipe = Recipe(place.prompt, place.negative_prompt)
    batch = host.render(recipe, seeds.held_out_seeds(config.seed, QUICK["held_out"]), config, True)
    return float(np.mean([_judged(image) == wanted for image in batch.images]))


def _pinned(
    host: HeadlessHost, config: RunConfig, folder: RunFolder, number: int, wanted: Shows, example: Place
) -> float:
    target = (str(folder.path / example.folder),)
    runs = Runs(folder.path.parent)
    list(pin.start(dataclasses.replace(config, target=target, warm_start=f"0/{number + 1}"), host, runs))
    run = runs.find(str(max(runs.numbers())))
    record = run.record()
    assert record.held is not None
    names = record.held.images_original if record.found_nothing else record.held.images_pinned
    return float(np.mean([shows(run.path / name) == wanted for name in names]))


def large(count: int, folder: RunFolder) -> dict[str, Any]:
    """A map of `count` candidates whose images are drawn: a disc of a colour at a place, on noise."""
    rng = np.random.default_rng(0)
    config = RunConfig(prompt="a red blue circle left right on a white background", batch_size=4)
    space = work.points.space_of(config, open_host("", "cpu"))
    wanted = work.points.sampled(space, MapOptions(map_candidates=count), 1)
    y, x = np.mgrid[:128, :128]
    ground = rng.integers(180, 256, (4, 128, 128, 3))
    rows = []
    for index, point in enumerate(wanted):
        weights = dict(zip(space.labels, point))
        colour = (220, 20, 20) if weights["red"] > weights["blue"] else (20, 20, 220)
        middle = (40 if weights["left"] > weights["right"] else 88) + rng.normal(0, 4)
        for seed in range(4):
            image = ground[seed].copy()
            image[(x - middle) ** 2 + (y - 64 - 4 * seed) ** 2 < 24**2] = colour
            save_image(folder.path / f"00000001/{index}/{seed}.png", image.astype(np.uint8))
        recipe, names = space.recipe(point), tuple(f"{seed}.png" for seed in range(4))
        rows.append(Candidate(1, index, str(index), point, recipe.prompt, "", None, None, None,
                              f"00000001/{index}", names, 0))  # fmt: skip
    nothing = Record("finished", "", "", "", config.to_dict(), {}, space.axes, {}, "", (), (), None, (), (), None, None)
    record = dataclasses.replace(nothing, task="map", options={"map_candidates": count}, candidates=tuple(rows))
    started = time.perf_counter()
    pairs = distances(folder, record)
    compared = time.perf_counter()
    found = result(record, pairs)
    folder.save_json(MAP, found.to_json())
    clustered = time.perf_counter()
    page = build_map(folder.path)
    ended = time.perf_counter()
    seconds = {"distances": compared - started, "clustering": clustered - compared, "page": ended - clustered}
    return {"candidates": count, "clusters": len(found.clusters), "bytes": page.stat().st_size, **seconds}


def main() -> None:
    """Print a line for each prompt, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--candidates", type=int, default=128)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--pins", type=int, default=10, help="maps whose clusters are pinned to")
    parser.add_argument("--set", type=int, default=0, choices=range(len(SETS)))
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the maps and runs are kept; none: nowhere")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as beside:
        out = args.out or Path(beside)
        if args.large:
            print(json.dumps(large(args.large, Runs(out).claim())))
            return
        host, rows, first = open_host("", "cpu"), [], SETS[args.set][-1]
        for index, prompt in enumerate(prompts(args.prompts, args.set)):
            options = MapOptions(map_candidates=args.candidates)
            seed = RunConfig.seed if first is None else first + index
            config = RunConfig(prompt=prompt, seed=seed, steps=12, batch_size=args.images, cfg_scale=5.0)
            rows.append(measure(host, config, options, index < args.pins, out / f"{index:02d}"))
            print(json.dumps(rows[-1]) if args.json else rows[-1], flush=True)
    pinned = [share for row in rows for share in row.get("pinned", ())]
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("rand", "in_clusters")}
    means["examples"] = float(np.mean([share for row in rows for share in row["examples"]]))
    print(json.dumps({**means, "pinned": float(np.mean(pinned)) if pinned else None, "pins": len(pinned)}))


if __name__ == "__main__":
    main()
