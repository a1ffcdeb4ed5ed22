"""Looks at targets by the denoiser of the stand-in, whose model is the headless host's: the same numbers."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prompt_pins.config import RenderOptions
from prompt_pins.errors import HostError, HostInterrupted
from prompt_pins.headless import HeadlessHost
from prompt_pins.host import Recipe, View

from tests.webui import standing
from tests.webui.standing import loaded

PIXELS, STEPS = 64, 6
RECIPES = [
    Recipe("a (red:1.3) circle on a white background", "blue"),
    Recipe("a (red:0.7) circle on a white background", "blue"),
    Recipe("a [blue:green:0.5] circle", "a (red:1.2) square"),
    Recipe("a circle AND a red square :0.6"),
    Recipe("a circle " + "on a white background " * 6, "blue"),
]
VIEWS = [View(0, 0, 1), View(1, 2, 2, -1), View(0, 3, 3), View(1, 5, 4)]


def drawn(seed: int) -> np.ndarray:
    """A red disc on a light background (64 x 64 x 3)."""
    rows, columns = np.mgrid[:PIXELS, :PIXELS]
    disc = (rows - 30) ** 2 + (columns - 20 - 8 * seed) ** 2 < 200
    return np.where(disc[..., None], np.uint8([200, 40, 30]), np.uint8([240, 235, 220 + seed]))


IMAGES = [drawn(0), drawn(1)]
HALF = np.repeat(np.uint8([[0] * 27 + [255] * 37]), PIXELS, axis=0)
HEADLESS = HeadlessHost()


@pytest.fixture(scope="module")
def webui() -> Iterator[Any]:
    """The stand-in's modules, and the part of the extension that runs on them; neither is left to other tests."""
    with loaded("host", "job", "likelihood") as found:
        yield found


def job(webui: Any, image: Image.Image | None = None, **values: Any) -> Any:
    """A job of the stand-in with as many steps as the views are of."""
    return standing.job(webui, image, steps=STEPS, **values)


def looked(webui: Any, p: Any, masks: Any = (None, None), views: Any = VIEWS, recipes: Any = RECIPES) -> Any:
    """What the WebUI's host says."""
    ready = webui.job.read_job(p)
    options = RenderOptions(**ready.options)
    return webui.host.WebuiHost(ready).misfits(recipes, IMAGES, masks, views, options)


def expected(masks: Any = (None, None), views: Any = VIEWS, recipes: Any = RECIPES, **changes: Any) -> np.ndarray:
    """What the headless host says."""
    options = RenderOptions(steps=STEPS, batch_size=3, width=PIXELS, height=PIXELS)
    return HEADLESS.misfits(recipes, IMAGES, masks, views, dataclasses.replace(options, **changes)).values


@pytest.mark.parametrize("name", ["DPM++ 2M", "DPM++ 2M - Hyperbatch", "DPM++ SDE - Hyperbatch", "Heun", "Euler a"])
@pytest.mark.parametrize("mask", [None, HALF])
def test_both_hosts_say_the_same(webui: Any, name: str, mask: Any) -> None:
    masks = (mask, None)
    found = looked(webui, job(webui, sampler_name=name), masks)
    schedule = "karras" if name.startswith("DPM") else "normal"
    assert np.abs(found.values - expected(masks, sampler=name, scheduler=schedule)).max() < 1e-4
    assert found.values.shape == (5, 4) and found.values.std(axis=0).min() > 1e-3


def test_an_encoder_that_gives_only_draws_gives_its_mean(webui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:  # as the SDXL of AUTOMATIC1111 has it
        def __init__(self, mean: torch.Tensor) -> None:
            self.mean = mean

        def sample(self) -> torch.Tensor:
            return self.mean + torch.randn_like(self.mean)

        def mode(self) -> torch.Tensor:
            return self.mean

    model, place, draw = type(webui.shared.sd_model), "sgm.modules.distributions.distributions", Answer.sample
    encode, scaled = model.encode_first_stage, model.get_first_stage_encoding

    def drawing(self: Any, pixels: torch.Tensor) -> torch.Tensor:
        return Answer(scaled(self, encode(self, pixels).mode())).sample()

    monkeypatch.setitem(sys.modules, place, SimpleNamespace(DiagonalGaussianDistribution=Answer))
    monkeypatch.setattr(model, "encode_first_stage", drawing)
    monkeypatch.setattr(model, "get_first_stage_encoding", lambda self, found: found)
    found = looked(webui, job(webui), recipes=RECIPES[:1])
    assert np.abs(found.values - expected(recipes=RECIPES[:1], sampler="DPM++ 2M", scheduler="karras")).max() < 1e-4
    assert Answer.sample is draw


def test_image_to_image_counts_the_steps_that_it_takes(webui: Any) -> None:
    p = job(webui, Image.fromarray(drawn(3)), denoising_strength=0.5)
    plain = [RECIPES[0], RECIPES[1], RECIPES[3]]  # a schedule goes by the steps that are taken
    found = looked(webui, p, views=[View(1, 0, 7), View(0, 2, 8, -1)], recipes=plain)
    later = expected(views=[View(1, 2, 7), View(0, 4, 8, -1)], recipes=plain)
    assert np.abs(found.values - later).max() < 1e-4


def test_what_the_jobs_mask_keeps_has_no_part(webui: Any) -> None:
    half = Image.fromarray(np.repeat(np.uint8([[0] * 32 + [255] * 32]), PIXELS, axis=0))
    job_mask = {"mask": half, "inpainting_fill": 1, "inpaint_full_res": False}
    p = job(webui, Image.fromarray(IMAGES[0]), denoising_strength=0.99, **job_mask)
    views = [View(0, 1, 7), View(0, 4, 8, -1)]
    painted = np.kron(np.asarray(half.resize((8, 8))), np.ones((8, 8), np.uint8))
    wanted = expected((painted, None), views)
    assert np.abs(looked(webui, p, views=views).values - wanted).max() < 1e-4
    assert np.abs(wanted - expected(views=views)).max() > 0.01


def test_all_recipes_have_the_same_source_though_hosts_draw_it_anew(
    webui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = webui.processing.StableDiffusionProcessingImg2Img.init

    def drawn_anew(p: Any) -> None:
        own(p)
        p.init_latent = p.init_latent + 0.3 * torch.randn_like(p.init_latent)

    monkeypatch.setattr(webui.processing.StableDiffusionProcessingImg2Img, "init", drawn_anew)
    half = Image.fromarray(np.repeat(np.uint8([[0] * 32 + [255] * 32]), PIXELS, axis=0))
    p = job(webui, Image.fromarray(IMAGES[0]), mask=half, inpainting_fill=1, inpaint_full_res=False, batch_size=1)
    found = looked(webui, p, recipes=RECIPES[:1] * 3, views=VIEWS[:1]).values
    assert np.abs(found - found[0]).max() < 1e-5


def test_hires_fix_looks_at_its_first_pass(webui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webui.shared.sd_model, "decode", lambda latents: [Image.new("RGB", (8, 8))] * len(latents))
    p = job(webui, enable_hr=True, hr_scale=2.0)
    large = [np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BICUBIC)) for image in IMAGES]
    monkeypatch.setattr(sys.modules[__name__], "IMAGES", large)
    found = looked(webui, p).values
    monkeypatch.undo()
    assert np.abs(found - expected()).max() < 0.05


def keeping(webui: Any, what: str) -> Any:
    """A denoiser that keeps the unguided answer as hosts do for CFG++: itself, or its noise; or something else."""
    own = webui.sd_samplers_kdiffusion.CFGDenoiser.forward

    def forward(self: Any, x: Any, sigma: Any, **values: Any) -> Any:
        answer = own(self, x, sigma, **values)
        plain = own(self, x, sigma, **{**values, "cond_scale": 0.0})
        noise = (x - plain) / sigma[:, None, None, None]
        self.step -= 1
        self.last_noise_uncond = {"itself": plain, "noise": noise, "else": answer}[what]
        return answer

    return forward


@pytest.mark.parametrize(("kept", "calls"), [("itself", 1), ("noise", 1), ("else", 2)])
def test_one_call_is_enough_where_the_unguided_answer_is_kept(
    webui: Any, monkeypatch: pytest.MonkeyPatch, kept: str, calls: int
) -> None:
    monkeypatch.setattr(webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", keeping(webui, kept))
    found = looked(webui, job(webui, batch_size=5))
    assert np.abs(found.values - expected()).max() < 1e-4
    first = 3 * len(RECIPES)  # each kind of row is tried at three scales, once
    assert found.evaluations == calls * len(RECIPES) * len(VIEWS) + first


def test_rows_are_at_most_the_batchs_and_networks_are_the_first_prompts(
    webui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, prompts = [], []
    own = webui.sd_samplers_kdiffusion.CFGDenoiser.forward

    def forward(self: Any, x: Any, *rest: Any, **values: Any) -> Any:
        sizes.append(len(x))
        prompts.append(self.p.prompts)
        return own(self, x, *rest, **values)

    monkeypatch.setattr(webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", forward)
    tags = ["<lora:a:0.5>", "", "<lora:a:0.7>", "<lora:a:0.5>"]
    recipes = [Recipe(f"a circle {tag} (red:{index})") for index, tag in enumerate(tags * 3)]
    found = looked(webui, job(webui), views=VIEWS[:1], recipes=recipes)
    assert max(sizes) == 3 and np.isfinite(found.values).all()
    assert {len({webui.likelihood.NETWORK.search(text) is None for text in batch}) for batch in prompts} == {1}
    assert all(len({part for text in batch for part in tags if part and part in text}) < 2 for batch in prompts)


def state(webui: Any) -> Any:
    """What a look could have left behind."""
    samplers = webui.sd_samplers
    listed = [entry.name for entry in samplers.all_samplers], list(samplers.all_samplers_map)
    return listed, dict(webui.shared.opts.data), torch.get_rng_state().tolist()


def test_nothing_is_left_behind_however_it_ends(webui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(webui)
    p = job(webui)
    looked(webui, p)
    assert state(webui) == before and p.comments == {} and p.prompt == "a circle" and p.cfg_scale == 7.0
    for error, said in ((RuntimeError("out of memory"), HostError), (KeyboardInterrupt(), KeyboardInterrupt)):

        def fails(*_: Any, error: BaseException = error, **__: Any) -> Any:
            raise error

        with monkeypatch.context() as broken, pytest.raises(said):
            broken.setattr(webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", fails)
            looked(webui, job(webui))
        assert state(webui) == before


@pytest.mark.parametrize("what", ["interrupted", "skipped"])
def test_interrupt_and_skip(webui: Any, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    own = webui.sd_samplers_kdiffusion.CFGDenoiser.forward

    def forward(self: Any, *rest: Any, **values: Any) -> Any:
        answer = own(self, *rest, **values)
        setattr(webui.shared.state, what, True)
        return answer

    monkeypatch.setattr(webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", forward)
    p = job(webui)
    try:
        if what == "interrupted":
            with pytest.raises(HostInterrupted):
                looked(webui, p)
        else:
            assert looked(webui, p) is None and "it was skipped" in str(p.comments)
            assert not webui.shared.state.skipped
    finally:
        webui.shared.state.interrupted = webui.shared.state.skipped = False


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("refiner_checkpoint_info", object(), "refiner"),
        ("paste_to", (0, 0, 8, 8), "masked part"),
        ("dynamic_clip_skip_enabled", True, "CLIP skip"),
        ("width", 128, "shape"),
    ],
)
def test_what_cannot_be_told_is_said_once_and_not_guessed(webui: Any, attribute: str, value: Any, said: str) -> None:
    p = job(webui)
    setattr(p, attribute, value)
    assert looked(webui, p) is None
    assert len(p.comments) == 1 and said in str(p.comments)


def test_neighbours_that_change_guidance_or_sampling_are_found(webui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = webui.sd_samplers_kdiffusion.CFGDenoiser.forward

    def clamped(self: Any, *rest: Any, cond_scale: float, **values: Any) -> Any:
        return own(self, *rest, cond_scale=cond_scale, **values).clamp(-0.5, 0.5)

    with monkeypatch.context() as changed:
        changed.setattr(webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", clamped)
        p = job(webui)
        assert looked(webui, p) is None and "changes how prompts guide" in str(p.comments)
    with monkeypatch.context() as changed:
        changed.setattr(webui.sd_samplers.create_sampler, "__module__", "tiled")
        p = job(webui)
        assert looked(webui, p) is None and "TiledDiffusion" in str(p.comments)
    entry = webui.sd_samplers.all_samplers_map["Euler"]

    def adaptive(model: Any, x: Any, sigma_min: float, sigma_max: float) -> Any:
        return x

    def constructor(model: Any) -> Any:
        return webui.sd_samplers_kdiffusion.KDiffusionSampler(adaptive, model)

    with monkeypatch.context() as changed:
        changed.setitem(webui.sd_samplers.all_samplers_map, "Euler", entry._replace(constructor=constructor))
        p = job(webui, sampler_name="Euler")
        assert looked(webui, p) is None and "noise levels" in str(p.comments)


def test_no_numbers_are_an_error(webui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = webui.sd_samplers_kdiffusion.CFGDenoiser.forward
    monkeypatch.setattr(
        webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", lambda *rest, **values: own(*rest, **values) * float("nan")
    )
    with pytest.raises(HostError, match="no numbers"):
        looked(webui, job(webui))


def test_a_schedule_that_is_left_empty_is_automatic(webui: Any) -> None:
    compat = importlib.import_module("prompt_pins.webui.compat")
    assert compat.schedule_name(SimpleNamespace(scheduler=None)) == "Automatic"  # of AUTOMATIC1111 1.9's API
    assert compat.schedule_name(SimpleNamespace(scheduler="Exponential")) == "Exponential"


def test_the_plots_axes_are_set_by_its_own_or_by_the_library_beside_it(
    monkeypatch: pytest.MonkeyPatch, webui: Any
) -> None:
    compat = importlib.import_module("prompt_pins.webui.compat")
    assert compat.axis_setter(SimpleNamespace(apply_field="own")) == "own"
    assert compat.axis_setter(SimpleNamespace()) is None
    monkeypatch.setitem(sys.modules, "lib_xyz", SimpleNamespace())  # of Forge-classic
    monkeypatch.setitem(sys.modules, "lib_xyz.axis_application", SimpleNamespace(apply_field="beside"))
    assert compat.axis_setter(SimpleNamespace()) == "beside"
