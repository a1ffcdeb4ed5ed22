"""LoRAs in the weights of a model: by the arithmetic, whatever the file's spelling, and out again to the bit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prompt_pins.config import RunConfig
from prompt_pins.errors import CheckpointError, PromptError
from prompt_pins.headless.checkpoint import Checkpoint, load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.lora import ADAPTER, Lora, load_lora
from prompt_pins.headless.lora_tags import Loras, Tag
from prompt_pins.headless.predictor import TRACED_AFTER, Predictor
from prompt_pins.host import Recipe, View
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from tests.headless.tiny import LAYOUTS, Tiny, unet_blocks

JOB = RunConfig(prompt="a cat", steps=2, batch_size=2, width=64, height=64, sampler="DPM++ 2M")
RANK = 2
ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
PLACES = {
    "linear": ATTENTION,
    "out": "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0",
    "conv": "up_blocks.1.resnets.0.conv1",
    "stride": "down_blocks.0.downsamplers.0.conv",
    "time": "mid_block.resnets.1.time_emb_proj",
}
TEXT = "encoder.layers.0.mlp.fc1"


def part(model: Checkpoint, path: str) -> Any:
    """A layer by its place, of the UNet or of the first text encoder."""
    if not path.startswith("encoder."):
        return model.unet.get_submodule(path)
    text = model.towers[0].network
    return getattr(text, "text_model", text).get_submodule(path)


def pair(weight: Tensor, seed: int, rank: int = RANK) -> tuple[Tensor, Tensor]:
    """(down, up) for a weight, at random."""
    draw = torch.Generator().manual_seed(seed)
    down = torch.randn((rank, *weight.shape[1:]), generator=draw)
    return down * 0.1, torch.randn((len(weight), rank, *[1] * (weight.ndim - 2)), generator=draw)


def kohya(path: str) -> str:
    return ("lora_te1_text_model_" if path.startswith("encoder.") else "lora_unet_") + path.replace(".", "_")


def written(folder: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Lora:
    """A file `x` with these tensors, loaded."""
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "x.safetensors", metadata)
    return load_lora(folder / "x.safetensors", "x")


def of_layers(model: Checkpoint, paths: dict[str, str], alpha: float | None = 1.0) -> dict[str, Tensor]:
    """kohya's tensors for some layers."""
    found = {}
    for seed, (name, path) in enumerate(paths.items()):
        down, up = pair(part(model, path).weight, seed)
        found |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        found |= {} if alpha is None else {f"{name}.alpha": torch.tensor(alpha)}
    return found


def digest(model: Checkpoint) -> str:
    """Of every number of its networks."""
    found = hashlib.sha256()
    for network in model.networks:
        for key, value in network.state_dict().items():
            found.update(key.encode() + value.contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


@pytest.fixture
def model(tinies: dict[str, Tiny], layout: str) -> Checkpoint:
    found = load(tinies[layout].file)
    for network in found.networks:
        nn.Module.float(network)
    return dataclasses.replace(found, pixels=64)


@pytest.fixture
def small(tiny: Tiny) -> Checkpoint:
    """Of Stable Diffusion 1.x, for what does not differ."""
    found = load(tiny.file)
    for network in found.networks:
        nn.Module.float(network)
    return found


def test_a_layer_answers_as_with_its_low_rank_branch_beside_it(model: Checkpoint, tmp_path: Path) -> None:
    paths = {kohya(path): path for path in (*PLACES.values(), TEXT)}
    lora = written(tmp_path, of_layers(model, paths, alpha=3.0))
    plain = {path: part(model, path).weight.clone() for path in paths.values()}
    model.merge.check(lora)
    model.merge.put(((lora, Tag("x", -0.5, 0.7)),))
    for seed, path in enumerate(paths.values()):
        layer, multiplier = part(model, path), -0.5 if path == TEXT else 0.7
        down, up = pair(plain[path], seed)
        x = torch.randn((3, plain[path].shape[1], 8, 8)[: plain[path].ndim])
        if isinstance(layer, nn.Conv2d):
            branch = conv2d(conv2d(x, down, None, layer.stride, layer.padding), up)
            wanted = conv2d(x, plain[path], layer.bias, layer.stride, layer.padding) + multiplier * 1.5 * branch
        else:
            wanted = linear(x, plain[path], layer.bias) + multiplier * 1.5 * linear(linear(x, down), up)
        assert torch.allclose(layer(x), wanted, atol=2e-5), path


def test_a_tucker_core_is_a_third_convolution(small: Checkpoint, tmp_path: Path) -> None:
    layer: Any = small.unet.get_submodule(PLACES["conv"])
    out, into = layer.weight.shape[:2]
    plain, mid = layer.weight.clone(), torch.randn(RANK, RANK, 3, 3) * 0.2
    down, up = torch.randn(RANK, into, 1, 1) * 0.2, torch.randn(out, RANK, 1, 1)
    name = kohya(PLACES["conv"])
    tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_mid.weight": mid, f"{name}.lora_up.weight": up}
    small.merge.put(((written(tmp_path, tensors), Tag("x", 1, 2.0)),))
    x = torch.randn(1, into, 8, 8)
    branch = conv2d(conv2d(conv2d(x, down), mid, padding=1), up)
    assert torch.allclose(layer(x), conv2d(x, plain, layer.bias, padding=1) + 2 * branch, atol=2e-5)


def test_a_linear_file_fits_a_1_x_1_convolution_and_fewer_ranks_may_be_used(small: Checkpoint, tmp_path: Path) -> None:
    path = "mid_block.attentions.0.proj_in"
    layer: Any = small.unet.get_submodule(path)
    assert isinstance(layer, nn.Conv2d)
    plain = layer.weight.clone()
    down, up = torch.randn(3, plain.shape[1]), torch.randn(len(plain), 3)
    lora = written(tmp_path, {f"{kohya(path)}.lora_down.weight": down, f"{kohya(path)}.lora_up.weight": up})
    small.merge.check(lora)
    small.merge.put(((lora, Tag("x", 1, 1.0)),))
    assert torch.allclose(layer.weight[:, :, 0, 0], plain[:, :, 0, 0] + up @ down, atol=1e-5)
    small.merge.put(((lora, Tag("x", 1, 1.0, 2)),))
    assert torch.allclose(layer.weight[:, :, 0, 0], plain[:, :, 0, 0] + up[:, :2] @ down[:2], atol=1e-5)


def test_what_is_taken_out_leaves_every_bit(model: Checkpoint, tmp_path: Path) -> None:
    paths = {kohya(path): path for path in (*PLACES.values(), TEXT)}
    lora = written(tmp_path, of_layers(model, paths))
    before, merged = digest(model), set()
    for te, unet in ((0.3, 0.3), (1, 0), (-0.5, 1e6), (1.0, 1.0), (1.0, 1.0)):
        model.merge.put(((lora, Tag("x", te, unet)), (lora, Tag("x", te, unet))))
        merged.add(digest(model))
    assert len(merged) == 4 and before not in merged
    model.merge.put(())
    assert digest(model) == before


def test_a_merge_that_fails_on_the_way_is_made_good(
    small: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {kohya(path): path for path in PLACES.values()}
    lora = written(tmp_path, of_layers(small, paths))
    before, mix = digest(small), ((lora, Tag("x", 1, 1)),)
    whole = type(lora.layers[kohya(ATTENTION)]).change
    asked = []

    def fails(layer: Any, *given: Any) -> Tensor:
        asked.append(layer)
        if len(asked) == 3:
            raise RuntimeError("out of memory")
        return whole(layer, *given)

    with monkeypatch.context() as patch:
        patch.setattr(type(lora.layers[kohya(ATTENTION)]), "change", fails)
        with pytest.raises(RuntimeError):
            small.merge.put(mix)
    assert digest(small) != before
    small.merge.put(())
    assert digest(small) == before


def test_half_precision_is_rounded_once(tiny: Tiny, tmp_path: Path) -> None:
    model = load(tiny.file)
    nn.Module.half(model.unet)
    layer = part(model, ATTENTION)
    plain = layer.weight.clone()
    lora = written(tmp_path, of_layers(model, {kohya(ATTENTION): ATTENTION}, alpha=None))
    model.merge.put(((lora, Tag("x", 1, 0.3)), (lora, Tag("x", 1, 0.3))))
    down, up = pair(plain, 0)
    wanted = plain.double() + 0.6 * (up.double() @ down.double())
    step = 2.0 ** (torch.floor(torch.log2(wanted.abs())) - 10)  # of half precision there
    assert bool(((layer.weight.double() - wanted).abs() <= 0.5001 * step + 1e-6).all())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_original_layouts_names_are_known(tinies: dict[str, Tiny], layout: str) -> None:
    model = load(tinies[layout].file)
    unet, blocks, found = model.unet, unet_blocks(model.unet), 0
    for path, module in unet.named_modules():
        if not isinstance(module, (nn.Linear, nn.Conv2d)):
            continue
        block = max((one for one in blocks if f"{path}.".startswith(f"{one}.")), key=len)
        inner = path.removeprefix(block).removeprefix(".")
        inner = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
                 "conv_shortcut": "skip_connection"}.get(inner, inner)  # fmt: skip
        name = f"{blocks[block]}.{inner}".rstrip(".")
        assert model.merge._layers["lora_unet_" + name.replace(".", "_")] is module, name
        found += 1
    assert found > 60


def test_each_text_encoder_has_its_own_names(tinies: dict[str, Tiny]) -> None:
    for layout in LAYOUTS:
        model = load(tinies[layout].file)
        inner = [getattr(tower.network, "text_model", tower.network) for tower in model.towers]
        layers = model.merge._layers
        for number, text in enumerate(inner, 1):
            wanted = text.get_submodule("encoder.layers.1.self_attn.out_proj")
            assert layers[f"lora_te{number}_text_model_encoder_layers_1_self_attn_out_proj"] is wanted
        alone = "lora_te_text_model_encoder_layers_1_self_attn_out_proj"
        assert (alone in layers) == (len(model.towers) == 1)


SPELLINGS = {
    "kohya": ("lora_unet_{_}.lora_down.weight", "lora_unet_{_}.lora_up.weight"),
    "peft": ("unet.{}.lora_A.weight", "unet.{}.lora_B.weight"),
    "peft alone": ("base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"),
    "diffusers": ("unet.{}.lora.down.weight", "unet.{}.lora.up.weight"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_one_layer(small: Checkpoint, tmp_path: Path, spelling: str) -> None:
    plain = part(small, ATTENTION).weight.clone()
    down, up = pair(plain, 1)
    names = [name.format(ATTENTION, _=ATTENTION.replace(".", "_")) for name in SPELLINGS[spelling]]
    small.merge.put(((written(tmp_path, dict(zip(names, (down, up)))), Tag("x", 0, 1)),))
    assert torch.allclose(part(small, ATTENTION).weight, plain + up @ down, atol=1e-6)


def test_older_spellings_of_diffusers(small: Checkpoint, tmp_path: Path) -> None:
    attention, outs = ATTENTION.removesuffix(".to_k"), "text_model.encoder.layers.0.self_attn.q_proj"
    key, out = part(small, ATTENTION).weight, small.unet.get_submodule(f"{attention}.to_out.0").weight
    query = part(small, "encoder.layers.0.self_attn.q_proj").weight
    whole = [weight.clone() for weight in (key, out, query)]
    tensors = {}
    for name, weight in (
        (f"unet.{attention}.processor.to_k_lora", key),
        (f"{attention}.processor.to_out_lora", out),
        (f"text_encoder.{outs}.lora_linear_layer", query),
    ):
        tensors[f"{name}.down.weight"], tensors[f"{name}.up.weight"] = pair(weight, 2)
    lora = written(tmp_path, tensors)
    small.merge.check(lora)
    small.merge.put(((lora, Tag("x", 1, 1)),))
    for plain, weight in zip(whole, (key, out, query)):
        down, up = pair(plain, 2)
        assert torch.allclose(weight, plain + up @ down, atol=1e-6)


def test_pefts_configuration_says_the_scale(small: Checkpoint, tmp_path: Path) -> None:
    path = PLACES["out"]
    tensors = {}
    for place in (ATTENTION, path):
        down, up = pair(part(small, place).weight, 3)
        tensors |= {f"unet.{place}.lora_A.weight": down, f"unet.{place}.lora_B.weight": up}
    said = {"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_out.0": 6}, "unet.use_rslora": False}
    lora = written(tmp_path, tensors, {ADAPTER: json.dumps(said)})
    assert lora.layers[kohya(ATTENTION)].scale == 4 and lora.layers[kohya(path)].scale == 3
    rooted = written(tmp_path, tensors, {ADAPTER: json.dumps({**said, "unet.use_rslora": True})})
    assert rooted.layers[kohya(ATTENTION)].scale == pytest.approx(8 / 2**0.5)
    assert written(tmp_path, tensors, {ADAPTER: "{"}).layers[kohya(path)].scale == 1


NAME = kohya(ATTENTION)
DOWN, UP = f"{NAME}.lora_down.weight", f"{NAME}.lora_up.weight"
CORE = {DOWN: torch.ones(2, 3, 1, 1), UP: torch.ones(4, 2, 1, 1)}


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({f"{NAME}.hada_w1_a": torch.ones(2, 2)}, "is a LoHa"),
        ({f"{NAME}.lokr_w1": torch.ones(2, 2)}, "is a LoKr"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4, 2), f"{NAME}.dora_scale": torch.ones(4, 1)}, "is a DoRA"),
        ({"unet.x.lora_magnitude_vector": torch.ones(4)}, "is a DoRA"),
        ({f"{NAME}.oft_blocks": torch.ones(2, 2)}, "is an OFT"),
        ({f"{NAME}.diff": torch.ones(2, 2)}, "is one of full differences"),
        ({f"{NAME}.a1.weight": torch.ones(2, 2)}, "is a GLoRA"),
        ({"bundle_emb.x.string_to_param.*": torch.ones(2, 2)}, "is one with textual inversions"),
        ({"model.diffusion_model.out.2.weight": torch.ones(2, 2)}, "is of an unknown kind"),
        ({DOWN: torch.ones(2, 3)}, "holds no up for"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4, 3)}, "do not fit one another"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4)}, "do not fit one another"),
        ({DOWN: torch.ones(2, 3), UP: torch.full((4, 2), torch.nan)}, "NaN"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4, 2), f"{NAME}.alpha": torch.ones(2)}, "its alpha is no number"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4, 2), f"{NAME}.alpha": torch.tensor(1j)}, "its alpha is no number"),
        ({DOWN: torch.ones(0, 3), UP: torch.ones(4, 0)}, "do not fit one another"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(0, 2)}, "do not fit one another"),
        ({**CORE, f"{NAME}.lora_mid.weight": torch.ones(2, 2)}, "do not fit one another"),
        ({**CORE, f"{NAME}.lora_mid.weight": torch.ones(2, 2, 3, 3, 1)}, "do not fit one another"),
        ({**CORE, f"{NAME}.lora_mid.weight": torch.ones(2, 2, 3, 3), DOWN: torch.ones(2, 3, 3, 3)}, "do not fit one"),
        ({**CORE, f"{NAME}.lora_mid.weight": torch.full((2, 2, 3, 3), torch.nan)}, "NaN"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4, 2), f"{NAME}.lora_A.weight": torch.ones(2, 3)}, "a second time"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(4, 2), f"unet.{ATTENTION}.lora_A.weight": torch.ones(2, 3)}, "second"),
        ({}, "holds no layers"),
    ],
)
def test_files_of_other_kinds_are_refused_by_name(tmp_path: Path, tensors: dict[str, Tensor], said: str) -> None:
    with pytest.raises(CheckpointError, match=f"x.safetensors.*{said}"):
        written(tmp_path, tensors)


def test_what_metadata_and_precisions_files_may_have(tmp_path: Path) -> None:
    small = {DOWN: torch.ones(2, 3).to(torch.float8_e4m3fn), UP: torch.ones(4, 2).to(torch.float8_e4m3fn)}
    plain, named = (written(tmp_path, small, said) for said in (None, {"sshs_model_hash": ""}))
    assert torch.equal(plain.layers[NAME].change(torch.zeros(4, 3)), torch.full((4, 3), 2.0))
    assert plain.short == named.short != ""
    peft = {f"unet.{ATTENTION}.lora_A.weight": torch.ones(2, 3), f"unet.{ATTENTION}.lora_B.weight": torch.ones(4, 2)}
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        written(tmp_path, peft, {"lora_adapter_metadata": f'{{"unet.lora_alpha": 1{"0" * 400}}}'})


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(CheckpointError, match=r"x\.safetensors is damaged"):
        load_lora(path, "x")
    with pytest.raises(CheckpointError, match="is no file"):
        load_lora(tmp_path, "x")


def test_a_lora_of_another_model_is_refused(
    small: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flux = {
        "transformer.blocks.0.q.lora_A.weight": torch.ones(2, 3),
        "transformer.blocks.0.q.lora_B.weight": torch.ones(4, 2),
    }
    with pytest.raises(CheckpointError, match="another kind of model: this one has none"):
        small.merge.check(written(tmp_path, flux))
    with pytest.raises(CheckpointError, match=r"is for a weight of 4 x 3, this one's is \d+ x \d+"):
        small.merge.check(written(tmp_path, {DOWN: torch.ones(2, 3), UP: torch.ones(4, 2)}))
    mine = of_layers(small, {NAME: ATTENTION})
    small.merge.check(written(tmp_path, {**mine, **flux}))
    context = small.unet.config.cross_attention_dim
    for name in (NAME, NAME.replace("down_blocks_1", "down_blocks_9")):
        for width, model in ((768, "Stable Diffusion 1.x"), (1024, "Stable Diffusion 2.x"), (2048, "SDXL")):
            keys = {f"{name}.lora_down.weight": torch.ones(2, width), f"{name}.lora_up.weight": torch.ones(4, 2)}
            said = f"x.safetensors is for {model}, and this is a model whose prompts' vectors have {context} numbers: "
            with pytest.raises(CheckpointError, match=said):
                small.merge.check(written(tmp_path, keys))
    text = {"lora_te2_x.lora_down.weight": torch.ones(2, 3), "lora_te2_x.lora_up.weight": torch.ones(4, 2)}
    with pytest.raises(CheckpointError, match="is for SDXL, and this is"):
        small.merge.check(written(tmp_path, text))
    assert "1 of its 2 layers are not in this model, such as transformer_blocks_0_q" in caplog.text


@pytest.fixture
def changed(model: Checkpoint, tmp_path: Path) -> HeadlessHost:
    """A host with a LoRA `x` of all kinds of layers, and one `u` of the UNet alone."""
    paths = {kohya(path): path for path in (*PLACES.values(), TEXT)}
    every = written(tmp_path, of_layers(model, paths))
    only = dataclasses.replace(written(tmp_path, of_layers(model, {NAME: ATTENTION})), name="u")
    return HeadlessHost(model, "cpu", loras=Loras([every, only]))


def images(host: HeadlessHost, prompt: str, negative: str = "") -> np.ndarray:
    return host.render(Recipe(prompt, negative), (1,), JOB, False).images


def test_a_prompts_tags_change_its_images_and_no_others(changed: HeadlessHost) -> None:
    before, plain = digest(changed.checkpoint), images(changed, "a cat")
    other = HeadlessHost(changed.checkpoint, "cpu")
    seen = {prompt: images(changed, prompt).tobytes() for prompt in (
        "a cat<lora:x:1>", "a cat<lora:x:0.5>", "a cat<lora:x:0:0.5>", "a cat<lora:x:te=0.5:unet=0>", "a cat<lora:u>",
        "a cat<lora:u:1><lora:x:1>",
    )}  # fmt: skip
    assert len({*seen.values(), plain.tobytes()}) == 7
    assert np.array_equal(images(changed, "a cat<lyco:x>"), images(changed, "a cat<lora:x:1:1>"))
    assert np.array_equal(images(other, "a cat"), plain)  # of the same model
    assert np.array_equal(images(changed, "a cat<lora:x:0>"), plain)
    for prompt, found in seen.items():  # whatever was rendered before
        assert images(changed, prompt).tobytes() == found
    images(changed, "a cat", "<lora:x:1>")  # a negative prompt's are words
    assert digest(changed.checkpoint) == before
    with pytest.raises(PromptError, match="no LoRA 'y' is loaded"):
        images(changed, "a cat<lora:y:1>")


def test_encodings_are_kept_for_each_multiplier_that_text_encoders_hear(changed: HeadlessHost) -> None:
    kept = changed.reader.encoder._kept
    for prompt in ("a cat<lora:u:0.1>", "a cat<lora:u:0.7>", "a cat"):
        images(changed, prompt)
    assert len(kept) == 2  # the text and the empty one
    for prompt in ("a cat<lora:x:0.1>", "a cat<lora:x:0.7>", "a cat<lora:x:0.7:0.2>"):
        images(changed, prompt)
    assert len(kept) == 6


def test_a_traced_network_hears_of_changes(small: Checkpoint, tmp_path: Path) -> None:
    lora = written(tmp_path, of_layers(small, {NAME: ATTENTION, kohya(PLACES["conv"]): PLACES["conv"]}))
    host = HeadlessHost(small, "cpu", loras=Loras([lora]))
    long = dataclasses.replace(JOB, steps=TRACED_AFTER + 2)
    plain = host.render(Recipe("a cat"), (1,), long, False).images
    assert host._predictor._traced
    host._predictor, traced = Predictor(small.unet, traced=False), host._predictor
    for prompt in ("a cat<lora:x:0.6>", "a cat"):
        slow = images(host, prompt)
        host._predictor = traced
        assert np.array_equal(images(host, prompt), slow)
        host._predictor = Predictor(small.unet, traced=False)
    assert not np.array_equal(images(host, "a cat<lora:x:0.6>"), images(host, "a cat"))
    host._predictor = traced
    assert np.array_equal(host.render(Recipe("a cat"), (1,), long, False).images, plain)


def test_misfits_of_many_are_those_of_each(changed: HeadlessHost) -> None:
    recipes = [
        Recipe(f"a {words}<lora:x:{multiplier}>", "blurry")
        for words, multiplier in (("cat", 0.5), ("(cat:1.2)", 1), ("dog", 0.5), ("cat", 0))
    ] + [Recipe("a cat", "blurry")]
    rng = np.random.default_rng(2)
    given = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)]
    views = (View(0, 0, 3), View(0, 1, 4))
    together = changed.misfits(recipes, given, [None], views, JOB)
    alone = [changed.misfits([recipe], given, [None], views, JOB).values[0] for recipe in recipes]
    assert np.abs(together.values - np.stack(alone)).max() < 1e-4 and together.evaluations == 10
    assert len({f"{row[0]:.5f}" for row in together.values[:3]}) == 3
    assert np.abs(together.values[3] - together.values[4]).max() < 1e-4


def test_infotexts_name_the_hashes(changed: HeadlessHost) -> None:
    (lora, *_) = changed.loras
    (text,) = changed.render(Recipe("a cat<lora:x:0.5>"), (1,), JOB, False).infotexts
    assert f'Lora hashes: "x: {lora.short}"' in text and text.startswith("a cat<lora:x:0.5>\n")
    content = lora.path.read_bytes()
    data = content[8 + int.from_bytes(content[:8], "little") :]
    (only,) = [one for one in changed.loras if one.name == "u"]
    assert only.short == hashlib.sha256(data).hexdigest()[:12]
    assert "Lora" not in changed.render(Recipe("a cat"), (1,), JOB, False).infotexts[0]
    assert set(changed.describe()["loras"]) == {"x", "u"} and "loras_folder" not in changed.describe()
    assert only.sha256 == hashlib.sha256(content).hexdigest()
