"""The hyperbatch samplers in a WebUI: in every kind of pass, and what they leave behind."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from tests.patience import HUNG
from tests.webui.client import Webui, encoded

SAMPLERS = (
    "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 3M SDE", "DPM++ 2S a", "Euler", "Euler a", "Heun",
)  # fmt: skip
SAME = 2
"""Levels of 255 by which batches of different sizes may differ: matrix products round differently."""
OTHER = 8


def farthest(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference of two images' pixels."""
    return int(np.abs(a - b).max())


def all_differ(images: list[np.ndarray]) -> bool:
    """True if no two images are nearly the same."""
    return all(farthest(a, b) > OTHER for i, a in enumerate(images) for b in images[:i])


def forked(info: dict[str, Any]) -> bool:
    """True if the host's infotext says that the batch forked."""
    return "Fork policy: " in info["infotexts"][0]


@pytest.mark.parametrize("name", SAMPLERS)
def test_leaf_0_is_the_plain_samplers_image_and_siblings_differ(webui: Webui, name: str) -> None:
    plain = webui.render(sampler_name=name)
    tree = webui.render(sampler_name=f"{name} - Hyperbatch")
    assert farthest(plain.images[0], tree.images[0]) <= SAME
    assert len(tree.images) == 4 and all_differ(tree.images)
    assert forked(tree.info)


@pytest.mark.parametrize("name", ["DPM++ 2M Karras", "DPM++ SDE Karras"])
def test_the_seeds_names_still_work(webui: Webui, name: str) -> None:
    assert forked(webui.render(sampler_name=f"{name} - Hyperbatch").info)


def test_the_samplers_are_listed_once(webui: Webui) -> None:
    names = [entry["name"] for entry in webui.call("/sdapi/v1/samplers")[1]]
    assert len(names) == len(set(names))
    assert {f"{name} - Hyperbatch" for name in SAMPLERS} <= set(names)


@pytest.mark.parametrize("policy", ["even", "early", "late", "none"])
def test_the_policy_is_a_setting(webui: Webui, policy: str) -> None:
    settings = {"override_settings": {"prompt_pins_fork_policy": policy}}
    tree = webui.render(sampler_name="DPM++ 2M - Hyperbatch", **settings)
    usual = webui.render(sampler_name="DPM++ 2M - Hyperbatch")
    assert farthest(tree.images[3], usual.images[3]) > OTHER
    if policy == "none":
        plain = webui.render()
        assert all(farthest(a, b) <= SAME for a, b in zip(plain.images, tree.images, strict=True))


@pytest.mark.parametrize("prompt", ["a [red:blue:4] circle", "a circle AND a red square :0.5", "a [red|blue] circle"])
@pytest.mark.parametrize("name", ["DPM++ 2M", "DPM++ SDE"])
def test_schedules_and_compositions(webui: Webui, prompt: str, name: str) -> None:
    plain = webui.render(sampler_name=name, prompt=prompt)
    tree = webui.render(sampler_name=f"{name} - Hyperbatch", prompt=prompt)
    assert farthest(plain.images[0], tree.images[0]) <= SAME and all_differ(tree.images)


def test_two_batches_and_variation_seeds(webui: Webui) -> None:
    tree = webui.render(sampler_name="DPM++ 2M - Hyperbatch", n_iter=2)
    assert len(tree.images) == 8 and all_differ(tree.images)
    varied = {"subseed": 7, "subseed_strength": 0.5}
    plain = webui.render(**varied)
    tree = webui.render(sampler_name="DPM++ 2M - Hyperbatch", **varied)
    assert farthest(plain.images[0], tree.images[0]) <= SAME and all_differ(tree.images)


def test_hires_fix_forks_only_the_first_pass(webui: Webui) -> None:
    hires: dict[str, Any] = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
    hires["hr_additional_modules"] = ["Use same choices"]  # Forge's API fails without it; others do not know it
    plain = webui.render(steps=6, **hires)
    tree = webui.render(sampler_name="DPM++ 2M - Hyperbatch", steps=6, **hires)
    assert tree.images[0].shape == (webui.pixels * 3 // 2, webui.pixels * 3 // 2, 3)
    assert farthest(plain.images[0], tree.images[0]) <= 2 * SAME and all_differ(tree.images)


@pytest.mark.parametrize("fill", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_image_to_image_and_inpainting(webui: Webui, fill: int, masked: bool) -> None:
    source = {"init_images": [encoded((220, 40, 40))], "denoising_strength": 0.9, "inpainting_fill": fill}
    if masked:
        source |= {"mask": encoded((255, 255, 255), (64, 128)), "inpaint_full_res": False}
    plain = webui.render("img2img", **source)
    tree = webui.render("img2img", sampler_name="DPM++ 2M - Hyperbatch", **source)
    # Forge noises what the mask keeps from a generator that all images of a batch share
    shared_noise = masked and "Version: f" in plain.info["infotexts"][0]
    assert farthest(plain.images[0], tree.images[0]) <= (3 * OTHER if shared_noise else 2 * SAME)
    assert forked(tree.info) and all_differ(tree.images)


@pytest.mark.parametrize("name", ["DPM++ 2M", "DPM++ SDE"])
@pytest.mark.parametrize("at", [0.25, 0.75])
def test_a_refiner_takes_over_while_the_tree_grows(webui: Webui, name: str, at: float) -> None:
    if not webui.real:
        pytest.skip("the stand-in has one checkpoint")
    loaded = webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"] or "prompt-pins-embedded"
    others = [model for model in webui.call("/sdapi/v1/sd-models")[1] if model["model_name"] not in loaded]
    if not others:
        pytest.skip("a second checkpoint is needed")
    refiner = {"refiner_checkpoint": others[0]["title"], "refiner_switch_at": at, "sampler_name": name}
    plain = webui.render(**refiner)
    tree = webui.render(**{**refiner, "sampler_name": f"{name} - Hyperbatch"})
    assert "Refiner: " in tree.info["infotexts"][0] and forked(tree.info)
    assert farthest(plain.images[0], tree.images[0]) <= SAME and all_differ(tree.images)
    assert farthest(webui.render(sampler_name=name).images[0], plain.images[0]) > OTHER


@pytest.mark.parametrize("action", ["interrupt", "skip"])
def test_an_interrupted_tree_leaves_nothing_behind(webui: Webui, action: str) -> None:
    prompt = {"prompt": f"a green triangle, {action}", "batch_size": 8}
    fresh = webui.render(**prompt)
    webui.render()  # another prompt, so that nothing of the first is cached
    ended: list[Any] = []
    job = threading.Thread(
        target=lambda: ended.append(webui.render(sampler_name="DPM++ 2M - Hyperbatch", steps=60, **prompt))
    )
    job.start()
    while job.is_alive():
        state = webui.call("/sdapi/v1/progress?skip_current_image=true")[1]["state"]
        if state["job"] and state["sampling_step"] >= 3:
            break
        time.sleep(0.05)
    webui.call(f"/sdapi/v1/{action}", {})
    job.join(HUNG)
    assert ended
    again = webui.render(**prompt)
    assert all(np.array_equal(a, b) for a, b in zip(fresh.images, again.images, strict=True))
