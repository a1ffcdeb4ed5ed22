"""The streams of the command line: other encodings, readers that leave, pipes as images; and a disk that gets full."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.cli.terminal import GONE, quoted, shown
from prompt_pins.store import Journal, Runs

from tests.cli.test_cli import PROGRAM, environment
from tests.cli.test_inputs import TINY, Command, command

__all__ = ["command"]


def test_nothing_is_lost_whatever_the_encoding(tmp_path: Path) -> None:
    encoding = "cp1252"
    words = ["pin", "a 红 circle", *TINY, "-g", "1", "--held-out", "2", "--out", str(tmp_path)]
    for command_line in (words, ["pin", "--help"], ["samplers"], ["pin", "a 红 cat", "--device", "gpu"]):
        done = subprocess.run(
            [*PROGRAM, *command_line], capture_output=True, env={**environment(), "PYTHONIOENCODING": encoding}
        )
        told = (done.stdout + done.stderr).decode(encoding)
        assert done.returncode == 2 * ("gpu" in command_line) and "Traceback" not in told
        if command_line is words:
            assert "pinned prompt: " in told and "\\u7ea2" in told


def test_a_reader_that_leaves_ends_the_run_quietly_and_it_can_go_on(tmp_path: Path) -> None:
    words = ["pin", "a red circle", *TINY, "-g", "50", "--out", str(tmp_path)]
    running = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert running.stdout is not None and running.stderr is not None
    assert running.stdout.readline().startswith(b"pinning ")
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait() == GONE == 141
    assert Runs(tmp_path).find("0").record().state == "stopped"
    assert (tmp_path / "00000000" / "index.html").is_file()


@pytest.mark.parametrize("words", [["convert", "a red++ cat"], ["samplers"]])
def test_a_reader_that_is_gone_is_not_mourned(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, env=environment(), check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (GONE, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such file")
def test_an_output_on_a_full_disk_does_not_end_the_run(tmp_path: Path) -> None:
    words = ["pin", "a red circle", *TINY, "-g", "1", "--out", str(tmp_path)]
    for command_line in (words, ["samplers"], ["convert", "a cat"]):
        with open("/dev/full", "wb") as output:
            done = subprocess.run([*PROGRAM, *command_line], stdout=output, stderr=subprocess.PIPE, env=environment())
        told = done.stderr.decode()
        assert told.startswith("error: ") and "No space left on device" in told.splitlines()[0]
        assert told.count("\n") == 1 + (command_line is words) and done.returncode in (1, 2)
    assert Runs(tmp_path).find("0").record().state == "finished"


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="there is no such file")
def test_an_image_from_a_pipe_is_read_once_and_kept(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "goal.png")
    words = ["pin", "a red circle", *TINY, "-g", "1", "--target", "/dev/stdin", "--out", str(tmp_path / "runs")]
    data = (tmp_path / "goal.png").read_bytes()
    done = subprocess.run([*PROGRAM, *words], input=data, capture_output=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "runs" / "00000000" / Runs(tmp_path / "runs").find("0").record().target_images[0]
    with Image.open(kept) as image:
        assert image.getpixel((5, 5)) == (255, 0, 0)


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_sentence_and_how_to_go_on(command: Command) -> None:
    replace, count, lock = os.replace, [0], threading.Lock()

    def filling(*places: Any) -> None:
        with lock:
            count[0] += 1
        return replace(*places) if count[0] < 8 else full()

    with command.patch.context() as patch:
        patch.setattr(os, "replace", filling)
        code, printed, errors = command("pin", "a red circle", *TINY, "-g", "3", "--out", "runs")
    assert (
        code == 1 and errors.startswith("error: ") and errors.count("\n") == 1 and "No space left on device" in errors
    )
    assert "stopped: failed: " in printed and "to go on: prompt-pins resume runs/00000000\n" in printed
    assert Runs(Path("runs")).find("0").record().state == "stopped"
    code, printed, _ = command("resume", "runs/00000000")
    assert code == 0 and "finished: " in printed


def test_a_full_disk_fails_an_analysis_in_a_sentence(command: Command) -> None:
    words = ["analyze", "a red circle", "--steps", "1", "--width", "64", "--height", "64", "--analysis-seeds", "8"]
    with command.patch.context() as patch:
        patch.setattr(os, "replace", full)
        code, printed, errors = command(*words, "--out", "runs")
    assert code == 1 and errors.startswith("error: ") and errors.count("\n") == 1
    assert printed == "to go on: prompt-pins resume runs/00000000\n"
    assert command("resume", "runs/00000000")[0] == 0
    with command.patch.context() as patch:
        patch.setattr(os, "replace", full)
        for line in (["compare", "0", "0"], ["report", "0"]):
            code, printed, errors = command(*line, "--out", "runs")
            assert (code, printed) == (1, "") and errors.count("\n") == 1 and "No space left on device" in errors


def test_a_report_that_cannot_be_written_is_drawn_later(command: Command) -> None:
    from prompt_pins.report import live

    with command.patch.context() as patch:
        patch.setattr(live.Artist, "run", full)
        code, printed, errors = command("pin", "a red circle", *TINY, "-g", "2", "--out", "runs")
    assert code == 1 and errors == "error: [Errno 28] No space left on device\n"
    assert "finished: " in printed and "to go on: prompt-pins resume runs/00000000\n" in printed
    code, printed, _ = command("resume", "runs/00000000")
    assert code == 0 and "its report is drawn again" in printed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31m\x07\x9b\r\x00\x7f", "a\\x1b[31m\\x07\\x9b\\r\\x00\\x7f"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        ("\u202eabc\u2066\u2028\ud800", "\\u202eabc\\u2066\\u2028\\ud800"),
        ("红い 👩\u200d🎨 \u3000\u00a0é\u0301", "红い 👩\u200d🎨 \u3000\u00a0é\u0301"),
    ],
)
def test_what_would_command_the_terminal_is_escaped(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="another shell")
def test_a_path_is_quoted_for_the_shell() -> None:
    assert [quoted(Path(name)) for name in ("a/b", "my runs/0", "-x", "$(a)'")] == [
        "a/b", "'my runs/0'", "./-x", "'$(a)'\"'\"''",
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with open files stays where it is")
@pytest.mark.parametrize("how", ["removed", "renamed"])
@pytest.mark.parametrize("at", ["candidate", "generation", "choice"])
def test_a_run_whose_folder_goes_away_stops_and_says_what_it_reached(command: Command, how: str, at: str) -> None:
    kept, went = Journal.append, list[dict[str, Any]]()

    def append(journal: Journal, record: dict[str, Any], sync: bool = False) -> None:
        kept(journal, record, sync)
        if not went and record["kind"] == at and record.get("index", 1) == 1:
            went.append(record)
            os.rename("runs/00000000", "kept")
            if how == "removed":
                shutil.rmtree("kept", ignore_errors=True)

    with command.patch.context() as patch:
        patch.setattr(Journal, "append", append)
        code, printed, errors = command("pin", "a red circle", *TINY, "-g", "2", "--finalists", "1", "--out", "runs")
    assert code == 1 and errors.startswith("error: runs/00000000: was removed or renamed") and errors.count("\n") == 1
    name = "pinned prompt: " if at == "choice" else "best prompt so far: "
    assert name in printed and "to go on" not in printed and "report: " not in printed
    assert not os.path.exists("runs/00000000/journal.jsonl")
    if how == "renamed":
        code, printed, _ = command("resume", "./kept")
        assert code == 0 and "pinned prompt: " in printed


def test_a_run_that_found_nothing_hands_over_the_original(command: Command) -> None:
    from prompt_pins.run import contest

    words = ["pin", "a red circle", *TINY, "-g", "1", "--seed-policy", "fixed", "--held-out", "2", "--out", "runs"]
    with command.patch.context() as patch:
        patch.setattr(contest, "improvement", lambda *_, **__: (-0.4, -0.5, -0.3))
        code, printed, _ = command(*words)
    record = Runs(Path("runs")).find("0").record()
    assert code == 0 and record.winner is not None and record.held is not None
    figures = (
        f"fit {np.mean(record.held.fits_original):.3f} → {np.mean(record.held.fits_pinned):.3f}, +40% [+30%, +50%]"
    )
    worse = f"found nothing: the pinned prompt is worse than the original on unseen seeds ({figures})"
    assert f"{worse}, so the original prompt is the result\noriginal prompt: a red circle\n" in printed
    assert "pinned prompt: " not in printed
    code, printed, errors = command("export", "0", "--out", "runs")
    assert (code, printed) == (0, "a red circle\n") and errors.startswith(f"warning: {worse}")
