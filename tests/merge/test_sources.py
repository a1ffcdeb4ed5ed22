"""Merged files against an independent statement of the WebUI's merger; checkpoints that do not go together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from prompt_pins.errors import CheckpointError
from prompt_pins.merge.distances import coefficients, corners, distances, plane
from prompt_pins.merge.saving import save_merged
from prompt_pins.merge.sources import Sources, check_unlike
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

UNET = "model.diffusion_model."
IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
Weights = dict[str, Tensor]


def model(seed: int, dtype: torch.dtype = torch.float32) -> Weights:
    """A few weights of every kind that a checkpoint has."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {
        f"{UNET}input_blocks.0.0.weight": (4, 4, 3, 3), f"{UNET}input_blocks.1.0.weight": (8, 4),
        f"{UNET}middle_block.0.bias": (8,), f"{UNET}output_blocks.0.0.weight": (3, 8), f"{UNET}out.2.bias": (3,),
        f"{UNET}time_embed.0.weight": (2, 2), "first_stage_model.decoder.bias": (5,),
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": (6,), "cond_stage_model.logit_scale": (),
        "betas": (7,),
    }  # fmt: skip
    found = {key: torch.randn(shape, generator=rng).to(dtype) for key, shape in shapes.items()}
    return {**found, IDS: torch.arange(7)[None]}


def webui(a: Weights, b: Weights, c: Weights | None, alpha: float) -> Weights:
    """What AUTOMATIC1111's checkpoint merger makes of them, stated anew in numpy."""
    found = {}
    for key, mine in a.items():
        found[key] = mine
        if "model" in key and key in b and key != IDS:
            x, y = mine.numpy(), b[key].numpy()
            if c is None:
                found[key] = torch.from_numpy(np.asarray((1 - alpha) * x + alpha * y))
            else:
                gap = y - c[key].numpy() if key in c else np.zeros_like(y)
                found[key] = torch.from_numpy(np.asarray(x + alpha * gap))
    return found


def write(path: Path, weights: Weights) -> Path:
    save_file(weights, path)
    return path


@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_it_is_the_webuis_merge_key_for_key(tmp_path: Path, three: bool, alpha: float) -> None:
    models = [model(seed) for seed in range(2 + three)]
    del models[1][f"{UNET}input_blocks.1.0.weight"]  # keys that one of them lacks, or has alone
    models[1]["model.more"] = torch.zeros(3)
    if three:
        del models[2][f"{UNET}output_blocks.0.0.weight"]
    paths = [write(tmp_path / f"{name}.safetensors", weights) for name, weights in zip("abc", models)]
    sources = Sources(*paths)
    out = tmp_path / "merged.safetensors"
    save_merged(out, sources, dict.fromkeys(sources.names, alpha), "fp32", "test")
    wanted = webui(models[0], models[1], models[2] if three else None, alpha)
    found = load_file(out)
    assert list(found) == sorted(wanted) and sources.names == ("BASE", "IN00", "IN01", "M00", "OUT00")
    for key, weight in wanted.items():
        assert found[key].dtype == weight.dtype and found[key].shape == weight.shape
        torch.testing.assert_close(found[key], weight, rtol=1e-6, atol=1e-7, msg=key)


def test_the_file_tells_what_it_is_made_of(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{name}.safetensors", model(seed)) for seed, name in enumerate("ab"))
    sources, once, twice = Sources(a, b), tmp_path / "once.safetensors", tmp_path / "twice.safetensors"
    weights = dict(zip(sources.names, (0.0, 0.25, 0.5, 0.75, 1.0)))
    save_merged(once, sources, weights, "fp16", "test")
    save_merged(twice, Sources(once, a), dict.fromkeys(sources.names, 0.5), "fp32", "test")
    with safe_open(once, framework="pt") as file:
        told = file.metadata()
    recipe = json.loads(told["sd_merge_recipe"])
    assert recipe["primary_model_hash"] == sources.hashes[0] and recipe["secondary_model_hash"] == sources.hashes[1]
    assert (recipe["interp_method"], recipe["multiplier"], recipe["save_as_half"]) == ("Weighted sum", None, True)
    assert recipe["block_weights"] == weights and told["block_weights"] == "0,0.25,0.5,0.75,1"
    with safe_open(twice, framework="pt") as file:
        again = file.metadata()
    assert json.loads(again["sd_merge_recipe"])["multiplier"] == 0.5
    models = json.loads(again["sd_merge_models"])
    assert set(models) == {*sources.hashes, Sources(once, a).hashes[0]}  # of the merge that it is made of, too
    assert models[Sources(once, a).hashes[0]]["sd_merge_recipe"] == recipe
    half = load_file(once)
    assert half[f"{UNET}out.2.bias"].dtype == torch.float16 and half["betas"].dtype == torch.float32
    assert half[IDS].dtype == torch.int64


def test_half_and_full_precision_go_together(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{name}.safetensors", model(seed, dtype))
            for seed, (name, dtype) in enumerate((("a", torch.float16), ("b", torch.bfloat16))))  # fmt: skip
    sources, key = Sources(a, b), f"{UNET}out.2.bias"
    found = sources.merge(key, 0.3, torch.float32)
    torch.testing.assert_close(found, 0.7 * load_file(a)[key].float() + 0.3 * load_file(b)[key].float())


def test_what_cannot_be_merged_is_one_sentence(tmp_path: Path) -> None:
    a = write(tmp_path / "a.safetensors", model(0))
    nine = write(tmp_path / "b.safetensors", {**model(1), f"{UNET}input_blocks.0.0.weight": torch.zeros(4, 9, 3, 3)})
    with pytest.raises(CheckpointError, match=r"merge_with: .* another layout .* 4 x 9 x 3 x 3, not 4 x 4 x 3 x 3"):
        Sources(a, nine)
    other = write(tmp_path / "c.safetensors", {"lora_unet.alpha": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"merge_with: .*none of its weights"):
        Sources(a, other)
    for path in (tmp_path / "none.safetensors", tmp_path, Path(__file__)):
        with pytest.raises(CheckpointError, match=r"merge_minus: .* is not a single \.safetensors file"):
            Sources(a, nine.with_name("a.safetensors"), path)
    (tmp_path / "bad.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(CheckpointError, match=r"merge_with: .* damaged"):
        Sources(a, tmp_path / "bad.safetensors")
    nan = write(tmp_path / "nan.safetensors", {**model(1), f"{UNET}out.2.bias": torch.tensor([0.0, torch.nan, 1.0])})
    with pytest.raises(CheckpointError, match=r"merge_with: .* no numbers .*out.2.bias"):
        Sources(a, nan).gram()
    again = write(tmp_path / "again.safetensors", model(0))
    with pytest.raises(CheckpointError, match=r"merge_with: .* holds the same"):
        check_unlike(Sources(a, again).paths, Sources(a, again).hashes)
    three = Sources(a, nan, nan)
    with pytest.raises(CheckpointError, match=r"merge_minus: .* holds the same"):
        check_unlike(three.paths, three.hashes)


@pytest.mark.parametrize("three", [False, True])
def test_distances_of_merges_are_those_of_their_weights(tmp_path: Path, three: bool) -> None:
    models = [model(seed) for seed in range(2 + three)]
    sources = Sources(*(write(tmp_path / f"{i}.safetensors", weights) for i, weights in enumerate(models)))
    count, rng = len(sources.names), np.random.default_rng(1)
    points, vectors = corners(count, 2 + three), [[weights[key] for key in sources.merges] for weights in models]
    for _ in range(3):
        weights = dict(zip(sources.names, rng.random(count)))
        points.append(coefficients(weights, three))
        vectors.append([sources.merge(key, weights[block], torch.float32) for key, block in sources.merges.items()])
    flat = [torch.cat([part.flatten() for part in vector]).double().numpy() for vector in vectors]
    wanted = np.array([[np.linalg.norm(x - y) for y in flat] for x in flat])
    np.testing.assert_allclose(distances(points, sources.gram()), wanted, rtol=1e-5, atol=1e-5)


def test_what_lies_in_a_plane_is_drawn_as_it_is() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(6, 2))
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    placed = plane(gaps)
    np.testing.assert_allclose(np.linalg.norm(placed[:, None] - placed[None], axis=2), gaps, atol=1e-9)
    assert np.ptp(placed[:, 0]) > 0 and placed.shape == (6, 2)


def test_writing_holds_one_weight_of_each_checkpoint(tmp_path: Path) -> None:
    """Of 12 weights of 2 MB, each merged in float32, no more than a few are in memory at once."""
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("this system does not tell a process's own memory")

    def held() -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("RssAnon"))

    size = 12
    for seed, name in enumerate("ab"):
        rng = torch.Generator().manual_seed(seed)
        write(tmp_path / f"{name}.safetensors", {
            f"{UNET}input_blocks.{i}.0.weight": torch.randn((1000, 1000), generator=rng).half() for i in range(size)
        })  # fmt: skip
    sources, peak, before = Sources(tmp_path / "a.safetensors", tmp_path / "b.safetensors"), 0, held()
    merge = sources.merge

    def watched(*given: object) -> Tensor:
        nonlocal peak
        found = merge(*given)  # type: ignore[arg-type]
        peak = max(peak, held() - before)
        return found

    sources.merge = watched  # type: ignore[method-assign]
    sources.gram()
    save_merged(tmp_path / "c.safetensors", sources, dict.fromkeys(sources.names, 0.3), "fp32", "test")
    assert (tmp_path / "c.safetensors").stat().st_size > size * 4_000_000
    assert peak < 36_000  # kB; all weights of one file are 24 MB, and of the merged one 48
