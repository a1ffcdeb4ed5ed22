"""The number of threads: what is chosen, what the user has set, and a run that goes on with its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from prompt_pins.cli import threads
from prompt_pins.cli.main import main
from prompt_pins.headless.engine import HeadlessHost

JOURNALS = Path(__file__).parents[1] / "store" / "journals"


def test_what_is_open_is_chosen_and_one_core_left() -> None:
    environment: dict[str, str] = {}
    assert threads.settle(environment)
    assert environment == {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(max(1, threads.cores() - 1))}


@pytest.mark.parametrize("name", [*threads.WAITING, *threads.NUMBER])
def test_what_the_user_has_set_stays(name: str) -> None:
    environment = {name: "7"}
    chosen = threads.settle(environment)
    assert environment[name] == "7" and chosen == (name not in threads.NUMBER)
    assert ("OMP_WAIT_POLICY" in environment) == (name == "OMP_WAIT_POLICY" or name in threads.NUMBER)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, 1e6),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1e6),
        ({"cpu.max": "\n"}, 1e6),
        ({}, 1e6),
    ],
)
def test_the_control_groups_grant(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.quota(tmp_path) == cores


def test_the_command_line_chooses_before_torch_comes() -> None:
    code = (
        "import sys, prompt_pins.cli.main; from prompt_pins.cli import threads; early = 'torch' in sys.modules\n"
        "import json, torch; print(json.dumps([early, threads.CHOSEN, torch.get_num_threads()]))"
    )
    free = {name: value for name, value in os.environ.items() if name not in (*threads.WAITING, *threads.NUMBER)}
    environment = {**free, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, True, max(1, threads.cores() - 1)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers that torch is set to."""
    numbers: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    return numbers


@pytest.mark.parametrize("number", [None, 5, 3, 0, -1, 10**9, "5", 2.5, [1]])
def test_a_run_goes_on_with_its_own_number(
    asked: list[int], number: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "CHOSEN", True)
    threads.restore(number)
    wanted = {None: [4], 5: [5]}.get(number, []) if isinstance(number, (int, type(None))) else []
    assert asked == wanted
    monkeypatch.setattr(threads, "CHOSEN", False)
    with caplog.at_level(logging.WARNING):
        threads.restore(number)
    assert asked == wanted and bool(caplog.records) == bool(wanted)


def test_a_run_says_its_number_and_resume_asks_for_it(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert HeadlessHost(device="cpu").describe()["threads"] == 3
    head, *_ = (JOURNALS / "v1-stopped.jsonl").read_text("utf-8").splitlines()
    record = json.loads(head)
    record["host"]["threads"] = 5
    record["config"]["checkpoint"] = "nowhere.safetensors"
    (tmp_path / "00000000").mkdir()
    (tmp_path / "00000000" / "journal.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    monkeypatch.setattr(threads, "CHOSEN", True)
    monkeypatch.setattr(sys, "argv", ["prompt-pins", "resume", "0", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "nowhere.safetensors" in capsys.readouterr().err
    assert asked == [5]
