"""Checkpoints: both layouts give the same networks, and everything else is refused in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from prompt_pins.errors import CheckpointError
from prompt_pins.headless.checkpoint import CONFIGS, load
from prompt_pins.headless.networks import open_clip_keys, read_config, text_encoder_from
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig

from tests.headless.tiny import TEXT, WIDTH, Tiny, write_json


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_both_layouts_give_back_every_weight(tiny: Tiny, layout: str) -> None:
    found = load(tiny.file, tiny.config) if layout == "file" else load(tiny.folder)
    assert same(found.unet, tiny.unet) and same(found.vae, tiny.vae) and same(found.text_encoder, tiny.text_encoder)
    assert (found.prediction, found.scaling, found.pixels, found.pad) == ("v", 0.5, 64, 49407)
    assert found.name == ("tiny" if layout == "file" else "diffusers") and len(found.sha256()) == 64


def test_half_precision_folders_load(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(tiny.folder, folder)
    for path in list(folder.rglob("*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert same(load(folder).unet, tiny.unet)


def test_the_yaml_beside_a_file_wins(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "with.yaml.safetensors"
    shutil.copy(tiny.file, path)
    beside = path.with_suffix(".yaml")
    beside.write_text('model: {params: {parameterization: "eps", linear_end: 0.02, scale_factor: 0.25}}')
    found = load(path, tiny.config)
    assert (found.prediction, found.scaling) == ("eps", 0.25)
    assert found.levels.sigma_max > load(tiny.file, tiny.config).levels.sigma_max
    beside.write_text("model: {params: {}}")
    assert load(path, tiny.config).prediction == "eps"


def test_the_configuration_has_a_hash_of_its_own(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    found = load(folder)
    before, weights = found.configuration_sha256(), found.sha256()
    settings = read_config(folder, "scheduler")
    write_json(folder / "scheduler" / "scheduler_config.json", {**settings, "beta_end": 0.02})
    assert len(before) == 64 and found.configuration_sha256() != before and found.sha256() == weights
    assert load(tiny.file, tiny.config).configuration_sha256() == ""


@pytest.mark.parametrize(
    "text", ["model: [", "just words", "model: {params: 3}", "model: {params: {parameterization: x}}"]
)
def test_a_broken_yaml_is_named(tiny: Tiny, tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(tiny.file, path)
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"model\.yaml is not a Stable Diffusion configuration"):
        load(path, tiny.config)


def refused(path: Path, config: Path | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path, config)
    message = str(caught.value)
    assert message.startswith("checkpoint: ") and "\n" not in message and len(message) < 600
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
    ("without", "reason"),
    [
        ("model.diffusion_model.", "no Stable Diffusion UNet"),
        ("first_stage_model.", "no autoencoder"),
        ("cond_stage_model.", "no text encoder"),
    ],
)
def test_files_that_lack_a_part(tiny: Tiny, tmp_path: Path, without: str, reason: str) -> None:
    path = tmp_path / "part.safetensors"
    save_file({key: value for key, value in tiny.weights().items() if not key.startswith(without)}, path)
    assert reason in refused(path)


def test_files_of_another_shape(tiny: Tiny, tmp_path: Path) -> None:
    assert "not a Stable Diffusion 1.x or 2.x model" in refused(tiny.file)
    weights = tiny.weights()
    first = "model.diffusion_model.input_blocks.0.0.weight"
    inpainting = {**weights, first: torch.zeros(WIDTH, 9, 3, 3)}
    save_file(inpainting, tmp_path / "inpainting.safetensors")
    assert "no inpainting" in refused(tmp_path / "inpainting.safetensors")
    for key in (first, "first_stage_model.decoder.conv_in.weight", "model.diffusion_model.time_embed.0.bias"):
        save_file({**weights, key: torch.zeros(7)}, tmp_path / "shapes.safetensors")
        assert "is not a known one" in refused(tmp_path / "shapes.safetensors", tiny.config)
        fewer = {name: value for name, value in weights.items() if name != key}
        save_file(fewer, tmp_path / "fewer.safetensors")
        assert "is not a known one" in refused(tmp_path / "fewer.safetensors", tiny.config)


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
    assert "two text encoders" in refused(folder)


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
    weights = {f"cond_stage_model.model.{key}": value for key, value in source.state_dict().items()}
    encoder = text_encoder_from(weights, {**TEXT, "hidden_act": "gelu", "num_hidden_layers": 2}).eval()
    ids = torch.randint(0, 49406, (2, 77))
    assert torch.allclose(encoder(input_ids=ids).last_hidden_state, source.penultimate(ids), atol=1e-5)
    assert all("layers.2" not in key for key in open_clip_keys(weights, 2))


@pytest.mark.parametrize("folder", CONFIGS[:2], ids=lambda path: path.name)
def test_shipped_configurations_are_stable_diffusions(folder: Path) -> None:
    unet, text = read_config(folder, "unet"), read_config(folder, "text_encoder")
    assert unet["cross_attention_dim"] == CLIPTextConfig(**text).hidden_size
    assert len({json.dumps(read_config(path, "vae")) for path in CONFIGS[:2]}) == 1


PARAMETERS = {"sd1": (859_520_964, 83_653_863, 123_060_480), "sd2": (865_910_724, 83_653_863, 340_387_840)}


@pytest.mark.parametrize("folder", CONFIGS[:2], ids=lambda path: path.name)
def test_shipped_configurations_have_the_published_numbers_of_parameters(folder: Path) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    with torch.device("meta"):
        networks = (
            UNet2DConditionModel.from_config(read_config(folder, "unet")),
            AutoencoderKL.from_config(read_config(folder, "vae")),
            CLIPTextModel(CLIPTextConfig(**read_config(folder, "text_encoder"))),
        )
    counts = tuple(sum(weight.numel() for weight in network.parameters()) for network in networks)
    assert counts == PARAMETERS[folder.name]
