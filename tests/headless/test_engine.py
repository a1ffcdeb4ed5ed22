"""The headless host: samplers by name, the pictures' pixels, infotexts, interruption."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest
import torch
from prompt_pins.config import RenderOptions
from prompt_pins.errors import HostError, HostInterrupted, OptionError, PromptError
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.infotext import infotext
from prompt_pins.headless.predictor import Predictor
from prompt_pins.headless.samplers import find_sampler, samplers
from prompt_pins.host import Recipe
from prompt_pins.sampling import SAMPLERS

from tests.headless.tiny import Tiny

JOB = RenderOptions(steps=3, batch_size=2)
PROMPT = Recipe("a red circle", "blue")


def test_samplers_have_one_name_each() -> None:
    names = [choice.name for choice in samplers()]
    assert len(names) == len(set(names)) == 2 * len(SAMPLERS)
    for choice in samplers():
        assert find_sampler(choice.name) == choice and choice.hyperbatch == choice.name.endswith(" - Hyperbatch")


@pytest.mark.parametrize(
    ("name", "found", "scheduler"),
    [
        ("DPM++ 2M Karras", "DPM++ 2M", "karras"),
        ("DPM++ 2M Karras - Hyperbatch", "DPM++ 2M - Hyperbatch", "karras"),
        ("dpm++ sde karras - hyperbatch", "DPM++ SDE - Hyperbatch", "karras"),
        ("  Euler   a ", "Euler a", None),
    ],
)
def test_older_names_and_other_spellings(name: str, found: str, scheduler: str | None) -> None:
    choice = find_sampler(name)
    assert (choice.name, choice.scheduler) == (found, scheduler)


def test_an_unknown_sampler_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"'Oiler a'.*'Euler a'"):
        find_sampler("Oiler a")
    with pytest.raises(OptionError, match="Heun"):
        find_sampler("")


@pytest.mark.parametrize("name", [choice.name for choice in samplers()])
def test_every_sampler_renders_different_siblings(host: HeadlessHost, name: str) -> None:
    batch = host.render(PROMPT, (1, 2, 3), dataclasses.replace(JOB, sampler=name), True)
    assert len({image.tobytes() for image in batch.images}) == 3
    assert f"Sampler: {name}, Schedule type: Karras" in batch.infotexts[0]


def test_the_names_schedule_wins(host: HeadlessHost) -> None:
    def image(sampler: str, scheduler: str) -> bytes:
        job = dataclasses.replace(JOB, sampler=sampler, scheduler=scheduler)
        return host.render(PROMPT, (1,), job, False).images.tobytes()

    assert image("DPM++ 2M Karras", "normal") == image("DPM++ 2M", "karras") != image("DPM++ 2M", "normal")


def test_pixels_are_cut_not_rounded(fresh_host: HeadlessHost) -> None:
    decoder = fresh_host.checkpoint.vae.get_submodule("decoder.conv_out")
    torch.nn.init.zeros_(decoder.weight)
    decoder.bias.data = torch.tensor([-1.5, 2 * 99.99 / 255 - 1, 1.5])
    images = fresh_host.render(PROMPT, (1, 2), JOB, False).images
    assert images.reshape(-1, 3).min(0).tolist() == images.reshape(-1, 3).max(0).tolist() == [0, 99, 255]


def test_latents_are_scaled_back_before_they_are_decoded(fresh_host: HeadlessHost) -> None:
    seen: list[torch.Tensor] = []
    vae = fresh_host.checkpoint.vae
    vae.post_quant_conv.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0]))
    for scale in (1.0, 3.0):
        other = HeadlessHost(dataclasses.replace(fresh_host.checkpoint, scaling=scale), device="cpu")
        other.render(PROMPT, (1,), JOB, False)
    assert torch.allclose(seen[0], 3.0 * seen[1], rtol=1e-5)


def test_guidance_goes_by_the_jobs_scale(fresh_host: HeadlessHost) -> None:
    rows: list[int] = []
    fresh_host.checkpoint.unet.register_forward_pre_hook(lambda network, inputs: rows.append(len(inputs[0])))
    images = [
        fresh_host.render(PROMPT, (1, 2), dataclasses.replace(JOB, cfg_scale=scale), False).images
        for scale in (1.0, 2.0, 12.0)
    ]
    assert rows == [2] * 3 + [4] * 6
    assert len({batch.tobytes() for batch in images}) == 3


def test_start_noise_is_the_webuis(fresh_host: HeadlessHost) -> None:
    seen: list[torch.Tensor] = []
    fresh_host.checkpoint.unet.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0]))
    fresh_host.render(PROMPT, (5, 6), dataclasses.replace(JOB, sampler="DPM++ 2M"), False)
    sigma = fresh_host.checkpoint.levels.sigma_max
    expected = [torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(seed)) for seed in (5, 6)]
    start = torch.stack([*expected, *expected]) * sigma / (sigma**2 + 1) ** 0.5
    assert torch.allclose(seen[0], start, atol=1e-5)
    assert len(seen) == 3


def test_sizes(host: HeadlessHost) -> None:
    images = host.render(PROMPT, (1,), dataclasses.replace(JOB, width=128, height=72), False).images
    assert images.shape == (1, 72, 128, 3)
    for size in (60, 8, -8):
        with pytest.raises(OptionError, match="height"):
            host.render(PROMPT, (1,), dataclasses.replace(JOB, height=size), False)
    with pytest.raises(OptionError, match="seeds"):
        host.render(PROMPT, (), JOB, False)


def test_schedules_change_the_picture_only_from_their_step_on(host: HeadlessHost) -> None:
    def image(text: str) -> bytes:
        return host.render(Recipe(text), (1,), dataclasses.replace(JOB, steps=6), False).images.tobytes()

    assert image("[cat:dog:0]") == image("dog") and image("[cat:dog:6]") == image("cat")
    assert len({image("[cat:dog:3]"), image("cat"), image("dog")}) == 3


def test_schedules_of_second_order_samplers_go_by_model_calls(
    host: HeadlessHost, request: pytest.FixtureRequest
) -> None:
    if "sdxl" in request.node.name:
        pytest.skip("the small random SDXL network hardly hears its text in the last steps")
    job = dataclasses.replace(JOB, steps=6, sampler="Heun", cfg_scale=20.0)

    def changed(text: str) -> bool:
        cat, other = (host.render(Recipe(one), (1,), job, False).images.astype(int) for one in ("cat", text))
        return bool(abs(cat - other).max() > 1)  # two texts are encoded together, which rounds otherwise

    # Six steps are eleven calls, and the host spreads fractions over twelve: 0.9 of them lasts through call 10.
    assert [changed(f"[cat:dog:{when}]") for when in (0.9, 0.75, 0.5)] == [False, True, True]


def test_a_negative_prompt_keeps_its_tags_and_its_and_as_words(host: HeadlessHost) -> None:
    def image(negative: str) -> bytes:
        return host.render(Recipe("a cat", negative), (1,), JOB, False).images.tobytes()

    assert image("red <lora:x:1>") != image("red ") and image("red AND blue") != image("red")


def test_a_weight_that_cannot_be_read_is_the_prompts_fault(host: HeadlessHost) -> None:
    with pytest.raises(PromptError):
        host.render(Recipe("(a:1.2.3)"), (1,), JOB, False)


def test_memory_that_is_too_small_is_said_in_a_sentence(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyTorch tells it of a GPU; a fault of another kind is not taken for it."""

    def fail(text: str) -> Callable[..., None]:
        def raising(*args: object, **kwargs: object) -> None:
            raise RuntimeError(text)

        return raising

    host = HeadlessHost(load(tiny.file), device="cpu")
    for text in ("CUDA out of memory. Tried to allocate", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"):
        with monkeypatch.context() as patch, pytest.raises(HostError, match="too small for 2 images of 64x64"):
            patch.setattr(host.checkpoint.vae, "decode", fail(text))
            host.render(PROMPT, (1, 2), JOB, False)
        with monkeypatch.context() as patch, pytest.raises(OptionError, match="one whose memory holds the model"):
            patch.setattr(torch.nn.Module, "to", fail(text))
            HeadlessHost(load(tiny.file), device="cpu")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="an illegal address"):
        patch.setattr(host.checkpoint.vae, "decode", fail("CUDA error: an illegal address"))
        host.render(PROMPT, (1, 2), JOB, False)


@pytest.mark.parametrize("limit", [torch.float16, torch.float32])
def test_where_half_precision_overflows(tiny: Tiny, limit: torch.dtype) -> None:
    """The autoencoder's answers of up to `limit` overflow: in half precision it is asked again in full."""
    host = half_host(tiny)
    expected = HeadlessHost(load(tiny.file), device="cpu").render(PROMPT, (1, 2), JOB, False).images.astype(int)
    asked: list[torch.dtype] = []

    def overflow(network: torch.nn.Module, inputs: tuple[torch.Tensor], answer: torch.Tensor) -> torch.Tensor:
        asked.append(answer.dtype)
        return answer * float("inf") if answer.dtype in (torch.float16, limit) else answer

    host.checkpoint.vae.decoder.register_forward_hook(overflow)
    if limit == torch.float32:
        with pytest.raises(HostError, match="the autoencoder's answer holds no numbers"):
            host.render(PROMPT, (1, 2), JOB, False)
    else:
        images = host.render(PROMPT, (1, 2), JOB, False).images.astype(int)
        assert abs(images - expected).mean() < 5
    assert asked == [torch.float16, torch.float32]
    assert {p.dtype for p in host.checkpoint.vae.parameters()} == {torch.float16}
    host.checkpoint.unet.register_forward_hook(lambda network, inputs, answer: (answer[0] * float("inf"),))
    with pytest.raises(HostError, match="half precision may be too little for it: try the CPU"):
        host.render(PROMPT, (1, 2), JOB, False)


def half_host(tiny: Tiny) -> HeadlessHost:
    """As a GPU has it by itself, on the CPU."""
    host = HeadlessHost(load(tiny.file), device="cpu")
    host._dtype = torch.float16
    host._place()
    host._predictor = Predictor(host.checkpoint.unet, traced=False)
    return host


def test_interrupt_stops_between_steps(fresh_host: HeadlessHost) -> None:
    calls: list[int] = []

    def fourth(network: torch.nn.Module, inputs: object) -> None:
        calls.append(1)
        if len(calls) == 4:
            thread = threading.Thread(target=fresh_host.interrupt)
            thread.start()
            thread.join()

    fresh_host.checkpoint.unet.register_forward_pre_hook(fourth)
    assert not fresh_host.interrupted()
    with pytest.raises(HostInterrupted):
        fresh_host.render(PROMPT, (1, 2), dataclasses.replace(JOB, steps=50), True)
    assert len(calls) == 4 and fresh_host.interrupted()
    with pytest.raises(HostInterrupted):
        fresh_host.render(PROMPT, (1,), JOB, False)
    assert len(calls) == 4


def test_infotext_quotes_what_would_break_it() -> None:
    assert infotext("a", "", {"Steps": 2, "Model": "x"}) == "a\nSteps: 2, Model: x"
    assert infotext("a", "b", {"Model": 'x, "y": z'}) == 'a\nNegative prompt: b\nModel: "x, \\"y\\": z"'
