"""The embedded model loads by itself, from its own file, as the checkpoint that the WebUI reads."""

from __future__ import annotations

import dataclasses
import socket

import numpy as np
import pytest
import torch
import yaml
from prompt_pins.config import RenderOptions
from prompt_pins.headless import HeadlessHost
from prompt_pins.headless.checkpoint import EMBEDDED, load
from prompt_pins.headless.single_file import EMBEDDED_CONFIG
from prompt_pins.host import Recipe

JOB = RenderOptions(steps=6, batch_size=4)


@pytest.fixture(scope="module")
def embedded() -> HeadlessHost:
    return HeadlessHost(device="cpu")


def test_it_is_the_default_and_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    host = HeadlessHost(device="cpu")
    assert host.checkpoint.path == EMBEDDED and host.describe()["prediction"] == "v"
    assert host.render(Recipe("a red circle"), (1,), JOB, False).images.shape == (1, 128, 128, 3)


def test_its_path_is_known_as_a_checkpoint_too(embedded: HeadlessHost) -> None:
    weights, other = load(str(EMBEDDED)).unet.state_dict(), embedded.checkpoint.unet.state_dict()
    assert all(torch.equal(weights[key].float(), other[key]) for key in other)


def test_yaml_and_configuration_say_the_same() -> None:
    params = yaml.safe_load(EMBEDDED.with_suffix(".yaml").read_text(encoding="utf-8"))["model"]["params"]
    found = load()
    assert found.prediction == params["parameterization"] == "v"
    assert found.scaling == params["scale_factor"]
    assert found.pixels == params["image_size"] * 8 == 128
    assert EMBEDDED_CONFIG.is_dir() and EMBEDDED.stat().st_size <= 14_000_000


def test_a_words_weight_moves_the_picture(embedded: HeadlessHost) -> None:
    seeds = (1, 2, 3, 4)
    plain = embedded.render(Recipe("a red circle on a blue background"), seeds, JOB, True)
    weighted = embedded.render(Recipe("a (red:1.2) circle on a blue background"), seeds, JOB, True)
    assert abs(plain.images.astype(int) - weighted.images.astype(int)).mean() > 0.01
    sde = dataclasses.replace(JOB, sampler="DPM++ SDE - Hyperbatch")
    assert not np.array_equal(plain.images, embedded.render(Recipe("a red circle"), seeds, sde, True).images)


@torch.no_grad()
def test_diffusers_own_loader_reads_the_same_networks(embedded: HeadlessHost) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    config, x = str(EMBEDDED_CONFIG), torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    unet = UNet2DConditionModel.from_single_file(str(EMBEDDED), config=config, subfolder="unet", local_files_only=True)
    vae = AutoencoderKL.from_single_file(str(EMBEDDED), config=config, subfolder="vae", local_files_only=True)
    vectors = torch.randn(2, 77, unet.config.cross_attention_dim)
    ours = embedded.checkpoint
    assert torch.equal(unet.float()(x, 500, vectors).sample, ours.unet(x, 500, vectors).sample)
    assert torch.equal(vae.float().decode(x).sample, ours.vae.decode(x).sample)
