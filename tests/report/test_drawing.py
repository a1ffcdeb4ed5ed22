"""GIFs, plots, trees and stats on their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from prompt_pins.report import gif
from prompt_pins.report.images import Thumbs, read_images
from prompt_pins.report.pages import script_json
from prompt_pins.report.quick import QuickPlotter, ticks
from prompt_pins.report.stats import BatchStats, parse_stats, read_stats
from prompt_pins.report.tree import draw_tree
from prompt_pins.report.view import command, words
from prompt_pins.store import Candidate

from tests.patience import HUNG


def picture(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    """A smooth picture, H x W x 3."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]  # type: ignore[misc]
    shift = seed / 7
    return np.asarray((np.stack([x, y, np.abs(np.sin(3 * (x + shift)))], axis=-1) * 255).round(), dtype=np.uint8)


@pytest.mark.parametrize("shared", [True, False])
def test_gif_frames_are_the_images(shared: bool) -> None:
    frames = [picture(seed) for seed in range(4)]
    with Image.open(io.BytesIO(gif.encode_gif(frames, 400, shared))) as image:
        assert image.n_frames == 4 and image.size == (56, 40)  # type: ignore[attr-defined]
        assert image.info["loop"] == 0 and image.info["duration"] == 400
        for place, frame in enumerate(frames):
            image.seek(place)
            difference = np.abs(np.asarray(image.convert("RGB"), dtype=int) - frame)
            assert difference.mean() < (11.5 if shared else 6)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 255))
@settings(max_examples=25)
def test_gif_of_any_size_and_few_colours(height: int, width: int, value: int) -> None:
    frame = np.full((height, width, 3), value, dtype=np.uint8)
    with Image.open(io.BytesIO(gif.encode_gif([frame, 255 - frame], 100))) as image:
        image.seek(1)
        assert np.abs(np.asarray(image.convert("RGB"), dtype=int) - (255 - frame)).max() <= 3


def test_colours_are_nearer_than_a_median_cut() -> None:
    frames = np.stack([picture(seed, 64, 64) for seed in range(4)])
    table, places = gif.reduce_colours(frames)
    assert table.shape == (256, 3) and places.shape == frames.shape[:3]
    tall = Image.fromarray(frames.reshape(-1, 64, 3))
    cut = np.asarray(tall.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB"))
    errors = [np.square(found.astype(float) - frames.reshape(found.shape)).mean() for found in (table[places], cut)]
    assert errors[0] < errors[1]


def test_white_and_black_stay_what_they_are() -> None:
    frames = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    frames[:, 4:] = 255
    table, places = gif.reduce_colours(frames)
    assert (table[places] == frames).all()


@given(st.floats(-100.0, 100.0), st.floats(1e-6, 1e3))
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 6
    for value, text in found:
        assert low - 1e-9 <= value <= low + width + 1e-9
        assert float(text) == pytest.approx(value, abs=1e-3 * width)
    assert len({text for _, text in found}) == len(found)


def test_gif_is_held_below_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gif, "LIMIT", 60_000)
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (128, 128, 3), dtype=np.uint8) for _ in range(150)]
    gif.write_gif(tmp_path / "x.gif", frames, 100)
    assert (tmp_path / "x.gif").stat().st_size <= 60_000 or Image.open(tmp_path / "x.gif").size[0] <= 32


@given(st.integers(1, 300), st.integers(2, 40))
def test_spread_evenly_keeps_order_and_ends(length: int, count: int) -> None:
    kept = gif.spread_evenly(range(length), count)
    assert len(kept) == min(length, count) and kept == sorted(set(kept))
    assert kept[0] == 0 and kept[-1] == length - 1


@given(st.integers(1, 40))
def test_mosaic_holds_every_image_once(count: int) -> None:
    images = [np.full((8, 8, 3), 100 + i, dtype=np.uint8) for i in range(count)]
    seen = gif.mosaic(images, 2000)
    assert {100 + i for i in range(count)} <= set(np.unique(seen).tolist())
    assert all((seen == 100 + i).sum() == 8 * 8 * 3 for i in range(count))


def test_mosaics_of_fewer_images_are_as_large() -> None:
    images = [np.zeros((8, 8, 3), dtype=np.uint8)] * 8
    assert gif.mosaic(images[:4], 96, 8).shape == gif.mosaic(images, 96).shape


def test_thumbs_are_small_and_missing_ones_are_empty(tmp_path: Path) -> None:
    Image.fromarray(picture(1, 400, 300)).save(tmp_path / "a.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    thumbs = Thumbs(tmp_path)
    assert thumbs.get("a.png").startswith("data:image/jpeg;base64,") and len(thumbs.get("a.png")) < 20_000
    assert thumbs.get("none.png") == "" and thumbs.get("torn.png") == ""
    assert len(read_images(tmp_path, ["none.png", "a.png", "torn.png"])) == 1


def test_plots_show_their_data_and_do_not_leak_into_the_next(tmp_path: Path) -> None:
    def candidate(loss: float | None) -> Candidate:
        return Candidate(1, 0, "x", (1.0,), "p", "", loss, loss, None, "f", (), 0)

    few, many = BatchStats(fits=(0.1,), spreads=()), BatchStats(fits=(0.05, 0.2), spreads=(0.1, 0.15))
    plotter = QuickPlotter()
    plotter.candidate(tmp_path / "a.png", candidate(0.1), few)
    plotter.candidate(tmp_path / "b.png", candidate(0.1), many)
    plotter.candidate(tmp_path / "c.png", candidate(0.1), few)
    QuickPlotter().candidate(tmp_path / "d.png", candidate(0.1), few)
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "c.png").read_bytes() == (tmp_path / "d.png").read_bytes()
    assert first != (tmp_path / "b.png").read_bytes()
    for name, stats in (("e", [few, BatchStats()]), ("f", [many, few]), ("g", [few, BatchStats()])):
        plotter.generation(tmp_path / f"{name}.png", 1, [0.1, None] if name != "f" else [0.1, 0.2], stats)
    assert (tmp_path / "e.png").read_bytes() == (tmp_path / "g.png").read_bytes() != (tmp_path / "f.png").read_bytes()


def test_tree_has_every_node_and_branch() -> None:
    levels = ((0, 0, 0, 0, 0), (0, 1, 0, 1, 0), (0, 1, 2, 3, 0), (0, 1, 2, 3, 4))
    tree = draw_tree(levels, ())
    assert tree is not None
    assert len(tree.nodes) == sum(len(set(level)) for level in levels)
    assert len(tree.branches) == len(tree.nodes) - 1
    bottom = [node.x for node in tree.nodes if node.y == max(n.y for n in tree.nodes)]
    assert len(set(bottom)) == 5
    assert draw_tree((), ()) is None and draw_tree(((0, 0), (0,)), ()) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"pairs": None},
        {"pairs": [1], "per_image": [None], "pos_weights": [[1]]},
        {"calculated_loss": "x", "seeds": "x", "neg_weights": 3, "per_level": [{}]},
    ],
)
def test_stats_with_odd_values_are_empty(value: dict[str, object], tmp_path: Path) -> None:
    stats = parse_stats(value)
    assert stats.loss is None and stats.fits == () and stats.parts == {}
    assert read_stats(tmp_path) == BatchStats()


def test_stats_of_the_seed_are_read() -> None:
    stats = parse_stats({"calculated_loss": 0.2, "calculated_loss_list": [0.1, 0.3], "pos_weights": {"cat": 1.2}})
    assert stats.loss == 0.2 and stats.fits == (0.1, 0.3) and stats.parts == {"prompt": (("cat", 1.2),)}


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_script_json_is_harmless_and_whole(value: object) -> None:
    text = str(script_json(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_heat_and_command() -> None:
    found = words((("a", 1.0), ("b", 1.0)), (("a", 1.0), ("b", 1.5)))
    assert [word.changed for word in found] == [False, True] and found[1].tint == 1.0
    line = command({"prompt": "it's $HOME", "steps": 33, "gifs": False, "target": ["a b.png"]})
    assert line == "prompt-pins pin 'it'\"'\"'s $HOME' --no-gifs --steps 33 --target 'a b.png'"
    assert command({"prompt": "-a"}, "/my words") == "prompt-pins pin --embeddings '/my words' -- -a"


RACE = """
import sys, threading
from prompt_pins.report import quick
from prompt_pins.report.lettering import families
faults = []
def drawn(draw):
    while "matplotlib" not in sys.modules: pass
    try: draw()
    except BaseException as error: faults.append(repr(error))
def frames(): quick._candidate_frame(1.0, 1.0), quick._generation_frame(3, 1.0)
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=drawn, args=(draw,)) for draw in (frames, lambda: families("a"))]
for thread in threads: thread.start()
import matplotlib
for thread in threads: thread.join()
frames()
print(faults)
"""


def test_plots_are_drawn_while_another_thread_imports_matplotlib() -> None:
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=HUNG, env=own)
    assert done.returncode == 0 and done.stdout == "[]\n", done.stdout + done.stderr
