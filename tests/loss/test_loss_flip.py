"""ꟻLIP against flip-evaluator, and its laws."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst
from prompt_pins.errors import OptionError
from prompt_pins.loss import flip
from prompt_pins.loss.ldrflip import mean_errors

from tests.loss.drawn import PAIRS, Pixels, noise, photo

SIZES = [
    (1, 1), (1, 2), (2, 1), (3, 3), (1, 64), (64, 1), (5, 40), (9, 200), (16, 16), (19, 20), (21, 21), (22, 19),
    (33, 57), (64, 64), (100, 37), (128, 128), (120, 161),
]  # fmt: skip
LARGE = [(512, 512, "photos"), (1024, 768, "photo and grain"), (768, 1024, "gradients")]
CASES = [(h, w, kind, n) for n, (h, w) in enumerate(SIZES) for kind in PAIRS]
CASES += [(h, w, kind, 1000 + n) for n, (h, w, kind) in enumerate(LARGE)]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


def tensor(picture: Pixels) -> torch.Tensor:
    """1 x 3 x H x W float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float() / 255


def oracle(reference: Pixels, test: Pixels, pixels_per_degree: float) -> np.ndarray:
    """flip-evaluator's error map."""
    evaluator = pytest.importorskip("flip_evaluator")
    sides = [side.astype(np.float32) / 255 for side in (reference, test)]
    parameters = {"ppd": pixels_per_degree}
    found = evaluator.evaluate(*sides, "LDR", applyMagma=False, computeMeanError=False, parameters=parameters)
    return found[0][..., 0]


def test_enough_pairs() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("height", "width", "kind", "seed"), CASES)
def test_equals_flip_evaluator(height: int, width: int, kind: str, seed: int, device: str) -> None:
    reference, test = PAIRS[kind](height, width, seed)
    expected = oracle(reference, test, 67.02)
    found = flip(tensor(reference).to(device), tensor(test).to(device))
    assert found.shape == (1, 1, height, width) and found.dtype == torch.float32
    assert np.abs(found[0, 0].cpu().numpy() - expected).max() <= 1e-3
    assert abs(found.double().mean().item() - expected.mean(dtype=np.float64)) <= 1e-4
    stack = torch.from_numpy(np.stack([reference, test]).transpose(0, 3, 1, 2).copy()).to(device)
    assert abs(mean_errors(stack, [(0, 1)]).item() - expected.mean(dtype=np.float64)) <= 1e-4


@pytest.mark.parametrize("pixels_per_degree", [5.0, 12.5, 30.0, 67.02, 120.0, 250.0])
def test_equals_flip_evaluator_at_other_distances(pixels_per_degree: float) -> None:
    for kind in ("photos", "noise", "single pixels"):
        reference, test = PAIRS[kind](48, 70, 3)
        found = flip(tensor(reference), tensor(test), pixels_per_degree)[0, 0].numpy()
        assert np.abs(found - oracle(reference, test, pixels_per_degree)).max() <= 1e-3


def test_batch_equals_single_pairs() -> None:
    left, right = (torch.cat([tensor(photo(40, 60, 10 * n + k)) for n in range(5)]) for k in (0, 1))
    together = flip(left, right)
    assert all(torch.equal(together[n : n + 1], flip(left[n : n + 1], right[n : n + 1])) for n in range(5))


pixels = nst.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))


@settings(max_examples=80)
@given(pixels, st.integers(0, 2**32 - 1), st.floats(5, 200))
def test_laws(reference: Pixels, seed: int, pixels_per_degree: float) -> None:
    """In [0, 1]; 0 between equals; the same both ways, to the bit."""
    test = noise(*reference.shape[:2], seed)
    there = flip(tensor(reference), tensor(test), pixels_per_degree)
    assert bool((there >= 0).all()) and bool((there <= 1).all())
    assert torch.equal(there, flip(tensor(test), tensor(reference), pixels_per_degree))
    assert flip(tensor(test), tensor(test), pixels_per_degree).abs().max() == 0


def test_corners_of_the_gamut_stay_in_range() -> None:
    """Green against blue is the farthest; rounding must not carry any pair beyond 1."""
    corners = torch.tensor(list(product((0.0, 1.0), repeat=3)))[:, :, None, None]
    left, right = corners.repeat_interleave(8, dim=0), corners.repeat(8, 1, 1, 1)
    found = flip(left, right).flatten()
    assert 0.999 <= float(found[2 * 8 + 1]) == float(found.max()) <= 1.0


@settings(max_examples=25)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 99))
def test_strips_do_not_show(height: int, width: int, seed: int) -> None:
    """The mean is the same however little memory the features may take."""
    stack = np.stack([photo(height, width, seed), photo(height, width, seed + 1), noise(height, width, seed)])
    images = torch.from_numpy(stack.transpose(0, 3, 1, 2).copy())
    pairs = [(0, 1), (0, 2), (1, 2), (2, 0), (1, 1)]
    free, tight = mean_errors(images, pairs), mean_errors(images, pairs, memory=1)
    assert torch.allclose(free, tight, rtol=0, atol=1e-6)
    assert free[3] == pytest.approx(free[1].item(), abs=1e-7) and free[4] == 0


def test_strips_are_used() -> None:
    """A tall image in one go and in strips of rows gives the same mean."""
    images = torch.from_numpy(np.stack([photo(900, 8, 1), photo(900, 8, 2)]).transpose(0, 3, 1, 2).copy())
    free, tight = mean_errors(images, [(0, 1)]), mean_errors(images, [(0, 1)], memory=8 * 60 * 4 * 5 * 2)
    assert torch.allclose(free, tight, rtol=0, atol=1e-6)


def test_uniform_weight_changes_nothing() -> None:
    images = torch.from_numpy(np.stack([photo(30, 40, 1), photo(30, 40, 2)]).transpose(0, 3, 1, 2).copy())
    plain, even = mean_errors(images, [(0, 1)]), mean_errors(images, [(0, 1)], weight=torch.full((30, 40), 0.25))
    assert torch.allclose(plain, even, rtol=0, atol=1e-7)


def test_half_precision_input() -> None:
    """8-bit values survive half precision well enough; the features are float32 all the same."""
    reference, test = (tensor(photo(64, 64, n)) for n in (1, 2))
    found = flip(reference.half(), test.half())
    assert found.dtype == torch.float32
    assert (found - flip(reference, test)).abs().mean() <= 1e-3


@pytest.mark.parametrize("value", [0.0, 4.9, 501.0, float("nan"), float("inf"), -67.0])
def test_refuses_unusable_distances(value: float) -> None:
    with pytest.raises(OptionError, match="pixels_per_degree"):
        flip(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), value)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 1, 4, 4), (1, 3, 0, 4), (0, 3, 4, 4)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="reference"):
        flip(torch.zeros(shape), torch.zeros(shape))


def test_refuses_unequal_shapes_and_integers() -> None:
    with pytest.raises(OptionError, match="test"):
        flip(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
    with pytest.raises(OptionError, match="reference"):
        flip(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
