"""The judge that grades the embedded model must itself be right on pictures whose content is known."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from embedded.judge import judge
from embedded_world import COLOURS, Scene, render, sample_scene
from PIL import Image, ImageFilter

COUNT = 200


def worn(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture as an autoencoder leaves it: blurred a little, with noise."""
    blurred = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.2))
    noise = rng.normal(0.0, 4.0, picture.shape)
    return np.clip(np.rint(np.asarray(blurred) + noise), 0, 255).astype(np.uint8)


def scenes(kinds: tuple[str, ...], pair: bool, count: int) -> list[Scene]:
    rng, found = np.random.default_rng(5), []
    while len(found) < count:
        scene = sample_scene(rng, pair_chance=float(pair))
        if scene.background.kind in kinds:
            found.append(scene)
    return found


@pytest.mark.parametrize(
    ("kinds", "pair", "floor"),
    [(("plain",), False, 0.99), (("striped", "gradient"), False, 0.95), (("plain",), True, 0.97)],
)
def test_judge_reads_rendered_pictures(kinds: tuple[str, ...], pair: bool, floor: float) -> None:
    rng = np.random.default_rng(6)
    verdicts = [judge(worn(render(s), rng), s) for s in scenes(kinds, pair, COUNT)]
    for name in ("colour", "background", "shape", "place"):
        assert np.mean([getattr(v, name) for v in verdicts]) >= floor, name


def test_judge_rejects_pictures_of_other_scenes() -> None:
    rng = np.random.default_rng(7)
    for scene in scenes(("plain",), False, 20):
        thing = scene.things[0]
        others = {
            "colour": next(c for c in COLOURS if c not in (thing.colour, scene.background.colours[0])),
            "shape": "ring" if thing.shape != "ring" else "square",
            "place": "left" if thing.place != "left" else "right",
        }
        for name, value in others.items():
            verdict = judge(worn(render(scene), rng), replace(scene, things=(replace(thing, **{name: value}),)))
            assert not getattr(verdict, name), name


def test_judge_finds_nothing_in_an_empty_picture() -> None:
    scene = scenes(("plain",), False, 1)[0]
    verdict = judge(render(replace(scene, things=())), scene)
    assert (verdict.background, verdict.colour, verdict.shape, verdict.place) == (True, False, False, False)
