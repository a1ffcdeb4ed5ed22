"""The export to Stable Diffusion's original layout, with diffusers' own single-file loader as the oracle."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from embedded.configs import write_configs
from embedded.drawing import load_pipeline
from embedded.export import LIMIT_BYTES, export
from embedded.latent_stage import fold_statistics
from embedded.networks import make_text_encoder, make_unet, make_vae
from embedded.webui import write_clip_folder
from embedded.words import VOCABULARY, WordBook, make_tokenizer

SHIPPED = VOCABULARY.parent / "prompt-pins-embedded.safetensors"


def test_exported_networks_come_back_unchanged(tmp_path: Path) -> None:
    torch.manual_seed(1)
    text, unet, vae = make_text_encoder(), make_unet(), make_vae()
    path = tmp_path / "model.safetensors"
    assert export(text, unet, vae, path) == path.stat().st_size <= LIMIT_BYTES
    write_configs(tmp_path)
    pipeline = load_pipeline(path, torch.device("cpu"))
    for ours, theirs in ((text, pipeline.text_encoder), (unet, pipeline.unet), (vae, pipeline.vae)):
        expected, found = ours.state_dict(), theirs.state_dict()
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            assert torch.equal(value.half().float(), found[key].float()), key
    assert pipeline.scheduler.config.prediction_type == "v_prediction"


def test_folding_keeps_pictures_and_normalises_latents() -> None:
    torch.manual_seed(2)
    vae, pictures = make_vae().eval(), torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = vae.encode(pictures).latent_dist
        decoded = vae.decode(before.mean).sample
        mean, scale = before.mean.mean((0, 2, 3)).numpy(), before.mean.std((0, 2, 3)).numpy()
        fold_statistics(vae, mean, scale)
        after = vae.encode(pictures).latent_dist
    assert after.mean.mean((0, 2, 3)).numpy() == pytest.approx(np.zeros(4), abs=1e-4)
    assert after.mean.std((0, 2, 3)).numpy() == pytest.approx(np.ones(4), abs=1e-4)
    assert torch.allclose(after.std, before.std / torch.from_numpy(scale)[:, None, None], rtol=1e-3)
    assert torch.allclose(vae.decode(after.mean).sample, decoded, atol=1e-4)


def test_words_have_clips_own_ids() -> None:
    book = WordBook()
    assert [book.ids(w) for w in ("a", "red", "blue", "circle", ",")] == [(320,), (736,), (1746,), (7117,), (267,)]
    ids, weights = book.rows([()])
    assert ids[0, 0] == 49406 and (ids[0, 1:] == 49407).all() and (weights == 1.0).all()


def test_shipped_file_and_yaml_agree() -> None:
    assert SHIPPED.stat().st_size <= LIMIT_BYTES
    settings = yaml.safe_load(SHIPPED.with_suffix(".yaml").read_text(encoding="utf-8"))["model"]["params"]
    assert settings["parameterization"] == "v" and settings["scale_factor"] == 1.0
    with safe_open(SHIPPED, framework="pt") as file:
        first = file.get_slice("model.diffusion_model.input_blocks.0.0.weight").get_shape()
        words = file.get_slice("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight").get_shape()
        types = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
    unet = settings["unet_config"]["params"]
    assert first == [unet["model_channels"], 4, 3, 3]
    assert words == [49408, unet["context_dim"]]
    assert types == {"F16", "I64"}


def test_clip_folder_gives_the_same_tokens_and_shape(tmp_path: Path) -> None:
    write_clip_folder(tmp_path)
    captions = ["a small red circle, on the left", "Überraschung 8k (weiß) 日本"]
    ours, theirs = (
        make_tokenizer()(captions)["input_ids"],
        CLIPTokenizer.from_pretrained(tmp_path)(captions)["input_ids"],
    )
    assert ours == theirs
    config = CLIPTextConfig.from_pretrained(tmp_path)
    assert (config.hidden_size, config.num_hidden_layers, config.hidden_act) == (48, 3, "quick_gelu")
