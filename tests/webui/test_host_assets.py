"""What a run was rendered with is written down, and a run goes on with the same or says what is another one.

Assets are looked at before it is looked whether a run is finished, so that short runs do here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.webui.client import Webui

SHORT = {"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0, "gifs": False}
QUICK = {"steps": 2, "batch_size": 2}
FINISHED = "this run is finished"


@pytest.fixture(autouse=True, scope="module")
def set_settings(webui: Webui) -> Iterator[None]:
    """A host gives a setting back after a job only where it was set before; its file is as it was afterwards."""
    path = webui.root / "config.json" if webui.real and webui.root else None
    before = path.read_bytes() if path and path.is_file() else None
    webui.call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1, **({"sd_vae": "Automatic"} if webui.real else {})})
    yield
    if path and before is not None:
        path.write_bytes(before)


def resumed(webui: Webui, run: dict[str, Any], tab: str = "txt2img", **values: Any) -> str:
    """Why the run does not go on."""
    status, answer = webui.pin([{"resume": run["run"]}], tab, **{**QUICK, **values})
    assert status == 422, answer
    return str(answer["detail"])


def started(webui: Webui, tab: str = "txt2img", **values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A short run, and what is written down of its host."""
    status, answer = webui.pin([SHORT], tab, **{**QUICK, **values})
    assert status == 200, answer
    run = webui.runs()[0]
    host: dict[str, Any] = webui.journal(run)[0]["host"]
    assert FINISHED in resumed(webui, run, tab, **values)
    return run, host


@contextlib.contextmanager
def kept(path: Path, tensors: dict[str, torch.Tensor]) -> Iterator[Path]:
    """A file of the host's, which is taken away again."""
    replaced(path, tensors)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def replaced(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def root(webui: Webui) -> Path:
    if webui.root is None:
        pytest.skip("the folder of a WebUI that runs already is not known")
    return webui.root


def real(webui: Webui, forge: bool = True) -> Path:
    if not webui.real:
        pytest.skip("the stand-in has none")
    if not forge and webui.forge():
        pytest.skip("another list, and other files, in Forge")
    return root(webui)


def test_a_lora_of_the_prompt(webui: Webui) -> None:
    one, other = ({"lora_te_x.lora_up.weight": torch.full((4, 4), value)} for value in (0.1, 0.2))
    prompt = "a red circle <lora:pins-brush:0.7>"
    with kept(root(webui) / "models" / "Lora" / "pins-brush.safetensors", one) as path:
        run, host = started(webui, prompt=prompt)
        assert len(host["assets"]["lora pins-brush"]) == 64
        said = resumed(webui, run, prompt="another prompt, which is not looked at <lora:other:1>")
        assert FINISHED in said
        replaced(path, other)
        said = resumed(webui, run, prompt=prompt)
        assert "lora pins-brush: this run was rendered with sha256 " in said and "now there is sha256 " in said
        replaced(path, one)
        assert FINISHED in resumed(webui, run, prompt=prompt)


def test_the_checkpoint(webui: Webui) -> None:
    run, host = started(webui)
    assert len(host["assets"]["checkpoint"]) == 64
    if webui.real:
        models = webui.call("/sdapi/v1/sd-models")[1]
        others = [model["title"] for model in models if model["model_name"] not in host["checkpoint"]]
        if not others:
            pytest.skip("a second checkpoint is needed")
        said = resumed(webui, run, override_settings={"sd_model_checkpoint": others[0]})
    else:
        path = root(webui) / "models" / "prompt-pins-embedded.safetensors"
        content = path.read_bytes()
        path.write_bytes(content + b"!")
        said = resumed(webui, run)
        path.write_bytes(content)
    assert "checkpoint: this run was rendered with sha256 " in said
    assert FINISHED in resumed(webui, run)


def test_settings_and_the_jobs_own_values(webui: Webui) -> None:
    skip = {"override_settings": {"CLIP_stop_at_last_layers": 2}}
    run, host = started(webui, **skip)
    assert host["settings"]["CLIP_stop_at_last_layers"] == 2
    assert "CLIP_stop_at_last_layers: this run was rendered with 2, and now there is the default" in resumed(webui, run)
    assert FINISHED in resumed(webui, run, **skip)
    plain, _ = started(webui)
    assert "with the default, and now there is 2" in resumed(webui, plain, **skip)
    hires: dict[str, Any] = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.6}
    hires["hr_additional_modules"] = ["Use same choices"]  # Forge's API fails without it; others do not know it
    run, host = started(webui, **hires, hr_second_pass_steps=3)
    assert host["job"]["hr_scale"] == 1.5
    assert "hr_second_pass_steps: this run was rendered with 3, and" in resumed(webui, run, **hires)


def test_a_textual_inversion_of_the_prompt(webui: Webui) -> None:
    place = real(webui, forge=False) / "embeddings" / "zqpins.safetensors"
    one, other = ({"emb_params": torch.full((1, 48), value)} for value in (0.02, 0.03))
    with kept(place, one):
        webui.render(**QUICK)  # it is read before a plain batch
        run, host = started(webui, prompt="a zqpins circle")
        assert len(host["assets"]["embedding zqpins"]) == 64
        _, without = started(webui)
        assert not any(name.startswith("embedding") for name in without["assets"])
        replaced(place, other)
        webui.render(**QUICK)
        assert "embedding zqpins: this run was rendered with sha256 " in resumed(webui, run)
    webui.render(**QUICK)
    assert "embedding zqpins: " in (said := resumed(webui, run)) and "and now there is none" in said


def test_the_vae(webui: Webui) -> None:
    models = real(webui, forge=False) / "models"
    (checkpoint,) = (models / "Stable-diffusion").glob("prompt-pins-embedded.safetensors")
    prefix = "first_stage_model."
    vae = {key.removeprefix(prefix): value for key, value in load_file(checkpoint).items() if key.startswith(prefix)}
    with kept(models / "VAE" / "pins-vae.safetensors", {key: value.clone() for key, value in vae.items()}):
        assert webui.call("/sdapi/v1/refresh-vae", {})[0] == 200
        chosen = {"override_settings": {"sd_vae": "pins-vae.safetensors"}}
        run, host = started(webui, **chosen)
        assert len(host["assets"]["VAE"]) == 64
        assert "VAE: this run was rendered with sha256 " in (said := resumed(webui, run)) and "there is none" in said
    webui.call("/sdapi/v1/refresh-vae", {})
    webui.render(**QUICK)
