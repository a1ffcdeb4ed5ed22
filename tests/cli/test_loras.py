"""`--loras`: a run goes on with the files that it was rendered with, or says which is missing or another one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from prompt_pins.headless.lora_tags import EMBEDDED_LORAS
from prompt_pins.store import Runs
from safetensors.torch import load_file, save_file

from tests.cli import test_inputs
from tests.cli.test_inputs import TINY, Command, losses, stop_after, unframed

command = test_inputs.command
FADED = EMBEDDED_LORAS / "prompt-pins-faded.safetensors"
PROMPT = "a red circle <lora:faded:0.5>"
WORDS = [PROMPT, *TINY, "-g", "2", "--vary-loras", "--loras", "styles"]


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    """A folder with the LoRA under another name."""
    folder = tmp_path / "styles"
    folder.mkdir()
    shutil.copy(FADED, folder / "faded.safetensors")
    return folder


def test_a_run_goes_on_with_its_own_loras(command: Command, styles: Path) -> None:
    assert command("pin", *WORDS, "--out", "whole")[0] == 0
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", *WORDS, "--out", "runs")
    record = Runs(Path("runs")).find("0").record()
    assert record.state == "stopped" and list(record.host["loras"]) == ["faded"]
    assert record.host["loras_folder"] == str(styles)
    assert command("resume", "0", "--out", "runs")[0] == 0
    assert losses("runs") == losses("whole")
    page = Path("whole/00000000/index.html").read_text()
    assert f"--loras {styles}" in page


def test_what_is_gone_or_another_is_refused_by_name(command: Command, styles: Path) -> None:
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", *WORDS, "--out", "runs")
    path = styles / "faded.safetensors"
    save_file({key: value * 2 for key, value in load_file(path).items()}, path)
    assert "faded.safetensors is another one" in command.refused("resume", "0", "--out", "runs")
    path.rename(styles / "fadded.safetensors")
    assert f"no 'faded' in {styles}; the nearest: fadded" in command.refused("resume", "0", "--out", "runs")
    shutil.copy(FADED, path)
    shutil.move(str(styles), "other place")
    assert "is not a folder" in command.refused("resume", "0", "--out", "runs")
    with command.patch.context() as patch:
        stop_after(patch, 1)
        _, printed, _ = command("resume", "0", "--out", "runs", "--loras", "other place")
    assert "to go on: prompt-pins resume runs/00000000 --loras 'other place'\n" in printed
    journal = Path("runs/00000000/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    del lines[0]["host"]["loras"], lines[0]["host"]["loras_folder"]
    lines[0]["version"] = 1  # as an earlier version wrote it: without numbers and checksums
    journal.write_text("".join(json.dumps(unframed(line)) + "\n" for line in lines))
    assert "which left the LoRA 'faded' out; start a new run" in command.refused("resume", "0", "--out", "runs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a cat <lora:prompt-pins-fade:1>"], "the nearest: prompt-pins-faded"),
        (["a cat <lora:faded:strong>", "--loras", "styles"], "column 7: <lora:faded:strong>: a multiplier is a number"),
        (["a cat <lora:faded:1>", "--loras", "nowhere"], "nowhere is not a folder (it does not exist)"),
        (["a cat <lora:faded:1>", "--checkpoint", "x.safetensors"], "say which folder it is in (--loras)"),
    ],
)
def test_bad_tags_and_folders_are_bad_input(command: Command, styles: Path, words: list[str], said: str) -> None:
    assert said in command.refused("pin", *words)
    assert said in command.refused("analyze", *words)
