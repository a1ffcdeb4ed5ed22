"""Analyses on the command line: of a run's pinned prompt, against one another, interrupted, and beside runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.cli.arguments import merged, placed
from prompt_pins.errors import HostInterrupted
from prompt_pins.store import Measured, Runs
from prompt_pins.words.parts import Part
from prompt_pins.words.rendered import ByImages

from tests.cli.test_inputs import TINY, Command, command
from tests.report.test_pages import Reader

__all__ = ["command"]

SMALL = ["--steps", "1", "--width", "64", "--height", "64", "--batch-size", "4"]
SEEDS = ["--analysis-seeds", "8"]


def told(command: Command, *words: object) -> Any:
    code, printed, errors = command("analyze", *words, *SEEDS, "--json")
    assert code == 0, errors
    return json.loads(printed)


def test_an_interrupted_analysis_goes_on_by_its_number(command: Command) -> None:
    whole = told(command, "a red circle", *SMALL, "--out", "whole")
    measure, calls = ByImages.measure, []

    def stopping(self: ByImages, parts: Sequence[Part], place: int) -> list[Measured]:
        calls.append(place)
        if len(calls) == 2:
            raise HostInterrupted("stopped")
        return measure(self, parts, place)

    with command.patch.context() as patch:
        patch.setattr(ByImages, "measure", stopping)
        code, printed, _ = command("analyze", "a red circle", *SMALL, *SEEDS, "--out", "runs")
    assert code == 1 and "to go on: prompt-pins resume runs/00000000\n" in printed
    assert "the words below were measured before" in Path("runs/00000000/index.html").read_text("utf-8")
    code, printed, _ = command("resume", "0", "--out", "runs")
    assert code == 0 and "circle" in printed
    assert json.loads(Path("runs/00000000/analysis.json").read_bytes())["words"] == whole["words"]
    code, printed, _ = command("resume", "0", "--out", "runs")
    assert code == 0 and "this analysis is finished; its report is drawn again" in printed


def test_a_finished_run_is_measured_against_its_own_target(command: Command) -> None:
    Image.fromarray(np.full((90, 70, 3), 200, np.uint8)).save("target.png")
    mask = np.zeros((90, 70), np.uint8)
    mask[:40] = 255
    Image.fromarray(mask).save("mask.png")
    pinned = ["pin", "a red circle", *TINY, "-g", "2", "--target", "target.png", "--mask", "mask.png"]
    assert command(*pinned, "--out", "runs")[0] == 0
    Path("target.png").unlink()
    Path("mask.png").unlink()
    found = told(command, "--run", "0", "--out", "runs")
    run, record = (Runs(Path("runs")).find(str(number)).record() for number in (0, 1))
    assert run.best is not None and found["config"]["prompt"] == run.best.prompt == record.config["prompt"]
    assert record.config["steps"] == run.config["steps"] and record.target_source == "images"
    assert (record.target_of, run.target_of) == ("00000000", "")
    for name in ("target-00000.png", "mask-00000.png"):
        assert Path("runs/00000001/00000000", name).read_bytes() == Path("runs/00000000/00000000", name).read_bytes()
    wider = told(command, "--run", "0", "--out", "runs", "--width", "128", "--steps", "2")
    assert (wider["config"]["width"], wider["config"]["steps"]) == (128, 2)
    assert "none beside --run" in command.refused("analyze", "a cat", "--run", "0", "--out", "runs")
    assert "a finished run" in command.refused("analyze", "--run", "1", "--out", "runs")
    assert "is an analysis of words" in command.refused("export", "1", "--out", "runs")
    text = "".join(Reader(Path("runs/index.html").read_text("utf-8")).text)
    assert text.index("00000002") < text.index("00000001") < text.index("00000000") and "moves most: " in text


def test_an_analysis_against_another(command: Command) -> None:
    assert command("analyze", "a red circle", *SMALL, *SEEDS, "--out", "runs")[0] == 0
    code, printed, _ = command("analyze", "--against", "0", "--cfg-scale", "2", "--out", "runs")
    assert code == 0 and "changed: CFG scale: 7 → 2" in printed and "comparison: runs/00000001/against-" in printed
    page = Path("runs/00000001/against-00000000.html").read_text("utf-8")
    assert "CFG scale" in page and "../00000000/index.html" in page
    code, printed, _ = command("compare", "0", "1", "--out", "runs", "--json")
    found = json.loads(printed)
    assert code == 0 and found["one_target"] and {row["label"] for row in found["words"]} == {"a", "red", "circle"}
    for words, said in (
        (["--against", "0", "--seed", "5"], "seed: 5 is not allowed; allowed: 1, as in analysis 00000000"),
        (["--against", "0", "--analysis-seeds", "9"], "analysis_seeds: 9"),
        (["other words", "--against", "0"], "words of analysis 00000000"),
        (["--against", "7"], "is not a run"),
    ):
        assert said in command.refused("analyze", *words, "--out", "runs")
    assert command("pin", "a red circle", *TINY, "-g", "1", "--out", "runs")[0] == 0
    assert "the number of an analysis" in command.refused("analyze", "--against", "2", "--out", "runs")
    assert "the number of an analysis" in command.refused("compare", "0", "2", "--out", "runs")


def test_a_file_of_options_beside_an_earlier_run(command: Command) -> None:
    assert command("pin", "a red circle", *TINY, "-g", "1", "--out", "runs")[0] == 0
    Path("prompt.toml").write_text('prompt = "a cat"\n')
    said = command.refused("analyze", "--run", "0", "--config", "prompt.toml", "--out", "runs")
    assert "prompt: 'a cat' is not allowed; allowed: none beside --run" in said
    Path("steps.toml").write_text("steps = 2\nvae = 5\n")
    assert "vae: 5" in command.refused("analyze", "--run", "0", "--config", "steps.toml", "--out", "runs")
    Path("model.toml").write_text("checkpoint = 5\n")
    assert "checkpoint: 5" in command.refused("analyze", "--run", "0", "--config", "model.toml", "--out", "runs")
    Path("steps.toml").write_text("steps = 2\n")
    assert told(command, "--run", "0", "--config", "steps.toml", "--out", "runs")["config"]["steps"] == 2


def test_the_files_of_a_model_are_found_from_anywhere() -> None:
    values = {"prompt": "a cat", "checkpoint": "a.safetensors", "vae": "b.safetensors"}
    for found in (placed(values), merged("a cat", None, {**values, "prompt": None})):
        assert (found.checkpoint, found.vae) == tuple(
            os.path.abspath(name) for name in ("a.safetensors", "b.safetensors")
        )


def test_a_pin_does_not_vary_by_itself(command: Command) -> None:
    assert "vary: 'auto' is not allowed; allowed: words, phrases, groups" in command.refused(
        "pin", "a red circle", "--vary", "auto"
    )


def test_its_own_options_may_stand_in_the_file_and_those_of_the_command_line_win(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "words.toml"
    file.write_text(
        'prompt = "red blue"\nanalysis_step = 0.25\nanalysis_seeds = 99\nsteps = 1\nwidth = 64\nheight = 64\n'
    )
    found = told(command, "--config", file, "--out", "runs")
    assert (found["options"]["analysis_step"], found["options"]["analysis_seeds"]) == (0.25, 8)
    file.write_text('prompt = "red blue"\nanalysis_step = "far"\n')
    code, _, errors = command("analyze", "--config", file, "--out", "none")
    assert code == 2 and "analysis_step" in errors and "far" in errors
