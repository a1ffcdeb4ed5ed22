"""Scoring on a GPU gives the CPU's numbers."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from prompt_pins.loss import LossOptions, batch_targets, error_map, score_batch

from tests.devices import CUDA, needs_cuda
from tests.loss.drawn import photo

pytestmark = needs_cuda
SIZE = (192, 256)
LEVELS = ((0,) * 6, (0, 0, 0, 1, 1, 1), tuple(range(6)))
# The measures that convolve may do so with TF32 on a GPU.
NEAR = {"flip": 1e-5, "colour": 1e-5, "ssim": 1e-3, "ms-ssim": 1e-3, "st-lpips": 1e-2}
PACKAGES = {"ssim": "pytorch_msssim", "ms-ssim": "pytorch_msssim", "st-lpips": "stlpips_pytorch"}


def pictures(count: int, seed: int) -> np.ndarray:
    return np.stack([photo(*SIZE, seed + n) for n in range(count)])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", NEAR)
def test_the_losses_are_the_cpus(name: str, masked: bool) -> None:
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        pytest.skip(f"no {PACKAGES[name]}")
    images, targets = pictures(6, 0), batch_targets(pictures(2, 50))
    if masked:
        ramp = np.tile(np.linspace(0, 255, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
        targets = (replace(targets[0], mask=ramp, weight=2.0), replace(targets[1], mask=ramp[:, ::-1].copy()))
    options = LossOptions(loss_objectives=((name, 1.0),), device="cpu")
    here = score_batch(images, targets, LEVELS, options)
    for memory in (512, 16):
        there = score_batch(images, targets, LEVELS, replace(options, device=CUDA, loss_memory_mb=memory))
        assert np.abs(np.array(there.image_target) - here.image_target).max() < NEAR[name]
        assert np.abs(np.array(there.image_image) - here.image_image).max() < NEAR[name]
        assert there.loss == pytest.approx(here.loss, rel=10 * NEAR[name])


def test_auto_is_the_gpu_and_its_map_has_the_pairs_mean() -> None:
    images, targets = pictures(2, 0), batch_targets(pictures(1, 50))
    found = score_batch(images, targets, None, LossOptions())
    assert found == score_batch(images, targets, None, LossOptions(device=CUDA))
    assert error_map(images[0], targets[0]).mean() == pytest.approx(found.image_target[0][0], abs=1e-5)
