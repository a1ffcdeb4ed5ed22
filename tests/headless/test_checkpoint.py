"""Checkpoints: both layouts give the same networks, and everything else is refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from prompt_pins.errors import CheckpointError
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.networks import open_clip_keys, text_encoder_from
from prompt_pins.headless.settings import read_config
from prompt_pins.headless.shapes import text_config
from prompt_pins.headless.single_file import LAYOUTS, _networks
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig

from tests.headless.tiny import FULL, WIDTH, Tiny, ldm_weights, make, weights, write_json


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


EXPECTED = {
    "sd1": ("eps", 0.18215, 64, [("clip_l", 49407)]),
    "sd2": ("v", 0.18215, 64, [("clip_l", 0)]),
    "sdxl": ("eps", 0.13025, 1024, [("clip_l", 49407), ("clip_g", 0)]),
}


@pytest.mark.parametrize("place", ["file", "folder"])
def test_both_places_give_back_every_weight(tinies: dict[str, Tiny], layout: str, place: str) -> None:
    tiny = tinies[layout]
    found = load(getattr(tiny, place))
    assert same(found.unet, tiny.unet) and same(found.vae, tiny.vae)
    assert all(same(tower.network, text) for tower, text in zip(found.towers, tiny.texts, strict=True))
    told = [(tower.name, tower.pad) for tower in found.towers]
    assert (found.prediction, found.scaling, found.pixels, told) == EXPECTED[layout]
    assert found.name == getattr(tiny, place).name.removesuffix(".safetensors") and len(found.sha256()) == 64


def test_half_precision_folders_load(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    tiny, folder = tinies["sdxl"], tmp_path / "half"
    shutil.copytree(tiny.folder, folder)
    for path in list(folder.rglob("*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    found = load(folder)
    assert same(found.unet, tiny.unet) and same(found.towers[1].network, tiny.texts[1])


def copied(tiny: Tiny, tmp_path: Path, changed: str = "", into: str = "", beside: bool = True) -> Path:
    """A copy of a tiny file with its yaml, in which a text is replaced by another."""
    path = tmp_path / "with.yaml.safetensors"
    shutil.copy(tiny.file, path)
    text = tiny.file.with_suffix(".yaml").read_text()
    assert changed in text
    if beside:
        path.with_suffix(".yaml").write_text(text.replace(changed, into) if changed else text)
    return path


def test_the_yaml_beside_a_file_wins(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    assert load(copied(tinies["sd1"], tmp_path, "parameterization: eps", "parameterization: v")).prediction == "v"
    assert load(copied(tinies["sd1"], tmp_path, "    parameterization: eps\n")).prediction == "eps"
    assert load(copied(tinies["sd1"], tmp_path, "scale_factor: 0.18215", "scale_factor: 0.25")).scaling == 0.25
    assert load(copied(tinies["sd1"], tmp_path, "image_size: 8", "image_size: 16")).pixels == 128
    found = load(copied(tinies["sd2"], tmp_path, "linear_end: 0.0120", "linear_end: 0.02"))
    assert found.levels.sigma_max > load(tinies["sd2"].file).levels.sigma_max
    assert load(copied(tinies["sdxl"], tmp_path, "EpsScaling", "VScaling")).prediction == "v"
    assert load(copied(tinies["sdxl"], tmp_path, "scale_factor: 0.13025", "scale_factor: 0.5")).scaling == 0.5


def test_a_small_unets_heads_are_said_by_its_yaml_alone(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    one, many = (load(copied(tinies["sd1"], tmp_path, "num_heads: 4", f"num_heads: {n}")).unet for n in (1, 4))
    assert same(one, many) and many.config.attention_head_dim == [4] * 4 != one.config.attention_head_dim
    path = copied(tinies["sdxl"], tmp_path)
    path.with_suffix(".yaml").unlink()
    assert "needs the yaml beside it" in refused(path)


@pytest.mark.parametrize("bias", [0.0, -2.0])
def test_a_file_of_2x_without_a_yaml_is_asked_what_it_predicts(
    tinies: dict[str, Tiny], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bias: float
) -> None:
    """At the most noise v is minus the image, so the answer lies far below the input."""
    monkeypatch.setattr("prompt_pins.headless.shapes.WIDE", WIDTH)
    monkeypatch.setattr("prompt_pins.headless.shapes.HEAD", 32)
    path = tmp_path / "plain.safetensors"
    changed = weights(tinies["sd2"])
    changed["model.diffusion_model.out.2.bias"] = torch.full((4,), bias)
    save_file({key: weight.half() for key, weight in changed.items()}, path)
    found = load(path)
    assert (found.prediction, found.pixels) == (("v", 768) if bias else ("eps", 512))
    assert {weight.dtype for weight in found.unet.state_dict().values()} == {torch.float16}
    shutil.copy(tinies["sd2"].file.with_suffix(".yaml"), path.with_suffix(".yaml"))
    assert load(path).prediction == "v"


def test_the_configuration_has_a_hash_of_its_own(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    found = load(folder)
    before, weights = found.configuration_sha256(), found.sha256()
    settings = read_config(folder, "scheduler")
    write_json(folder / "scheduler" / "scheduler_config.json", {**settings, "beta_end": 0.02})
    assert len(before) == 64 and found.configuration_sha256() != before and found.sha256() == weights
    path = copied(tiny, tmp_path)
    assert len(load(path).configuration_sha256()) == 64
    path.with_suffix(".yaml").unlink()
    assert dataclasses.replace(found, path=path).configuration_sha256() == ""


@pytest.mark.parametrize(
    "text",
    [
        "model: [",
        "just words",
        "model: {params: 3}",
        "model: {params: {parameterization: x}}",
        "model: {params: {denoiser_config: {params: {scaling_config: {target: sgm.EDMScaling}}}}}",
        "model: {params: {image_size: .inf}}",
        "model: {params: {image_size: 100000}}",
        "model: {params: {image_size: -8}}",
        "model: {params: {timesteps: 1}}",
        "model: {params: {timesteps: 10000000000000}}",
        "model: {params: {linear_start: -1}}",
        "model: {params: {linear_start: .nan}}",
        "model: {params: {linear_start: 0.5, linear_end: 0.1}}",
        f"model: {{params: {{linear_end: 1{'0' * 400}}}}}",
        "model: {params: {scale_factor: 0}}",
        "model: {params: {scale_factor: .inf}}",
    ],
)
def test_a_broken_yaml_is_named(tiny: Tiny, tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(tiny.file, path)
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"model\.yaml is not a Stable Diffusion configuration"):
        load(path)


def refused(path: Path, vae: str = "") -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path, vae)
    message = str(caught.value)
    assert message.startswith("vae: " if vae else "checkpoint: ") and "\n" not in message and len(message) < 600
    return message


def test_files_that_are_no_checkpoint(tiny: Tiny, tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "missing.safetensors")
    for name, reason in (("a.ckpt", "pickle"), ("a.bin", "pickle"), ("a.png", "not a .safetensors file")):
        (tmp_path / name).write_bytes(b"x" * 100)
        assert reason in refused(tmp_path / name)
    broken = tmp_path / "broken.safetensors"
    for content in (b"", b"not safetensors at all", tiny.file.read_bytes()[:-1000], tiny.file.read_bytes()[:500]):
        broken.write_bytes(content)
        assert "damaged or is no safetensors file" in refused(broken)


@pytest.mark.parametrize(
    ("name", "without", "reason"),
    [
        ("sd1", "model.diffusion_model.", "no Stable Diffusion UNet"),
        ("sd2", "first_stage_model.", "no autoencoder"),
        ("sd1", "cond_stage_model.", "no text encoder"),
        ("sdxl", "conditioner.embedders.1.", "no text encoder"),
        ("sdxl", "model.diffusion_model.label_emb.0.2", "is not a known one"),
        ("sdxl", "conditioner.embedders.1.model.text_projection", "is not a known one"),
        ("sd1", "model.diffusion_model.input_blocks.1.0.in_layers.2.weight", "is not a known one"),
        ("sd2", "first_stage_model.decoder.conv_in.weight", "is not a known one"),
        ("sd2", "cond_stage_model.model.ln_final.bias", "is not a known one"),
    ],
)
def test_files_that_lack_a_part(tinies: dict[str, Tiny], tmp_path: Path, name: str, without: str, reason: str) -> None:
    path = copied(tinies[name], tmp_path)
    save_file({key: value for key, value in weights(tinies[name]).items() if not key.startswith(without)}, path)
    assert reason in refused(path)


def test_files_of_another_shape(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    path, own = copied(tinies["sd1"], tmp_path), weights(tinies["sd1"])
    first = "model.diffusion_model.input_blocks.0.0.weight"
    save_file({**own, first: torch.zeros(WIDTH, 9, 3, 3)}, path)
    assert "no inpainting" in refused(path)
    words = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    save_file({**own, words: torch.zeros(7, WIDTH)}, path)
    assert "has 7 tokens; CLIP has 49408" in refused(path)
    for key in (first, "first_stage_model.decoder.conv_in.weight", "model.diffusion_model.time_embed.0.bias"):
        save_file({**own, key: torch.zeros(7)}, path)
        assert "checkpoint: " in refused(path)


def test_another_vae(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    """In a file with or without the prefix, beside what is none of its own, or in a diffusers folder."""
    tiny = tinies["sdxl"]
    other = make("sd1", tmp_path, seed=5).vae
    ours = {key: value for key, value in weights(tinies["sd1"]).items() if key.startswith("first_stage_model.")}
    theirs = ldm_weights(tinies["sd1"].texts, tinies["sd1"].unet, other)
    bare = {key.removeprefix("first_stage_model."): theirs[key].contiguous() for key in ours}
    save_file({**bare, "loss.logvar": torch.zeros(())}, tmp_path / "bare.safetensors")
    save_file({key: theirs[key].contiguous() for key in ours}, tmp_path / "prefixed.safetensors")
    other.save_pretrained(tmp_path / "folder")
    own = load(tiny.file)
    assert own.vae_sha256() == ""
    for place in ("bare.safetensors", "prefixed.safetensors", "folder"):
        found = load(tiny.file, tmp_path / place)
        assert same(found.vae, other) and same(found.unet, tiny.unet) and not same(found.vae, own.vae)
        assert found.scaling == own.scaling and len(found.vae_sha256()) == 64
    inner = next((tmp_path / "folder").glob("*.safetensors"))
    assert "name the folder" in refused(tiny.file, str(inner))
    levels = {"block_out_channels": (32,) * 3, "down_block_types": ("DownEncoderBlock2D",) * 3}
    shallow: Any = AutoencoderKL(**levels, up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4)
    shallow.save_pretrained(tmp_path / "shallow")
    assert "has latents of 4 pixels a side; only 8 are known" in refused(tiny.file, str(tmp_path / "shallow"))
    odd = {**bare, "encoder.down.0.block.0.conv1.weight": torch.zeros(7, 7, 3, 3)}
    for wrong in ({"a": torch.zeros(1)}, odd):
        assert "is no autoencoder" in refused(tiny.file, str(save(tmp_path / "x.safetensors", wrong)))
    for name, why in (("none.safetensors", "does not exist"), ("x.ckpt", "is not a .safetensors file")):
        (tmp_path / "x.ckpt").write_bytes(b"x")
        assert why in refused(tiny.file, str(tmp_path / name))


def save(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, path)
    return path


def test_folders_that_are_no_model(tiny: Tiny, tmp_path: Path) -> None:
    assert "without model_index.json" in refused(tmp_path)
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    weights = next((folder / "vae").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))
    assert "no .safetensors weights" in refused(folder)
    weights.with_suffix(".bin").rename(weights)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    write_json(scheduler, {"prediction_type": "sample"})
    assert "predicts 'sample'" in refused(folder)
    scheduler.write_text("{")
    assert "cannot be read" in refused(folder)
    (folder / "text_encoder_2").mkdir()
    assert "text_encoder_2" in refused(folder)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("scheduler/scheduler_config.json", {"beta_start": "x"}, "what .* says of itself"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": None}, "what .* says of itself"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**13}, "timesteps is 10000000000000; allowed: 2"),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "by 'rescale_betas_zero_snr' is not"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1, 0.2]}, "by 'trained_betas' is not known"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "EDMEulerScheduler"},
            "by 'EDMEulerScheduler' is not known",
        ),
        ("vae/config.json", {"scaling_factor": [1]}, "what .* says of itself"),
        ("vae/config.json", {"act_fn": 3}, "vae cannot be loaded"),
        ("unet/config.json", {"sample_size": "x"}, "what .* says of itself"),
        ("unet/config.json", {"attention_head_dim": 0}, "unet cannot be loaded"),
        ("text_encoder/config.json", {"num_attention_heads": 0}, "text_encoder cannot be loaded"),
        ("text_encoder/config.json", {"hidden_act": "none"}, "text_encoder cannot be loaded"),
        ("text_encoder/config.json", {"num_hidden_layers": 10**6}, "says 1000000 layers, and it has .* weights"),
        ("unet/config.json", {"transformer_layers_per_block": [[10**6], 1]}, "says 1000002 layers"),
        ("vae/config.json", {"layers_per_block": 10**6}, "says 1000000 layers"),
    ],
)
def test_a_folder_whose_configuration_cannot_be_used(
    tiny: Tiny, tmp_path: Path, file: str, change: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    write_json(folder / file, {**json.loads((folder / file).read_text()), **change})
    assert re.search(said, refused(folder))


@pytest.mark.parametrize("schedule", [None, "DDIMScheduler", "UniPCMultistepScheduler", "SomebodysOwnScheduler"])
def test_a_folders_schedule_may_be_any_over_betas(tiny: Tiny, tmp_path: Path, schedule: str | None) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    path = folder / "scheduler/scheduler_config.json"
    more = {"_class_name": schedule, "rescale_betas_zero_snr": False, "trained_betas": None}
    write_json(path, {**json.loads(path.read_text()), **more})
    assert torch.equal(load(folder).levels.sigmas, load(tiny.folder).levels.sigmas)


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_a_folder_with_half_a_file(tiny: Tiny, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    weights = next((folder / part).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:5000])
    assert f"{part} cannot be loaded" in refused(folder)


@pytest.mark.parametrize(("side", "pixels"), [(None, 512), ([8, 16], 128)])
def test_a_folder_may_say_two_sides_or_none(tiny: Tiny, tmp_path: Path, side: Any, pixels: int) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    write_json(
        folder / "unet/config.json", {**json.loads((folder / "unet/config.json").read_text()), "sample_size": side}
    )
    assert load(folder).pixels == pixels


class OpenClipBlock(nn.Module):
    """A block of OpenCLIP's text transformer, by its paper and its parameters' names."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(WIDTH, 64), "c_proj": nn.Linear(64, WIDTH)})

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp["c_proj"](nn.functional.gelu(self.mlp["c_fc"](self.ln_2(x))))


class OpenClipText(nn.Module):
    """OpenCLIP's text transformer of three blocks; SD 2.x reads the last but one and normalises it."""

    def __init__(self) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(49408, WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(77, WIDTH) * 0.1)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(OpenClipBlock() for _ in range(3))})
        self.ln_final = nn.LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.logit_scale = nn.Parameter(torch.ones(()))

    def penultimate(self, ids: Tensor) -> Tensor:
        x = self.token_embedding(ids) + self.positional_embedding
        mask = torch.full((77, 77), float("-inf")).triu(1)
        for block in self.transformer["resblocks"][:-1]:
            x = block(x, mask)
        return self.ln_final(x)


@torch.no_grad()
def test_sd2s_text_encoder_is_open_clips_last_but_one_block() -> None:
    torch.manual_seed(3)
    source = OpenClipText().eval()
    named = {f"cond_stage_model.model.{key}": value for key, value in source.state_dict().items()}
    renamed = open_clip_keys(named)
    config = text_config({key: list(value.shape) for key, value in renamed.items()}, "gelu")
    encoder = text_encoder_from(renamed, {**config, "num_attention_heads": 4}).eval()
    ids = torch.randint(0, 49406, (2, 77))
    assert torch.allclose(encoder(input_ids=ids).last_hidden_state, source.penultimate(ids), atol=1e-5)
    assert all("layers.2" not in key for key in renamed)


PARAMETERS = {
    "sd1": (859_520_964, 83_653_863, 123_060_480),
    "sd2": (865_910_724, 83_653_863, 340_387_840),
    "sdxl": (2_567_463_684, 83_653_863, 123_060_480, 694_659_840),
}


@pytest.mark.parametrize("name", FULL)
def test_the_published_sizes_are_read_off_the_weights(name: str) -> None:
    """Of the files as they were published, without their numbers."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    full = FULL[name]
    with torch.device("meta"):
        texts = [
            (CLIPTextModelWithProjection if number else CLIPTextModel)(CLIPTextConfig(**config))
            for number, config in enumerate(full.texts)
        ]
        networks = [UNet2DConditionModel(**full.unet), AutoencoderKL(**full.vae), *texts]
        assert tuple(sum(weight.numel() for weight in one.parameters()) for one in networks) == PARAMETERS[name]
        found = _networks(name, ldm_weights(texts, networks[0], networks[1]), LAYOUTS[name][1], None)
    for ours, theirs in zip((found.unet, found.vae, *(tower.network for tower in found.towers)), networks, strict=True):
        first, second = ours.state_dict(), theirs.state_dict()
        assert {key: value.shape for key, value in first.items()} == {key: w.shape for key, w in second.items()}
        assert _told(ours.config) == _told(theirs.config)


def _told(config: Any) -> dict[str, Any]:
    """What of a configuration decides the answers and is not in the shapes."""
    names = ("num_attention_heads", "hidden_act", "eos_token_id", "upcast_attention", "addition_embed_type")
    found = {
        name: config[name] if isinstance(config, dict) else getattr(config, name, None)
        for name in names
        if not isinstance(config, dict) or name in config
    }
    heads = getattr(config, "attention_head_dim", None)
    return {**found, "heads": [heads] * 4 if isinstance(heads, int) else heads and list(heads)}
