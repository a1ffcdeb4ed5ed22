"""A run whose journal ends after any of its lines goes on to the same journal, times aside."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.run import pin
from prompt_pins.run.scoring import Scorer
from prompt_pins.store import Candidate, RunFolder, Runs

from tests.run.painter import Painter
from tests.run.test_pin import content, finish, timeless

BASE: dict[str, Any] = {
    "prompt": "a red blue circle", "steps": 1, "batch_size": 2, "lambda_": 3, "generations": 2, "contest_seeds": 2,
    "finalists": 1, "held_out": 2, "plots": False, "cma_seed": 3,
}  # fmt: skip
RED, SAME = "a (red:1.3) blue circle", "a red blue circle"
RUNS: dict[str, dict[str, Any]] = {
    "rotated seeds": {"negative_prompt": "green"},
    "fixed seeds": {"seed_policy": "fixed", "finalists": 2},
    "restarts": {"seed_policy": "fixed", "restarts": 2, "patience": 1, "min_progress": 0.5, "generations": 3},
    "restarts, rotated": {"lambda_": 2, "restarts": 1, "patience": 1, "min_progress": 0.5, "generations": 4,
                          "early_generations": 0},
    "two objectives": {"objectives": 2, "mo_mu": 3, "mo_lambda_": 3, "seed_policy": "fixed"},
    "own candidates, some of them alike": {"inject": (RED, RED, SAME), "lambda_": 8, "generations": 1},
    "warm": {"warm_start": "0"},
    "images of Quick": {"preset": "Quick", "generations": 20, "max_images": 12, "seed_policy": "fixed"},
    "images": {"generations": 20, "max_images": 14, "held_out": 0},
    "candidates": {"generations": 20, "max_evaluations": 9},
    "minutes": {"max_minutes": 1e-9},
    "size limit": {"size_limit": 0.2, "size_limiter": "constraint", "initial_std": 0.5},
    "penalty": {"size_limit": 0.2, "size_limiter": "penalty", "initial_std": 0.5, "seed_policy": "fixed"},
    "half batches": {"batch_size": 4, "early_generations": 1},
    "images, half batches": {"batch_size": 4, "generations": 20, "early_generations": 2, "max_images": 14},
    "settings": {"vary_settings": ("cfg_scale:3~9",), "image_format": "jpg"},
    "targets of its own, no contest": {"target": (), "finalists": 0},
    "words": {"words": True, "negative_prompt": "green", "weight_low": 0.9, "image_format": "jpg"},
    "payloads, a piece": {"piece": "red blue", "payload": (
        "a {piece} circle", "--prompt 'a (big:0.9~1.1) {piece} square' --seed 9 --weight 2", "--prompt {piece} --target"
        " TARGET")},
    "payloads, own targets, the worst": {"target": (), "payload": ("--seed 7", "--negative_prompt green"),
                                         "payload_loss": "worst", "image_format": "jpg"},
    "payloads of two checkpoints": {"seed_policy": "fixed", "negative_prompt": "pale", "loss_objectives": ("flip:1",
                                    "colour:1"), "payload": ("--seed 7", "--checkpoint other", "--seed 4")},
    "two losses": {"loss_objectives": ("flip:1", "colour:1"), "held_out": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("targets") / "target.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return str(path)


@pytest.fixture(autouse=True)
def nothing_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here, and waiting for the disk would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def ran(changes: dict[str, Any], target: str, runs: Runs, host: Painter | None = None) -> RunFolder:
    """A run to its end."""
    lines = tuple(line.replace("TARGET", target) for line in changes.get("payload", ()))
    values = {"target": (target,), **BASE, **changes, "payload": lines}
    events = finish(pin.start(RunConfig(**values), host or Painter(), runs))
    return events[0].folder  # type: ignore[union-attr]


@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS)
def test_it_ends_the_same_wherever_it_was_cut(changes: dict[str, Any], target: str, tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    if "warm_start" in changes:
        ran({}, target, runs)
    folder = ran(changes, target, runs)
    whole, lines = content(folder), folder.journal_path.read_bytes().splitlines(keepends=True)
    assert whole[-1]["kind"] == "finished" and len(whole) == len(lines)
    for count in range(1, len(lines)):
        folder.journal_path.write_bytes(b"".join(lines[:count]))
        finish(pin.resume(folder, Painter()))
        assert content(folder) == whole, count


def test_candidates_that_are_alike_are_rendered_once_however_long_scoring_takes(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Scorer.candidate

    def slowly(*words: Any) -> Candidate:
        time.sleep(0.1)
        return kept(*words)

    monkeypatch.setattr(Scorer, "candidate", slowly)
    changes = {
        "inject": (RED, RED, SAME),
        "start": "original",
        "lambda_": 8,
        "generations": 1,
        "finalists": 0,
        "held_out": 0,
    }
    found = ran(changes, target, Runs(tmp_path)).record().candidates
    assert [c.evaluations > 0 for c in found[:4]] == [True, True, False, False]
    assert found[1].loss == found[2].loss and found[0].loss == found[3].loss


def test_the_normalisers_are_written_once(target: str, tmp_path: Path) -> None:
    folder = ran({"finalists": 0, "held_out": 0}, target, Runs(tmp_path))
    lines = folder.journal_path.read_bytes().splitlines(keepends=True)
    place = next(i for i, line in enumerate(timeless(folder)) if line["kind"] == "normalisers")
    folder.journal_path.write_bytes(b"".join(lines[: place + 1]))
    finish(pin.resume(folder, Painter()))
    assert [line["kind"] for line in timeless(folder)].count("normalisers") == 1
