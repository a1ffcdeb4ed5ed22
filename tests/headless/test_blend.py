"""Merges in a loaded model: each weight's block, the bits of the file, LoRAs on top, and out again."""

from __future__ import annotations

import dataclasses
import gc
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from prompt_pins.config import RenderOptions
from prompt_pins.errors import CheckpointError, HostInterrupted, OptionError
from prompt_pins.headless.blend import Blend, unet_blocks
from prompt_pins.headless.checkpoint import EMBEDDED, load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.merged import MergedHost, open_sources
from prompt_pins.headless.opening import open_host
from prompt_pins.headless.single_file import networks_of
from prompt_pins.host import Recipe
from prompt_pins.merge.saving import save_merged
from prompt_pins.merge.sources import Sources
from safetensors.torch import load_file, save_file

from tests.headless.test_lora import digest
from tests.headless.tiny import Tiny
from tools import bake_lora

WORDS = "a large red circle on the left, blue background"
LORA = "<lora:prompt-pins-faded:0.6>"
JOB = RenderOptions(steps=3, batch_size=2, cfg_scale=5.0, sampler="DPM++ 2M", width=64, height=64)
WEIGHTS = {"BASE": 0.2, "IN00": 0.9, "IN03": 0.4, "M00": 1.0, "OUT02": 0.0}
RECIPE = Recipe(WORDS, settings=tuple(WEIGHTS.items()))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """B: the embedded model with its LoRA in the weights."""
    path = tmp_path_factory.mktemp("merge") / "faded.safetensors"
    save_file(bake_lora.baked(), path)
    return path


@pytest.fixture(scope="module")
def host(other: Path) -> HeadlessHost:
    return open_host(device="cpu", merge_with=str(other), prompt=LORA)


def images(host: HeadlessHost, recipe: Recipe, job: RenderOptions = JOB) -> np.ndarray:
    return host.render(recipe, (1, 2), job, False).images


def test_each_weight_of_each_layout_lies_in_the_block_of_its_key(tinies: dict[str, Tiny], layout: str) -> None:
    path = tinies[layout].file
    sources = Sources(path, path)
    numbers = {name: float(place) for place, name in enumerate(sources.names)}
    marked = {key: torch.full_like(weight, numbers[sources.merges[key]]) if key in sources.merges else weight
              for key, weight in load_file(path).items()}  # fmt: skip
    networks = networks_of(path, marked)
    blocks = unet_blocks(networks.unet, sources.names)
    for name, weight in networks.unet.named_parameters():
        assert bool((weight == numbers[blocks[name]]).all()), name
    assert set(blocks.values()) == set(sources.names) - {"BASE"}


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_merged_file_gives_the_same_images(host: MergedHost, tmp_path: Path, precision: str) -> None:
    job = dataclasses.replace(JOB, merge_precision=precision)
    path = tmp_path / "merged.safetensors"
    whole = {name: WEIGHTS.get(name, job.merge_start) for name in host.sources.names}
    save_merged(path, host.sources, whole, precision, "test")
    alone = HeadlessHost(load(path), device="cpu")
    found = images(host, RECIPE, job)
    assert digest(host.checkpoint) == digest(alone.checkpoint)
    # full precision is computed with where it lies in the file, and a processor rounds by that
    np.testing.assert_allclose(images(alone, Recipe(WORDS)).astype(int), found, atol=0 if precision == "fp16" else 1)
    mixed = dataclasses.replace(RECIPE, prompt=WORDS + LORA)
    mine = images(host, mixed, job)
    assert (mine != found).any()
    with_lora = open_host(str(path), "cpu", loras=bake_lora.LORA.parent, prompt=LORA)
    images(with_lora, Recipe(WORDS + LORA))
    assert digest(host.checkpoint) == digest(with_lora.checkpoint)


def test_it_is_out_again_to_the_bit_whatever_was_rendered(host: MergedHost) -> None:
    own = digest(HeadlessHost(device="cpu").checkpoint)
    images(host, dataclasses.replace(RECIPE, prompt=WORDS + LORA))
    changed = digest(host.checkpoint)
    host._stop.set()
    with pytest.raises(HostInterrupted):
        images(host, dataclasses.replace(RECIPE, settings=(("M00", 0.7),)))
    host._stop.clear()
    assert digest(host.checkpoint) not in (own, changed)
    host.restore()
    assert digest(host.checkpoint) == own


def test_a_change_that_breaks_off_is_made_good(host: MergedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = images(host, RECIPE)
    images(host, Recipe(WORDS))
    count = [0]
    copy = torch.Tensor.copy_

    def broken(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        count[0] += 1
        if count[0] == 40:
            raise KeyboardInterrupt
        return copy(self, other)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch.Tensor, "copy_", broken)
        images(host, RECIPE)
    np.testing.assert_array_equal(images(host, RECIPE), wanted)


def test_only_blocks_whose_weight_changed_are_touched_one_weight_at_a_time(host: MergedHost) -> None:
    images(host, RECIPE)
    blend, before = host._blend, _held()
    copied: list[int] = []

    class Counted(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            found = func(*args, **(kwargs or {}))
            if "copy_" in str(func):
                copied.append(args[0].numel())
            return found

    with Counted():
        blend.put({**host._weights, "M00": 0.25}, JOB.merge_precision)
    middle = blend._blocks["M00"]
    assert 0 < len(copied) <= 5 * len(middle)
    assert max(copied) == max(place.own[0].numel() for place in middle)
    assert _held() == before  # no tensor is left behind: both checkpoints lie in their files


def _held() -> int:
    """Bytes of all tensors that are alive."""
    gc.collect()
    found = {}
    for item in gc.get_objects():
        if type(item) in (torch.Tensor, torch.nn.Parameter):
            storage = item.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def test_what_it_tells_of_itself(host: MergedHost, other: Path) -> None:
    told = host.describe()
    assert told["merge_with_name"] == other.name and told["merge_with_sha256"] == host.sources.hashes[1]
    assert told["merge"]["blocks"] == list(host.sources.names) and np.shape(told["merge"]["gram"]) == (14, 1, 1)
    text = host.render(RECIPE, (1,), JOB, False).infotexts[0]
    assert "Merge with: faded" in text and 'Merge weights: "0.2,0.9,0.5,0.5,0.4,' in text
    assert host.settings(JOB) == {"cfg_scale": 5.0, **dict.fromkeys(host.sources.names, 0.5)}
    with pytest.raises(OptionError, match="IN11"):
        images(host, Recipe(WORDS, settings=(("IN11", 0.5),)))


def test_the_same_file_twice_and_another_layout_are_refused(tinies: dict[str, Tiny], other: Path) -> None:
    with pytest.raises(CheckpointError, match=r"merge_with: .* holds the same as"):
        open_sources("", str(EMBEDDED))
    with pytest.raises(CheckpointError, match=r"merge_with: .* another layout"):
        open_sources("", str(tinies["sd1"].file))
    with pytest.raises(CheckpointError, match=r"merge_with: .* another layout"):
        open_sources(str(tinies["sd1"].file), str(tinies["sdxl"].file))
    with pytest.raises(OptionError, match=r"merge_minus"):
        open_host(device="cpu", merge_minus=str(other))


def test_the_merge_of_a_layout_with_two_text_encoders(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    path, b = tinies["sdxl"].file, tmp_path / "b.safetensors"
    rng = torch.Generator().manual_seed(5)
    save_file({key: weight + torch.randn(weight.shape, generator=rng).to(weight) * 0.02
               if weight.is_floating_point() else weight for key, weight in load_file(path).items()}, b)  # fmt: skip
    sources, model = Sources(path, b), load(path)
    weights = {name: place / 20 for place, name in enumerate(sources.names)}
    HeadlessHost(model, device="cpu")  # places it
    blend = Blend(model, sources)
    blend.put(weights, "fp32")
    save_merged(tmp_path / "c.safetensors", sources, weights, "fp32", "test")
    shutil.copy(path.with_suffix(".yaml"), tmp_path / "c.yaml")
    alone = load(tmp_path / "c.safetensors")
    HeadlessHost(alone, device="cpu")
    assert digest(model) == digest(alone)
    blend.clear()
    again = load(path)
    HeadlessHost(again, device="cpu")
    assert digest(model) == digest(again)
