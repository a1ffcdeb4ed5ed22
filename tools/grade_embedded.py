"""Grade the embedded model: does the picture show what its caption asks for?

Three groups of captions that name every attribute: one thing on a plain background (the grade), one thing on
stripes or a gradient, and two things. Each picture is drawn in `--steps` steps and read by `embedded.judge`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from embedded.captions import scene_words
from embedded.drawing import Sampling, draw_all, load_pipeline
from embedded.judge import judge
from embedded.rivals import DUELS, WEIGHTS, plot_shares, shares
from embedded.words import WordBook
from embedded_world import Scene, sample_scene
from PIL import Image

CHECKPOINT = Path(__file__).parents[1] / "lib/prompt_pins/headless/embedded" / "prompt-pins-embedded.safetensors"
GROUPS = ("plain", "patterned", "pairs")
SHEET_COLUMNS = 12


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--count", type=int, default=300, help="captions of one thing on a plain background")
    parser.add_argument("--extra", type=int, default=100, help="captions of each of the other two groups")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=5.0, help="guidance scale")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of the first pictures here")
    parser.add_argument("--rivals", type=Path, help="also weigh rival words against each other; write the plot here")
    parser.add_argument("--rival-seeds", type=int, default=40, help="pictures per weight and pair of rival words")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


def belongs(scene: Scene, group: str) -> bool:
    if len(scene.things) == 2:
        return group == "pairs"
    return group == ("plain" if scene.background.kind == "plain" else "patterned")


def graded_scenes(group: str, count: int, seed: int) -> list[Scene]:
    """`count` random scenes of a group; never the training's, whose generators take three numbers."""
    rng, scenes = np.random.default_rng([seed, GROUPS.index(group)]), []
    while len(scenes) < count:
        scene = sample_scene(rng, pair_chance=float(group == "pairs"))
        if belongs(scene, group):
            scenes.append(scene)
    return scenes


def contact_sheet(pictures: np.ndarray, path: Path, columns: int = SHEET_COLUMNS) -> None:
    """The first pictures, `columns` to a row, whole rows only."""
    whole = pictures[: len(pictures) // columns * columns]
    rows = [np.concatenate(list(whole[i : i + columns]), axis=1) for i in range(0, len(whole), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows, axis=0)).save(path, optimize=True)


def grade(arguments: argparse.Namespace, pipeline: StableDiffusionPipeline, book: WordBook) -> dict:
    """Share of right attributes by group; writes the contact sheet where asked to."""
    sampling, figures, shown = Sampling(arguments.steps, arguments.cfg), {}, []
    for group in GROUPS:
        count = arguments.count if group == "plain" else arguments.extra
        if not count:
            continue
        scenes = graded_scenes(group, count, arguments.seed)
        rng = np.random.default_rng([arguments.seed, 10 + GROUPS.index(group)])
        captions = [scene_words(scene, rng, full=True) for scene in scenes]
        seeds = [arguments.seed * 10_000 + i for i in range(count)]
        pictures = draw_all(pipeline, captions, seeds, sampling, book)
        verdicts = [asdict(judge(p, s)) for p, s in zip(pictures, scenes, strict=True)]
        figures[group] = {name: float(np.mean([v[name] for v in verdicts])) for name in verdicts[0]} | {"count": count}
        shown.append(pictures[: 2 * SHEET_COLUMNS])
    if arguments.sheet:
        contact_sheet(np.concatenate(shown), arguments.sheet)
    return figures


def weigh_rivals(arguments: argparse.Namespace, pipeline: StableDiffusionPipeline, book: WordBook) -> dict:
    """Shares of each duel's two words by weight; writes the plot."""
    seeds, sampling = list(range(arguments.rival_seeds)), Sampling(arguments.steps, arguments.cfg)
    results = {duel.text: shares(pipeline, duel, seeds, sampling, book) for duel in DUELS}
    plot_shares(results, arguments.rivals)
    return {text: dict(zip(map(str, WEIGHTS), values.tolist(), strict=True)) for text, values in results.items()}


def main() -> None:
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    pipeline, book = load_pipeline(arguments.checkpoint, torch.device(arguments.device)), WordBook()
    figures = grade(arguments, pipeline, book)
    rivals = weigh_rivals(arguments, pipeline, book) if arguments.rivals else {}
    if arguments.json:
        print(json.dumps(figures | ({"rivals": rivals} if rivals else {}), indent=2))
        return
    for group, values in figures.items():
        print(f"{group} ({values['count']})", *(f"{k} {v:.1%}" for k, v in values.items() if k != "count"), sep="  ")
    for text, by_weight in rivals.items():
        print(text, *(f"{w}: {a:.0%}/{b:.0%}" for w, (a, b) in by_weight.items()), sep="  ")


if __name__ == "__main__":
    main()
