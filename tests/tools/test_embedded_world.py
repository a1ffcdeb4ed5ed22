"""The world that the embedded model is trained on: its pictures, its captions and their words."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from embedded.captions import DECOY_CHANCE, RIVAL_SLOPE, caption, plain, rival_pair, scene_words, spoken, training_words
from embedded_world import (
    PALETTE,
    PLACES,
    RADII,
    SHAPES,
    Background,
    Scene,
    Thing,
    coverage,
    render,
    sample_scene,
    shape_distance,
)

WHITE = Background("plain", ("white",), (PALETTE["white"],))


def thing(shape: str, radius: float = 30.0) -> Thing:
    return Thing(shape, "red", "large", "center", PALETTE["red"], 64.0, 64.0, radius)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("circle", np.pi * 0.92**2),
        ("square", (2 * 0.82) ** 2),
        ("ring", np.pi * (1.0 - 0.52**2)),
        ("triangle", 1.62**2 / np.sqrt(3.0)),
    ],
)
def test_area_is_the_closed_form(shape: str, area: float) -> None:
    assert coverage(thing(shape)).sum() == pytest.approx(area * 900.0, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_distance_changes_by_at_most_one_per_pixel(shape: str) -> None:
    y, x = np.mgrid[-60:60, -60:60] + 0.5
    distance = shape_distance(shape, x, y, 30.0)
    for axis in (0, 1):
        assert np.abs(np.diff(distance, axis=axis)).max() <= 1.0 + 1e-9


def test_same_generator_same_picture() -> None:
    pictures = [render(sample_scene(np.random.default_rng([1, 2, 3]))) for _ in range(2)]
    assert pictures[0].dtype == np.uint8 and pictures[0].shape == (128, 128, 3)
    assert np.array_equal(*pictures)


def test_things_lie_inside_but_for_a_tip_and_apart() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        scene = sample_scene(rng)
        covers = [coverage(t) for t in scene.things]
        borders = [line.sum() for c in covers for line in (c[0], c[-1], c[:, 0], c[:, -1])]
        assert max(borders) < 12.0
        if len(covers) == 2:
            assert (covers[0] * covers[1]).max() < 0.3
        used = [t.colour for t in scene.things] + list(scene.background.colours)
        assert len(used) == len(set(used))


def test_full_captions_name_every_attribute() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        scene = sample_scene(rng)
        words = caption(scene, rng).replace(",", "").split()
        for item in scene.things:
            assert {item.colour, item.shape, item.place} <= set(words)
        assert {*scene.background.colours, "background"} <= set(words)
        assert all(w.weight == 1.0 for w in scene_words(scene, rng, full=True))


def test_captions_leave_every_attribute_out_at_times() -> None:
    rng = np.random.default_rng(3)
    scene = Scene((thing("circle"),), WHITE)
    texts = [spoken(scene_words(scene, rng)) for _ in range(300)]
    for word in ("red", "circle", "large", "center", "background"):
        share = np.mean([word in text for text in texts])
        assert 0.3 < share < 0.97, word


def test_some_captions_are_empty_for_guidance() -> None:
    rng = np.random.default_rng(4)
    scene = Scene((thing("circle"),), WHITE)
    share = np.mean([not training_words(scene, ("house",), rng) for _ in range(2000)])
    assert share == pytest.approx(0.1, abs=0.03)


def test_the_heavier_rival_is_shown_by_the_stated_chance() -> None:
    rng = np.random.default_rng(5)
    drawn = [rival_pair("red", tuple(PALETTE), rng) for _ in range(16000)]
    pairs = [words for words in drawn if len(words) == 2]
    leads = np.array([first.weight - second.weight for first, second in pairs])
    shown = np.array([first.text == "red" for first, _ in pairs])
    for low, high in ((-0.5, -0.3), (-0.2, -0.05), (0.05, 0.2), (0.3, 0.5)):
        chosen = (leads > low) & (leads < high)
        expected = np.mean(1.0 / (1.0 + np.exp(-RIVAL_SLOPE * leads[chosen])))
        assert shown[chosen].mean() == pytest.approx(expected, abs=0.06)


def test_a_decoy_names_a_wrong_value_in_a_whisper() -> None:
    rng = np.random.default_rng(6)
    drawn = [rival_pair("red", tuple(PALETTE), rng) for _ in range(4000)]
    decoys = [words[0] for words in drawn if len(words) == 1]
    assert len(decoys) / len(drawn) == pytest.approx(DECOY_CHANCE, abs=0.03)
    assert all(word.text != "red" and 0.0 <= word.weight <= 0.2 for word in decoys)


def test_words_and_speech() -> None:
    assert spoken(plain("red circle, left")) == "red circle, left"
    assert set(PLACES) == {"left", "right", "top", "bottom", "center"} and set(RADII) == {"small", "medium", "large"}
