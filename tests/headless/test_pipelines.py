"""The headless host against diffusers' own pipelines, on small models of each layout, and read with a second eye."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from prompt_pins.config import RenderOptions
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.samplers import find_sampler
from prompt_pins.host import Recipe
from prompt_pins.sampling import ForkOptions
from transformers import CLIPTokenizer

from tests.headless.tiny import Tiny, write_beside

JOB = RenderOptions(steps=5, batch_size=2, cfg_scale=5.0, sampler="Euler", scheduler="normal", width=64, height=72)
SAME = 1e-4
SEEDS = (3, 4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIP's own tokenizer, as transformers reads it from a folder."""
    folder = tmp_path_factory.mktemp("clip")
    write_beside(folder)
    return folder / "clip"


def pipeline(tiny: Tiny, clip: Path) -> Any:
    """diffusers' own, of the networks that the files were written from."""
    scheduler = EulerDiscreteScheduler.from_pretrained(tiny.folder / "scheduler", timestep_spacing="linspace")
    pads = ["!" if config["pad_token_id"] == 0 else "<|endoftext|>" for config in tiny.layout.texts]
    words = [CLIPTokenizer.from_pretrained(clip, pad_token=pad) for pad in pads]
    parts: dict[str, Any] = {"vae": tiny.vae, "unet": tiny.unet, "scheduler": scheduler}
    parts |= {"text_encoder": tiny.texts[0], "tokenizer": words[0]}
    if len(tiny.texts) > 1:
        made: Any = StableDiffusionXLPipeline(
            **parts, text_encoder_2=tiny.texts[1], tokenizer_2=words[1], add_watermarker=False
        )
    else:
        made = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize("negative", ["", "a blue square, blurry"])
@torch.inference_mode()
def test_latents_are_those_of_diffusers_own_pipeline(
    tinies: dict[str, Tiny], clip: Path, host: HeadlessHost, layout: str, negative: str
) -> None:
    tiny = tinies[layout]
    whole = pipeline(tiny, clip)
    start = host.noise(SEEDS, (9, 8))
    theirs = whole(
        prompt=["a large red circle, white background"] * 2,
        negative_prompt=[negative] * 2 if negative else None,
        num_inference_steps=JOB.steps,
        guidance_scale=JOB.cfg_scale,
        width=JOB.width,
        height=JOB.height,
        latents=start * host.sigmas(JOB.steps, "normal")[0] / whole.scheduler.init_noise_sigma,
        output_type="latent",
    ).images
    recipe = Recipe("a large red circle, white background", negative)
    ours = host._sampled(recipe, SEEDS, JOB, find_sampler("Euler"), ForkOptions("none"), (9, 8))
    assert ours.std() > 0.1 and (ours - theirs).abs().max() < SAME * ours.abs().max()


@torch.inference_mode()
def test_two_texts_are_told_as_the_pipeline_tells_them(
    tinies: dict[str, Tiny], clip: Path, hosts: dict[str, HeadlessHost]
) -> None:
    tiny, host = tinies["sdxl"], hosts["sdxl"]
    whole = pipeline(tiny, clip)
    vectors, _, pooled, _ = whole.encode_prompt("a red cat", do_classifier_free_guidance=False)
    job = dataclasses.replace(JOB, crop_top=16, crop_left=8)
    told = host.guidance(Recipe("a red cat"), 5, job).cond(0)
    sizes = whole._get_add_time_ids((72, 64), (16, 8), (72, 64), dtype=torch.float32, text_encoder_projection_dim=32)
    assert torch.allclose(told.vectors, vectors, atol=1e-5)
    assert torch.allclose(told.extra, torch.cat([pooled, sizes], dim=1), atol=1e-5)


@torch.inference_mode()
def test_the_pooled_vector_is_the_first_chunks_and_feels_no_weights(hosts: dict[str, HeadlessHost]) -> None:
    def told(text: str) -> torch.Tensor:
        return hosts["sdxl"].guidance(Recipe(text), 5, JOB).cond(0).extra

    plain = told("a red cat")
    assert torch.equal(told("a (red:1.7) cat"), plain) and torch.equal(told("a red cat BREAK a dog"), plain)
    assert not torch.allclose(told("a blue cat"), plain, atol=1e-3)


@torch.inference_mode()
def test_sdxl_hears_nothing_where_no_negative_prompt_is(hosts: dict[str, HeadlessHost]) -> None:
    silent, said = (hosts["sdxl"].guidance(Recipe("a cat", text), 5, JOB).uncond(0) for text in ("", "blue"))
    assert not silent.vectors.any() and silent.extra[0].tolist() == [0.0] * 32 + [72, 64, 0, 0, 72, 64]
    assert said.vectors.any() and said.extra[0, :32].any()
    assert hosts["sd2"].guidance(Recipe("a cat", ""), 5, JOB).uncond(0).vectors.any()
