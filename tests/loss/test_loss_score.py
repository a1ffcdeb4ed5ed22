"""Scoring whole batches: parts, masks, objectives, normalisers, JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.errors import HostError, OptionError, TargetError
from prompt_pins.loss import (
    OBJECTIVES,
    BatchLoss,
    LossOptions,
    Objective,
    Target,
    batch_targets,
    error_map,
    error_map_image,
    fit_targets,
    flip,
    load_target,
    score_batch,
)
from prompt_pins.loss import score as scoring

from tests.loss.drawn import Pixels, noise, photo

PLAIN = LossOptions(hyperbatch_weights=False, device="cpu")


def batch(count: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.stack([photo(height, width, seed + n) for n in range(count)])


def pair_loss(left: Pixels, right: Pixels) -> float:
    planes = [torch.from_numpy(p.transpose(2, 0, 1).copy())[None].float() / 255 for p in (left, right)]
    return float(flip(*planes).double().mean())


def test_every_pair_is_where_it_belongs() -> None:
    images, targets = batch(4), batch_targets(batch(3, seed=50))
    found = score_batch(images, targets, None, replace(PLAIN, consistency=None))
    for i, image in enumerate(images):
        for t, target in enumerate(targets):
            assert found.image_target[i][t] == pytest.approx(pair_loss(target.pixels, image), abs=1e-6)
        for j, other in enumerate(images):
            assert found.image_image[i][j] == pytest.approx(pair_loss(image, other), abs=1e-6)
    assert found.fit == pytest.approx(np.mean(found.image_target))
    assert found.spread == pytest.approx(np.sum(found.image_image) / 12)
    values = found.to_json()["calculated_loss_list"]
    assert len(values) == 4 * 3 + 6
    assert found.loss == pytest.approx(np.mean(values) + np.std(values)) == pytest.approx(found.mean + found.std)
    assert found.per_image[2][0] == pytest.approx(np.mean(found.image_target[2]))
    assert found.per_image[2][1] == pytest.approx(np.sum(found.image_image[2]) / 3)


def test_different_batches_have_different_losses() -> None:
    targets = batch_targets(batch(1, seed=50))
    assert score_batch(batch(4), targets, None, PLAIN).loss != score_batch(batch(4, seed=9), targets, None, PLAIN).loss


def test_nearer_is_better() -> None:
    target = photo(24, 32, 1)
    near = np.clip(target.astype(int) + 3, 0, 255).astype(np.uint8)
    losses = [
        score_batch(np.stack([x] * 2), batch_targets(target[None]), None, PLAIN).loss for x in (near, noise(24, 32, 2))
    ]
    assert losses[0] < losses[1]


def test_the_first_batch_pinned_to_itself() -> None:
    images = batch(3)
    found = score_batch(images, batch_targets(images), None, PLAIN)
    assert [found.image_target[n][n] for n in range(3)] == [0.0] * 3
    assert found.image_target[0][1] == pytest.approx(found.image_image[0][1], abs=1e-7)
    single = score_batch(images[:1], batch_targets(images[:1]), None, LossOptions())
    assert single.loss == 0.0 and single.spread is None


def test_target_weights() -> None:
    images, (one, two) = batch(2), batch_targets(batch(2, seed=50))
    losses = {
        weight: score_batch(images, (replace(one, weight=weight), two), None, PLAIN) for weight in (1e-6, 1.0, 1e6)
    }
    assert losses[1e6].fit == pytest.approx(np.mean([row[0] for row in losses[1.0].image_target]), rel=1e-4)
    assert losses[1e-6].fit == pytest.approx(np.mean([row[1] for row in losses[1.0].image_target]), rel=1e-4)


@settings(max_examples=10)
@given(st.permutations(range(4)))
def test_the_order_of_images_does_not_matter(order: list[int]) -> None:
    images, targets = batch(4), batch_targets(batch(2, seed=50))
    one, two = (score_batch(x, targets, None, LossOptions()).loss for x in (images, images[order]))
    assert one == pytest.approx(two, abs=1e-6)


def test_json_is_plain_and_whole() -> None:
    levels = ((0, 0, 0), (0, 1, 0), (0, 1, 2))
    found = score_batch(batch(3), batch_targets(batch(2, seed=50)), levels, LossOptions())
    record = found.to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert [entry["level"] for entry in record["per_level"]] == [1, 2, 3]
    assert record["calculated_loss"] == found.loss == pytest.approx(sum(e["term"] for e in record["per_level"]))
    assert len(record["pairs"]) == 9 and record["pairs"][0].keys() == {"image", "target", "loss"}


def test_what_is_refused() -> None:
    images, targets = batch(2), batch_targets(batch(1))
    with pytest.raises(TargetError, match="32 x 24"):
        score_batch(images, batch_targets(batch(1, 24, 31)), None, PLAIN)
    with pytest.raises(OptionError, match="targets"):
        score_batch(images, (), None, PLAIN)
    with pytest.raises(OptionError, match="images"):
        score_batch(images.astype(np.float32), targets, None, PLAIN)
    with pytest.raises(OptionError, match="flip, ssim"):
        score_batch(images, targets, None, replace(PLAIN, loss_objectives=(("flop", 1.0),)))
    with pytest.raises(OptionError, match="levels"):
        score_batch(images, targets, ((0, 0, 0),), PLAIN)
    with pytest.raises(OptionError, match="normalisers"):
        score_batch(images, targets, None, PLAIN, normalisers={"flip": 0.0})
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="CUDA"):
            score_batch(images, targets, None, replace(PLAIN, device="cuda"))


def test_without_room_on_the_gpu_the_cpu_compares(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The GPU's part is played by a device that holds nothing."""

    def full(images: torch.Tensor, pairs: torch.Tensor, context: object) -> torch.Tensor:
        if images.device.type == "meta":
            raise RuntimeError(words)
        return OBJECTIVES["flip"].function(images, pairs, context)

    registry = {"flip": replace(OBJECTIVES["flip"], function=full)}
    images, targets = batch(3), batch_targets(batch(1, seed=50))
    monkeypatch.setattr(scoring, "chosen_device", lambda name: torch.device("meta"))
    scoring._tell_of_memory.cache_clear()
    words = "CUDA out of memory. Tried to allocate 2.00 GiB"
    for _ in range(2):
        found = score_batch(images, targets, None, replace(PLAIN, device="auto"), registry=registry)
    monkeypatch.undo()
    assert found == score_batch(images, targets, None, PLAIN)
    assert [record.getMessage()[:30] for record in caplog.records] == ["the GPU has too little memory "]
    monkeypatch.setattr(scoring, "chosen_device", lambda name: torch.device("meta"))
    with pytest.raises(RuntimeError, match="out of memory"):
        score_batch(images, targets, None, replace(PLAIN, device="cuda"), registry=registry)
    words = "CUDA error: an illegal memory access"
    with pytest.raises(RuntimeError, match="illegal"):
        score_batch(images, targets, None, replace(PLAIN, device="auto"), registry=registry)


def half_mask(height: int = 24, width: int = 32) -> Pixels:
    """White on the left, black on the right, a soft edge between."""
    ramp = np.clip(255 - (np.arange(width) - width // 3) * 40, 0, 255).astype(np.uint8)
    return np.tile(ramp, (height, 1))


@pytest.mark.parametrize("name", ["flip", "colour"])
def test_white_mask_is_no_mask_to_the_bit(name: str) -> None:
    images, (target,) = batch(3), batch_targets(batch(1, seed=50))
    options = replace(PLAIN, loss_objectives=((name, 1.0),))
    white = replace(target, mask=np.full((24, 32), 255, np.uint8))
    assert score_batch(images, (target,), None, options) == score_batch(images, (white,), None, options)


def test_black_mask_is_an_error() -> None:
    (target,) = batch_targets(batch(1, seed=50))
    with pytest.raises(TargetError, match="all black"):
        score_batch(batch(2), (replace(target, mask=np.zeros((24, 32), np.uint8)),), None, PLAIN)


@pytest.mark.parametrize("name", ["flip", "colour"])
@pytest.mark.parametrize("fill", [0, 77, 255])
def test_a_masked_out_region_never_changes_the_loss(name: str, fill: int) -> None:
    """To the bit, although the filters of ꟻLIP look further than a pixel."""
    images, (target,) = batch(3), batch_targets(batch(1, seed=50))
    mask = half_mask()
    options = replace(PLAIN, loss_objectives=((name, 1.0),))
    painted = images.copy()
    painted[:, mask == 0] = fill
    painted[1, mask == 0] = noise(24, 32, 5)[mask == 0]
    other = target.pixels.copy()
    other[mask == 0] = 255 - fill
    before = score_batch(images, (replace(target, mask=mask),), None, options)
    after = score_batch(painted, (replace(target, pixels=other, mask=mask),), None, options)
    assert before == after
    seen = images.copy()
    seen[:, mask == 255] = 255 - seen[:, mask == 255]
    assert score_batch(seen, (replace(target, mask=mask),), None, options).fit != before.fit


def test_soft_edges_are_weights() -> None:
    """The mean error weighted by the mask, both sides grey where it is black."""
    image, target, mask = photo(24, 32, 0), photo(24, 32, 50), half_mask()
    sides = [np.where(mask[..., None] == 0, np.uint8(128), side) for side in (image, target)]
    planes = [torch.from_numpy(p.transpose(2, 0, 1).copy())[None].float() / 255 for p in sides]
    errors = flip(*planes)[0, 0].numpy()
    expected = (errors * mask).sum(dtype=np.float64) / mask.sum(dtype=np.float64)
    found = score_batch(image[None], (Target(target, mask),), None, PLAIN)
    assert found.fit == pytest.approx(expected, abs=1e-6)
    shown = error_map(image, Target(target, mask))
    assert shown.mean(dtype=np.float64) / (mask.mean() / 255) == pytest.approx(expected, abs=1e-6)


def test_each_target_has_its_own_mask_and_images_the_brightest() -> None:
    images, targets = batch(3), batch_targets(batch(3, seed=50))
    left, right = half_mask(), half_mask()[:, ::-1].copy()
    masked = (replace(targets[0], mask=left), replace(targets[1], mask=right), replace(targets[2], mask=left))
    found = score_batch(images, masked, None, PLAIN)
    for t, target in enumerate(masked):
        alone = score_batch(images, (target,), None, PLAIN)
        assert [row[0] for row in alone.image_target] == pytest.approx([row[t] for row in found.image_target], abs=1e-6)
    union = score_batch(images, (replace(targets[0], mask=np.maximum(left, right)),), None, PLAIN)
    assert np.allclose(found.image_image, union.image_image, atol=1e-6)
    mixed = score_batch(images, (masked[0], targets[1]), None, PLAIN)
    assert mixed.image_image == score_batch(images, (targets[1],), None, PLAIN).image_image


def test_padding_never_counts() -> None:
    """A padded target costs what its picture costs against the same part of the image."""
    image = photo(32, 32, 1)
    (target,) = fit_targets([load_target(photo(16, 32, 2))], (32, 32), "pad")
    before = score_batch(image[None], (target,), None, PLAIN)
    image[:8] = 0
    image[24:] = 255
    assert score_batch(image[None], (target,), None, PLAIN) == before


def squared(images: torch.Tensor, pairs: torch.Tensor, context: object) -> torch.Tensor:
    left, right = pairs.T
    return ((images[left] / 255.0 - images[right] / 255.0) ** 2).mean(dim=(1, 2, 3))


def test_a_scorer_of_ones_own() -> None:
    registry = {**OBJECTIVES, "squared": Objective("squared", "Squared difference", True, squared)}
    images, targets = batch(2), batch_targets(batch(1, seed=50))
    options = replace(PLAIN, loss_objectives=(("squared", 1.0),))
    found = score_batch(images, targets, None, options, registry=registry)
    expected = ((images[0] / 255.0 - targets[0].pixels / 255.0) ** 2).mean()
    assert found.image_target[0][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("answer", [[1.0], [float("nan")] * 3, [-1.0, 0.0, 0.0]])
def test_a_scorer_that_misbehaves(answer: list[float]) -> None:
    registry = {"odd": Objective("odd", "Odd", True, lambda images, pairs, context: answer)}
    with pytest.raises(OptionError, match="objective odd"):
        options = replace(PLAIN, loss_objectives=(("odd", 1.0),))
        score_batch(batch(2), batch_targets(batch(1)), None, options, registry=registry)


def tagger(images: np.ndarray) -> list[dict[str, float]]:
    """Brighter images are more of a cat, and always half a dog."""
    return [{"cat": float(image.mean() / 255), "dog": 0.5} for image in images]


def test_tags() -> None:
    images = batch(3)
    options = replace(PLAIN, loss_objectives=(("tags", 1.0),), tags_wanted=("cat", "bird"), tags_unwanted=("dog",))
    found = score_batch(images, (), None, options, tagger=tagger)
    scores = [(1 - image.mean() / 255 + 1 + 0.5) / 3 for image in images]
    assert [row[0] for row in found.image_target] == pytest.approx(scores)
    assert found.image_image[0][1] == pytest.approx(abs(scores[0] - scores[1]))
    two = score_batch(images, batch_targets(batch(2)), None, options, tagger=tagger)
    assert np.allclose(two.image_target, np.array(scores)[:, None])


def test_tags_under_different_masks() -> None:
    images, targets = batch(2), batch_targets(batch(2))
    left, right = half_mask(), half_mask()[:, ::-1].copy()
    options = replace(PLAIN, loss_objectives=(("tags", 1.0),), tags_wanted=("cat",))
    masked = (replace(targets[0], mask=left), replace(targets[1], mask=right))
    found = score_batch(images, masked, None, options, tagger=tagger)
    for t, target in enumerate(masked):
        alone = score_batch(images, (target,), None, options, tagger=tagger)
        assert [row[0] for row in alone.image_target] == [row[t] for row in found.image_target]


def test_tags_that_cannot_be() -> None:
    options = replace(PLAIN, loss_objectives=(("tags", 1.0),))
    with pytest.raises(OptionError, match="interrogator"):
        score_batch(batch(2), (), None, replace(options, tags_wanted=("cat",)))
    with pytest.raises(OptionError, match="tags_wanted"):
        score_batch(batch(2), (), None, options, tagger=tagger)
    with pytest.raises(HostError, match="1 answers for 2"):
        score_batch(batch(2), (), None, replace(options, tags_wanted=("cat",)), tagger=lambda images: [{}])
    with pytest.raises(HostError, match="not a probability"):
        score_batch(
            batch(2), (), None, replace(options, tags_wanted=("cat",)), tagger=lambda images: [{"cat": 7.0}] * 2
        )


def test_colour_ignores_place_and_measures_shifts() -> None:
    picture = photo(24, 32, 3)
    moved = np.roll(picture, (5, 9), axis=(0, 1))
    options = replace(PLAIN, loss_objectives=(("colour", 1.0),))
    found = score_batch(np.stack([moved, noise(24, 32, 1)]), batch_targets(picture[None]), None, options)
    assert found.image_target[0][0] == pytest.approx(0.0, abs=1e-9) and found.image_target[1][0] > 0.02
    greys = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (10, 60, 110, 250)])
    near = score_batch(greys[1:], batch_targets(greys[:1]), None, options)
    assert near.image_target[0][0] < near.image_target[1][0] < near.image_target[2][0]


def test_colour_of_a_pure_lightness_shift() -> None:
    """Black to white is 1 in OKLab lightness: the mean over the directions of their lightness part."""
    sides = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])
    found = score_batch(sides[1:], batch_targets(sides[:1]), None, replace(PLAIN, loss_objectives=(("colour", 1.0),)))
    assert found.fit == pytest.approx(0.5, abs=1e-3)


def both() -> LossOptions:
    return replace(PLAIN, loss_objectives=(("flip", 3.0), ("colour", 1.0)))


def test_several_objectives_start_at_one() -> None:
    images, targets = batch(3), batch_targets(batch(2, seed=50))
    first = score_batch(images, targets, None, both())
    for name in ("flip", "colour"):
        alone = score_batch(images, targets, None, replace(PLAIN, loss_objectives=((name, 1.0),)))
        assert first.normalisers[name] == pytest.approx(alone.loss)
        assert alone.normalisers == {name: 1.0}
    combined = 0.75 / first.normalisers["flip"] * np.array(alone_table("flip", images, targets).image_target)
    combined += 0.25 / first.normalisers["colour"] * np.array(alone_table("colour", images, targets).image_target)
    assert np.allclose(first.image_target, combined)


def alone_table(name: str, images: np.ndarray, targets: tuple[Target, ...]) -> BatchLoss:
    return score_batch(images, targets, None, replace(PLAIN, loss_objectives=((name, 1.0),)))


def test_normalisers_of_the_first_batch_are_kept() -> None:
    targets = batch_targets(batch(2, seed=50))
    first = score_batch(batch(3), targets, None, both())
    kept = json.loads(json.dumps(first.to_json()["normalisers"]))
    later = score_batch(batch(3, seed=20), targets, None, both(), normalisers=kept)
    assert later.normalisers == first.normalisers
    assert score_batch(batch(3), targets, None, both(), normalisers=kept).loss == first.loss
    assert later.objectives["flip"]["factor"] == pytest.approx(0.75 / kept["flip"])


def test_a_perfect_first_batch_is_not_divided_by_nothing() -> None:
    images = batch(1)
    assert score_batch(images, batch_targets(images), None, both()).normalisers == {"flip": 1.0, "colour": 1.0}


@pytest.mark.parametrize(("name", "package"), [("ssim", "pytorch_msssim"), ("ms-ssim", "pytorch_msssim")])
def test_structural_objectives(name: str, package: str) -> None:
    options = replace(PLAIN, loss_objectives=((name, 1.0),))
    images, targets = batch(2, 168, 170), batch_targets(batch(1, 168, 170))
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(OptionError, match="pip install pytorch-msssim"):
            score_batch(images, targets, None, options)
        return
    found = score_batch(images, targets, None, options)
    assert found.image_target[0][0] == pytest.approx(0.0, abs=1e-6) and 0 < found.image_target[1][0] <= 1
    assert found.image_image[0][1] == pytest.approx(found.image_target[1][0])
    with pytest.raises(OptionError, match="pixels a side"):
        score_batch(batch(2, 10, 10), batch_targets(batch(1, 10, 10)), None, options)


def test_st_lpips() -> None:
    """Numbers of the package's own network on three drawn images."""
    y, x = np.mgrid[0:64, 0:80]
    planes = [(x * 3, y * 3, x + y), (x * 3, y * 3, x * y // 20), (255 - x * 3, y * 2, x + y)]
    images = np.stack([np.stack(p, axis=-1) % 256 for p in planes]).astype(np.uint8)
    options = replace(PLAIN, loss_objectives=(("st-lpips", 1.0),))
    try:
        __import__("stlpips_pytorch")
    except ImportError:
        with pytest.raises(OptionError, match="pip install stlpips-pytorch"):
            score_batch(images, batch_targets(images[:1]), None, options)
        return
    for memory in (16, 512):
        found = score_batch(images, batch_targets(images[:1]), None, replace(options, loss_memory_mb=memory))
        expected = [0.053639914840459824, 0.6929746866226196]
        assert found.image_image[0][1:] == pytest.approx(expected, abs=1e-5)
        assert found.image_image[1][2] == pytest.approx(0.6974920630455017, abs=1e-5)
        assert found.image_target[0][0] == 0.0
    with pytest.raises(OptionError, match="32 pixels"):
        score_batch(batch(2, 31, 40), batch_targets(batch(1, 31, 40)), None, options)


def test_error_maps_wear_magma() -> None:
    pytest.importorskip("matplotlib")
    evaluator = pytest.importorskip("flip_evaluator")
    image, target = photo(24, 32, 0), photo(24, 32, 50)
    picture = error_map_image(error_map(image, batch_targets(target[None])[0]))
    sides = [side.astype(np.float32) / 255 for side in (target, image)]
    expected = evaluator.evaluate(*sides, "LDR", applyMagma=True, parameters={"ppd": 67.02})[0] * 255
    assert picture.dtype == np.uint8 and np.percentile(np.abs(picture - expected), 99) <= 2
    assert error_map_image(np.array([[0.0, 1.0, 2.0, -1.0]], np.float32))[0, 1:3].tolist() == [[252, 253, 191]] * 2
    with pytest.raises(TargetError, match="shape"):
        error_map(image[:5], batch_targets(target[None])[0])
