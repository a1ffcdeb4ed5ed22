"""A run that is killed at a random point leaves valid pages, and `build` makes of them what it makes of any other."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prompt_pins import report
from prompt_pins.store import RunFolder

from tests.report.synthetic import Shape, SyntheticRun
from tests.report.test_live import files_of
from tests.report.test_pages import Reader

SHAPE = Shape(generations=40, population=3, batch=2, size=24, held=2)
PROGRAM = """
import sys
from pathlib import Path
from prompt_pins import report
from tests.report.synthetic import SyntheticRun
from tests.report.test_killed import SHAPE
live = report.LiveReport(share=1.0)
for event in SyntheticRun(Path(sys.argv[1]), SHAPE).events():
    live.handle(event)
live.close()
"""


@pytest.mark.parametrize("seed", range(int(os.environ.get("REPORT_KILLS", "2"))))
def test_killed_at_a_random_point(tmp_path: Path, seed: int) -> None:
    root = tmp_path / "00000000"
    paths = os.pathsep.join(["lib", "."])
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)], env={**os.environ, "PYTHONPATH": paths})
    while not list(root.rglob("summary.gif")) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(random.Random(seed).uniform(0.0, 1.5))
    process.send_signal(signal.SIGKILL)
    process.wait()
    for page in root.rglob("*.html"):
        if not page.name.startswith("."):
            Reader(page.read_text("utf-8"))
    report.build(RunFolder(root))
    killed = {name: data for name, data in files_of(root).items() if not Path(name).name.startswith(".")}

    whole = tmp_path / "whole" / "00000000"
    steps = SyntheticRun(whole, SHAPE).events()
    wanted = len((root / "journal.jsonl").read_bytes().splitlines())
    while len((whole / "journal.jsonl").read_bytes().splitlines() if whole.exists() else ()) < wanted:
        next(steps)
    steps.close()
    report.build(RunFolder(whole))
    expected = files_of(whole)
    assert expected.keys() <= killed.keys()
    assert all(killed[name] == data for name, data in expected.items())
