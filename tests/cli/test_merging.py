"""`prompt-pins merge`: from two checkpoints to a merged file, also after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.headless.checkpoint import EMBEDDED
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.merge.blocks import as_list, weights_of
from prompt_pins.merge.presets import PRESETS
from prompt_pins.report import merges
from prompt_pins.store import Runs
from prompt_pins.store.folder import save_image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.cli import test_inputs
from tests.cli.test_inputs import TINY, Command, losses, stop_after
from tools import bake_lora

command = test_inputs.command
WORDS = ["a red circle", *TINY, "-g", "2"]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    save_file(bake_lora.baked(), tmp_path / "b.safetensors")
    return tmp_path / "b.safetensors"


def test_a_merge_is_pinned_and_goes_on_where_it_was(command: Command, other: Path) -> None:
    code, printed, errors = command("merge", "", other, *WORDS, "--out", "whole")
    assert code == 0, errors
    assert "pinning 4 merge weights" in printed and "merged: whole/00000000/merged.safetensors" in printed
    with command.patch.context() as patch:
        stop_after(patch, 0)  # in the first candidate
        assert command("merge", "", other, *WORDS, "--out", "runs")[0] == 1
    assert not Path("runs/00000000/merged.safetensors").exists()
    assert command("resume", "0", "--out", "runs")[0] == 0
    assert losses("runs") == losses("whole")
    both = [Path(out, "00000000/merged.safetensors") for out in ("runs", "whole")]
    assert both[0].read_bytes() == both[1].read_bytes()
    record = Runs(Path("whole")).find("0").record()
    assert record.best is not None
    weights = weights_of(record.best.settings)
    with safe_open(both[0], framework="pt") as file:
        recipe = json.loads(file.metadata()["sd_merge_recipe"])
    assert recipe["block_weights"] == weights and len(weights) == 14
    assert f"weights: {as_list(weights)}\n" in Path("runs/00000000/merged.txt").read_text()
    page = Path("whole/00000000/index.html").read_text()
    assert "The pinned merge, block by block" in page and as_list(weights) in page
    told = merges.models(record)
    assert told is not None
    names, gaps = told
    a, b, start, pinned = map(names.index, ("A", "B", "start", "pinned"))
    assert abs(gaps[a, b] - 2 * gaps[a, start]) < 1e-6 and gaps[start, pinned] > 0  # the even merge lies half way
    merges.draw_map(Path("map.png"), record)
    assert Path("map.png").stat().st_size > 2000
    assert both[0].with_suffix(".yaml").is_file()  # a WebUI builds the embedded model by it
    both[0].unlink()
    assert command("resume", "0", "--out", "runs")[0] == 0 and both[0].is_file()
    assert "a run that pinned no merge" in command.refused("analyze", "--run", "0", "--out", "runs")
    export = ["export", "0", "--out", "runs", "--to", "a.safetensors", "--format", "embedding"]
    assert "pinned a merge" in command.refused(*export)

    changed = load_file(other)
    save_file({key: weight * 2 for key, weight in changed.items()}, other)
    both[0].unlink()
    with command.patch.context() as patch:
        stop_after(patch, 1)
        command("merge", "", other, *WORDS, "--out", "third")
    save_file(changed, other)
    assert "merge_with: " in command.refused("resume", "0", "--out", "third")


def test_checkpoints_that_moved_are_named_to_go_on_and_to_write_the_merged_file(command: Command, other: Path) -> None:
    for suffix in (".safetensors", ".yaml"):
        shutil.copy(EMBEDDED.with_suffix(suffix), f"a{suffix}")
    with command.patch.context() as patch:
        stop_after(patch, 0)
        command("merge", "a.safetensors", other, *WORDS, "--out", "runs")
    for place in (Path("a.safetensors"), Path("a.yaml"), other):
        place.rename(place.with_stem(f"{place.stem}2"))
    assert "checkpoint: " in command.refused("resume", "0", "--out", "runs")
    assert "merge_with: " in command.refused("resume", "0", "--out", "runs", "--checkpoint", "a2.safetensors")
    moved = ["--checkpoint", "a2.safetensors", "--merge-with", "b2.safetensors"]
    with command.patch.context() as patch:
        stop_after(patch, 1)
        printed = command("resume", "0", "--out", "runs", *moved)[1]
    assert f"to go on: prompt-pins resume runs/00000000 {' '.join(moved)}\n" in printed
    none = command.refused("resume", "0", "--out", "runs", *moved, "--merge-minus", "c.safetensors")
    assert "merge_minus: 'c.safetensors' is not allowed; allowed: none" in none
    code, printed, errors = command("resume", "0", "--out", "runs", *moved)
    assert code == 0 and "merged: runs/00000000/merged.safetensors" in printed, errors
    Path("runs/00000000/merged.safetensors").unlink()
    assert command("resume", "0", "--out", "runs")[0] == 1
    assert command("resume", "0", "--out", "runs", *moved)[0] == 0
    assert Path("runs/00000000/merged.safetensors").is_file()


def test_bad_orders_are_refused(command: Command, other: Path) -> None:
    assert "merge_with" in command.refused("merge", "")
    assert "prompt" in command.refused("merge", "", other)
    assert "one prompt in quotation marks" in command.refused("merge", "", other, "c.safetensors", "a", "red")
    assert "merge_minus: " in command.refused("merge", "", other, "c.safetensors", "a red circle")
    assert "merge_with: " in command.refused("merge", other, other, "a red circle")
    assert "none beside --webui" in command.refused("merge", "", other, "a", "--webui", "http://127.0.0.1:1")


def test_the_grid_ranks_every_preset_on_common_seeds(command: Command, other: Path) -> None:
    words = ["merge", "", other, "a red circle", *TINY, "--contest-seeds", "2", "--grid", "--out", "grid"]
    assert "target: " in command.refused(*words)
    save_image(Path("target.png"), np.full((64, 64, 3), 200, dtype=np.uint8))
    code, printed, errors = command(*words, "--target", "target.png")
    assert code == 0, errors
    rows = json.loads(Path("grid/merge-grid.json").read_text())
    assert {row["name"] for row in rows} == {"EVEN", "A", "B", *PRESETS} and printed.count("\n") > 2 * len(rows)
    means = [sum(row["fits"]) / 2 for row in rows]
    assert means == sorted(means) and all(row["better"][1] <= row["better"][0] <= row["better"][2] for row in rows)
    assert Path("grid/merge-grid.png").is_file()
    # a second objective, of next to no weight, changes neither the order nor what is nearer than what
    code, _, errors = command(
        *words, "--target", "target.png", "--loss-objectives", "flip", "--loss-objectives", "colour:0.000001"
    )
    assert code == 0, errors
    again = json.loads(Path("grid/merge-grid.json").read_text())
    assert [row["name"] for row in again] == [row["name"] for row in rows]
    for one, other in zip(rows, again):
        assert one["better"] == pytest.approx(other["better"], abs=1e-4)
    assert "payload: " in command.refused(*words, "--piece", "red", "--payload", "a {piece} circle")


def test_a_grid_that_cannot_be_written_or_is_interrupted_renders_no_more(command: Command, other: Path) -> None:
    save_image(Path("target.png"), np.full((64, 64, 3), 200, dtype=np.uint8))
    words = ["merge", "", other, "a red circle", *TINY, "--contest-seeds", "2", "--grid", "--target", "target.png"]
    assert "target.png/merge-grid.png: cannot be written" in command.refused(*words, "--out", "target.png")
    render = HeadlessHost.render

    def interrupted(self: HeadlessHost, *given: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return render(self, *given, **named)

    with command.patch.context() as patch:
        patch.setattr(HeadlessHost, "render", interrupted)
        code, printed, errors = command(*words, "--out", "grid")
    assert (code, printed) == (130, "") and errors.startswith("error: ") and not Path("grid").exists()


def test_the_presets_are_drawn(command: Command) -> None:
    code, printed, _ = command("merge", "--list")
    assert code == 0 and "0,0,0,0,0,0,0.5,1,1,1,0.5,0,0,0,0,0,0.5,1,1,1,0.5,0,0,0,0,0" in printed
    code, printed, _ = command("merge", "", "--list")
    assert code == 0 and "IN00" in printed and "OUT05" in printed and "OUT11" not in printed
