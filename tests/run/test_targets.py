"""What a run pins to: weights, masks for each target, folders, earlier runs; kept for a run that goes on."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError, TargetError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import pin
from prompt_pins.run.targets import read_targets
from prompt_pins.store import Runs, events


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Two grey targets of the model's size."""
    for name, level in (("dark", 60), ("light", 200)):
        Image.new("RGB", (128, 128), (level,) * 3).save(tmp_path / f"{name}.png")
    return [str(tmp_path / "dark.png"), str(tmp_path / "light.png")]


def config(small: dict[str, Any], **changes: Any) -> RunConfig:
    return RunConfig(**{**small, **changes})


def test_each_target_has_its_weight(small: dict[str, Any], pictures: list[str], model: HeadlessHost) -> None:
    found = read_targets(config(small, target=pictures, target_weights=(1.0, 3.0)), model)
    assert [target.weight for target in found] == [1.0, 3.0]
    assert [target.weight for target in read_targets(config(small, target=pictures), model)] == [1.0, 1.0]
    with pytest.raises(OptionError, match=r"target_weights.*one for each of 2 targets"):
        read_targets(config(small, target=pictures, target_weights=(1.0,)), model)
    with pytest.raises(OptionError, match="target_weights"):
        config(small, target=pictures, target_weights=(1.0, 0.0))


def test_a_folder_of_masks_has_one_for_each_target(
    small: dict[str, Any], pictures: list[str], model: HeadlessHost, tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for column, name in enumerate(("dark", "light")):
        drawn = np.zeros((128, 128), np.uint8)
        drawn[:, 64 * column : 64 * column + 64] = 255
        Image.fromarray(drawn).save(masks / f"{name}.png")
    found = read_targets(config(small, target=pictures, mask=str(masks)), model)
    assert [int(np.argmax(target.mask[0])) for target in found if target.mask is not None] == [0, 64]
    (masks / "light.png").unlink()
    with pytest.raises(TargetError, match="no mask named light"):
        read_targets(config(small, target=pictures, mask=str(masks)), model)


def test_an_earlier_run_stands_for_its_best_batch(small: dict[str, Any], model: HeadlessHost, tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    list(pin.start(config(small, generations=1, held_out=0, finalists=0), model, runs))
    first = runs.find("0")
    best = first.record().best
    assert best is not None
    found = read_targets(config(small, target=(str(first.path),)), model)
    for target, name in zip(found, best.images, strict=True):
        assert np.array_equal(target.pixels, np.asarray(Image.open(first.path / best.folder / name).convert("RGB")))


def test_weights_and_masks_outlive_the_users_files(
    small: dict[str, Any], pictures: list[str], model: HeadlessHost, tmp_path: Path
) -> None:
    Image.new("L", (128, 128), 128).save(tmp_path / "mask.png")
    options = {"target": pictures, "target_weights": (1.0, 3.0), "mask": str(tmp_path / "mask.png")}
    settings = config(small, **options, held_out=0, finalists=0)
    runs = Runs(tmp_path / "runs")
    list(pin.start(settings, model, runs))
    whole = runs.find("0").record()
    stopped = pin.start(settings, model, runs)
    for _ in range(3):
        next(stopped)
    stopped.close()
    for path in (*pictures, tmp_path / "mask.png"):
        Path(path).unlink()
    list(pin.resume(runs.find("1"), model))
    assert [c.loss for c in runs.find("1").record().candidates] == [c.loss for c in whole.candidates]


def test_a_folder_of_masks_needs_target_images(small: dict[str, Any], model: HeadlessHost, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="folder of masks"):
        pin.start(config(small, target=(), mask=str(tmp_path)), model, Runs(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_a_pipe_is_read_once_and_kept_in_the_run(
    small: dict[str, Any], red: str, model: HeadlessHost, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writing, Path(red).read_bytes()), os.close(writing)))
    thread.start()
    try:
        run = pin.start(config(small, target=(f"/dev/fd/{reading}",)), model, Runs(tmp_path))
        folder = next(event.folder for event in run if isinstance(event, events.RunStarted))
        next(event for event in run if isinstance(event, events.CandidateDone))
    finally:
        thread.join()
        os.close(reading)
    assert folder.record().target_source == "images"
    with pytest.raises(OptionError, match="only a mask for target images may be a pipe"):
        read_targets(config(small, target=(), mask="/dev/stdin"), model)


def test_a_name_that_is_too_long_is_a_sentence(small: dict[str, Any], model: HeadlessHost) -> None:
    with pytest.raises(TargetError, match=r"cannot be read \(File name too long\)"):
        read_targets(config(small, target=("n" * 300,)), model)
