"""The command line as a user meets it: a process of its own, its exit code, what it prints and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prompt_pins.store import Runs

PROGRAM = [sys.executable, "-m", "prompt_pins.cli.main"]
TASK = Path(__file__).parents[2] / "benchmarks" / "tasks" / "rival-colours.toml"
SMALL = ["--steps", "2", "--batch-size", "2", "--held-out", "2", "--contest-seeds", "2", "--lambda", "3"]

INTERRUPTED = """
import os, signal
from prompt_pins.cli.main import main
from prompt_pins.store import Journal

def append(journal, record, sync=False, kept=Journal.append):
    kept(journal, record, sync)
    if record["kind"] == "candidate" and record["index"] == 1:
        os.kill(os.getpid(), signal.SIGINT)

Journal.append = append
main()
"""
"""The program, which gets a Ctrl-C when its second candidate is written down."""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}


def program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=environment(), check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of runs and the output of one small run from a file of options."""
    out = tmp_path_factory.mktemp("out") / "prompt_pins"
    done = program("pin", "--config", str(TASK), *SMALL, "-g", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_pin_tells_the_end_in_a_few_lines(finished: tuple[Path, str]) -> None:
    out, printed = finished
    assert "candidates × 2 generations × 2 images" in printed
    assert "evaluations before the first image\n" in printed and "\nbefore the first image: " in printed
    assert "finished: the budget of 2 generations is used up" in printed
    assert "unseen seeds: fit " in printed
    assert "pinned prompt: " in printed
    assert f"report: {out / '00000000' / 'index.html'}" in printed
    assert (out / "00000000" / "index.html").is_file()


def test_each_generation_is_a_line_with_the_figure_of_progress(finished: tuple[Path, str]) -> None:
    out, printed = finished
    record = Runs(out).find("0").record()
    assert record.config["seed_policy"] == "rotated"
    told = [line for line in printed.splitlines() if line.startswith("generation ")]
    for number, (line, generation) in enumerate(zip(told, record.generations, strict=True), 1):
        assert generation.progress is not None
        assert line.startswith(f"generation {number}/2  {100 * generation.progress:.0f} % of the original's loss  ")


def test_report_rebuilds_a_deleted_page(finished: tuple[Path, str]) -> None:
    out, _ = finished
    page = out / "00000000" / "index.html"
    before = page.read_text()
    page.unlink()
    assert program("report", "0", "--out", str(out)).returncode == 0
    assert page.read_text() == before


def test_ctrl_c_keeps_everything_and_resume_ends_the_same(finished: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = finished
    words = ["pin", "--config", str(TASK), *SMALL, "-g", "2", "--out", str(tmp_path)]
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words], capture_output=True, text=True, env=environment(), check=False
    )
    assert stopped.returncode == 130, stopped.stderr
    assert "stopped: interrupted by the user" in stopped.stdout
    assert "to go on: prompt-pins resume" in stopped.stdout
    assert (tmp_path / "00000000" / "index.html").is_file()
    assert program("resume", "0", "--out", str(tmp_path)).returncode == 0
    ended, whole = Runs(tmp_path).find("0").record(), Runs(out).find("0").record()
    assert ended.best is not None and whole.best is not None
    assert ended.best.prompt == whole.best.prompt
    assert ended.held is not None and whole.held is not None
    assert ended.held.fits_pinned == whole.held.fits_pinned


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([""], "prompt: is empty"),
        ([], "prompt: '' is not allowed"),
        ([", , !"], "nothing to vary"),
        (["a cat", "--target", "nowhere.png"], "nowhere.png"),
        (["a cat", "--target", __file__], "test_cli.py"),
        (["a cat", "--sampler", "DPM++ 2N"], "'DPM++ 2M'"),
        (["a cat", "--batch-size", "0"], "batch_size: 0 is not allowed; allowed: a whole number from 1 to 1024"),
        (["a cat", "--steps", "1001"], "steps: 1001 is not allowed"),
        (["a cat", "--generations", "-1"], "generations: -1 is not allowed"),
        (["a cat", "--checkpoint", __file__], "test_cli.py"),
        (["a cat", "--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["a (cat:1.3~0.2)"], "column"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(tmp_path: Path, words: list[str], message: str) -> None:
    out = tmp_path / "prompt_pins"
    done = program("pin", *words, "--out", str(out))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not out.exists()


def test_an_output_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = program("pin", "a cat", *SMALL, "--out", str(tmp_path / "file" / "x"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_a_damaged_journal_is_named_by_its_line(finished: tuple[Path, str], tmp_path: Path) -> None:
    lines = (finished[0] / "00000000" / "journal.jsonl").read_bytes().split(b"\n")
    lines[3] = lines[3][:-5]
    (tmp_path / "00000000").mkdir()
    (tmp_path / "00000000" / "journal.jsonl").write_bytes(b"\n".join(lines))
    for command in ("resume", "report"):
        done = program(command, "0", "--out", str(tmp_path))
        assert done.returncode == 2
        assert "journal.jsonl, line 4: is not a JSON object" in done.stderr


def test_the_meter_tells_the_price_and_the_worth() -> None:
    done = program("hyperbatch", "--batch-size", "8", "--steps", "20")
    assert "evaluations: 90 of 160, 70 saved" in done.stdout
    done = program("hyperbatch", "--batch-size", "8", "--steps", "20", "--fork-policy", "even")
    assert "evaluations: 75 of 160, 85 saved" in done.stdout
    done = program("hyperbatch", "-b", "4", "-s", "3", "--prompt", "a circle", "--json")
    meter = json.loads(done.stdout)
    assert meter["evaluations"] < meter["plain_evaluations"] == 12
    assert 0.0 < meter["diversity"][0] < meter["diversity"][1] * 2


def test_lists_and_conversions() -> None:
    assert "DPM++ SDE - Hyperbatch" in program("samplers").stdout
    assert program("convert", "a red++ cat").stdout == "a (red:1.21) cat\n"
    assert program("convert", "(a red cat").returncode == 2


def test_text_is_exported_without_the_engine(finished: tuple[Path, str]) -> None:
    told = "import sys\nfrom prompt_pins.cli.main import main\ntry:\n    main()\nfinally:\n    print(*sys.modules)"
    words = [sys.executable, "-c", told, "export", "0", "--out", str(finished[0])]
    printed = subprocess.run(words, capture_output=True, text=True, env=environment(), check=True).stdout
    assert "prompt_pins.report.notations" in printed.split() and not {"torch", "diffusers"} & set(printed.split())
