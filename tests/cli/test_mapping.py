"""Maps on the command line: of a prompt, of a run, interrupted, and beside runs."""

from __future__ import annotations

from pathlib import Path

from prompt_pins.store import Runs

from tests.cli.test_inputs import TINY, Command, command

__all__ = ["command"]

SMALL = ["--steps", "1", "--width", "64", "--height", "64", "--batch-size", "2"]


def test_a_map_of_a_prompt_goes_on_and_stands_beside_runs(command: Command) -> None:
    words = ("map", "a red circle", *SMALL, "--map-candidates", "4", "--out", "runs")
    code, printed, _ = command.interrupted(3, *words)
    assert code == 1 and "8 images at most" in printed and "to go on: prompt-pins resume runs/00000000\n" in printed
    page = Path("runs/00000000/index.html")
    assert "of 4 candidates are there" in page.read_text("utf-8")
    code, printed, _ = command("resume", "0", "--out", "runs")
    assert code == 0 and "no clusters in 4 candidates" in printed
    assert len(Runs(Path("runs")).find("0").record().candidates) == 4
    page.unlink()
    code, printed, _ = command("report", "0", "--out", "runs")
    assert code == 0 and page.is_file()
    assert command("resume", "0", "--out", "runs")[0] == 0
    index = Path("runs/index.html").read_text("utf-8")
    assert 'data-task="map"' in index and "00000001/" in index
    assert "this is a map, which has no pinned prompt" in command.refused("export", "0", "--out", "runs")


def test_a_map_of_a_run_takes_the_images_that_are_there(command: Command) -> None:
    fixed = ["--generations", "2", "--seed-policy", "fixed", "--early-generations", "0", "--start", "original"]
    assert command("pin", "a red circle", *TINY, *fixed, "--out", "runs")[0] == 0
    run = {candidate.id: candidate for candidate in Runs(Path("runs")).find("0").record().candidates}
    code, _, errors = command("map", "--run", "0", "--out", "runs")
    assert code == 0, errors
    found = Runs(Path("runs")).find("1").record()
    assert found.of_run == "00000000" and found.evaluations == 0
    assert {candidate.id for candidate in found.candidates} == set(run)
    for one in found.candidates:
        before, after = Path("runs/00000000", run[one.id].folder), Path("runs/00000001", one.folder)
        assert (before / one.images[0]).read_bytes() == (after / one.images[0]).read_bytes()
    assert command("map", "--run", "0", "--steps", "2", "--map-candidates", "2", "--out", "runs")[0] == 0
    assert Runs(Path("runs")).find("2").record().evaluations > 0  # other images
    assert "none beside --run" in command.refused("map", "a cat", "--run", "0", "--out", "runs")
    assert "a run with at least 2 candidates" in command.refused("map", "--run", "1", "--out", "runs")
