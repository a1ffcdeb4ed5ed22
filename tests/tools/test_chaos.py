"""A little chaos, in a process of its own: it forks, and so may have one thread only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
ROOT = Path(__file__).parents[2]


def chaos(*words: str) -> str:
    """What the tool printed.  Fails where something was lost."""
    paths = os.pathsep.join([str(ROOT / "lib"), str(ROOT)])
    command = [sys.executable, "-m", "tools.chaos", "--seed", "1", *words]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_kill_leaves_goes_on_to_the_same_end() -> None:
    assert "kills: 3" in chaos("--kills", "3", "--full", "0", "--crew", "0")


def test_what_a_full_disk_leaves_goes_on_to_the_same_end() -> None:
    assert "full: 2" in chaos("--kills", "0", "--full", "2", "--crew", "0")


def test_a_crew_that_dies_and_begins_again_comes_to_the_same_end() -> None:
    assert "blows to a crew: 5" in chaos("--kills", "0", "--full", "0", "--crew", "5")
