"""`prompt-pins doctor`: what it says of a machine, and that it can say no."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins import __version__
from prompt_pins.cli import doctor
from prompt_pins.host import Batch

from tests.run.painter import Painter

PROGRAM = [sys.executable, "-m", "prompt_pins.cli.main"]


def test_this_machine_can_pin(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "doctor", "--out", str(tmp_path / "runs")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and all(line.startswith("ok  ") for line in lines)
    assert lines[0].startswith(f"ok  prompt-pins: {__version__}, Python ")
    assert "weights act" in lines[-1]
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    words = ["doctor", "--checkpoint", str(tmp_path / "no.safetensors"), "--out", str(tmp_path)]
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("NO  model no.safetensors: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_the_version() -> None:
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("wanted", "installed", "said"),
    [
        (["torch>=2", "deap==1.4.3"], {"torch": "2.1", "deap": "1.4.3"}, ["torch 2.1"]),
        (["torch>=2", "deap==1.4.3"], {"torch": "1.9", "deap": "1.4.3"}, ["NO torch is 1.9, wanted >=2"]),
        (["torch>=2", "deap==1.4.3"], {"torch": "2.1"}, ["NO deap is missing"]),
        (["torch>=2", 'ray>=2; extra == "ray"'], {"torch": "2.1"}, ["torch 2.1", '"prompt-pins[ray]"']),
        (["torch>=2", 'ray>=2; extra == "ray"'], {"torch": "2.1", "ray": "2.60"}, ["torch 2.1", "installed"]),
        (['tomli>=2; python_version < "3"', "torch>=2"], {"torch": "2.1"}, ["torch 2.1"]),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, wanted: list[str], installed: dict[str, str], said: list[str]
) -> None:
    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError
        return installed[name]

    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(doctor, "_extras", lambda: ["ray"])
    found = [f"{'' if one.good else 'NO '}{one.said}" for one in doctor.packages()]
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = doctor.room(tmp_path / "file" / "runs")
    assert not found.good and found.said == f"{tmp_path / 'file'} cannot be written to"
    found = doctor.room(tmp_path / ("x" * 300))
    assert not found.good and "File name too long" in found.said


def test_no_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.room(tmp_path / "runs").good
    monkeypatch.setattr(doctor, "ROOM", 2**80)
    assert "less than" in doctor.room(tmp_path / "runs").said and not doctor.room(tmp_path / "runs").good


@pytest.mark.parametrize(("deaf", "unsteady"), [(False, False), (True, False), (False, True)])
def test_a_host_that_is_deaf_to_weights_or_unsteady_is_found(deaf: bool, unsteady: bool) -> None:
    class Odd(Painter):
        calls = 0

        def render(self, recipe: Any, *words: Any, **more: Any) -> Batch:
            Odd.calls += 1
            level = 40 * (not deaf and "1.4" in recipe.prompt) + Odd.calls * unsteady  # each batch one brighter
            return Batch(np.full((1, 8, 8, 3), level, np.uint8), ("",), 4)

    moved, again = doctor.acting(Odd())
    assert (moved >= doctor.LEAST) == (not deaf)
    assert (again > 0.0) == unsteady
