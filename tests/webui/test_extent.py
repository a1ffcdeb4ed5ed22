"""What is said of a job's steps and size before anything is rendered, by what the stand-in then does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from prompt_pins.config import RenderOptions
from prompt_pins.host import Recipe

from tests.webui.standing import job, loaded

SOURCE = Image.new("RGB", (100, 77), (200, 30, 30))
PART = Image.new("L", SOURCE.size, 0)
PART.paste(255, (20, 20, 60, 70))
HIRES = {"enable_hr": True, "denoising_strength": 0.5}
JOBS: dict[str, dict[str, Any]] = {
    "multiples of 8": {"width": 64, "height": 72},
    "others": {"width": 68, "height": 79},
    "hires fix, by a factor": {**HIRES, "hr_scale": 1.3},
    "hires fix of others, by a factor": {**HIRES, "width": 79, "height": 68, "hr_scale": 1.3},
    "hires fix, to a width": {**HIRES, "width": 72, "hr_resize_x": 90},
    "hires fix, to a height": {**HIRES, "width": 72, "hr_resize_y": 101},
    "hires fix, to both of its shape": {**HIRES, "hr_resize_x": 92, "hr_resize_y": 92},
    "hires fix, to a wider shape": {**HIRES, "hr_resize_x": 100, "hr_resize_y": 69},
    "hires fix, to a higher shape": {**HIRES, "hr_resize_x": 68, "hr_resize_y": 100},
    "image to image": {"image": SOURCE, "width": 100, "height": 77},
    "inpainting": {"image": SOURCE, "width": 68, "height": 77, "mask": PART, "inpaint_full_res": False},
    "only masked": {"image": SOURCE, "mask": PART},
    "only masked of nothing": {"image": SOURCE, "mask": Image.new("L", SOURCE.size, 0)},
}


@pytest.fixture(scope="module")
def webui() -> Iterator[Any]:
    """The stand-in's modules, and the extension's host on them."""
    with loaded("host", "job") as found:
        yield found


@pytest.mark.parametrize("name", JOBS)
def test_the_size_of_the_images_is_known_before_they_are_rendered(webui: Any, name: str) -> None:
    ready = webui.job.read_job(job(webui, steps=2, **{**JOBS[name], "batch_size": 1}))
    host, options = webui.host.WebuiHost(ready), RenderOptions(**ready.options)
    width, height = host.size(options)
    assert host.render(Recipe("a circle"), [5], options, forked=False).images.shape == (1, height, width, 3)


@pytest.mark.parametrize(
    ("sampler", "values"),
    [
        ("Euler", {}),
        ("Euler - Hyperbatch", {}),
        ("Euler", {"image": SOURCE, "denoising_strength": 0.5}),
        ("Euler", HIRES),
        ("Euler - Hyperbatch", HIRES),
        ("Euler", {**HIRES, "hr_second_pass_steps": 3}),
        ("Euler", {**HIRES, "denoising_strength": 0.0}),
    ],
)
def test_the_evaluations_of_a_batch_are_those_that_are_made(
    webui: Any, monkeypatch: pytest.MonkeyPatch, sampler: str, values: dict[str, Any]
) -> None:
    own, rows = webui.sd_samplers_kdiffusion.CFGDenoiser.forward, []

    def counted(self: Any, x: Any, *more: Any, **named: Any) -> Any:
        rows.append(len(x))
        return own(self, x, *more, **named)

    monkeypatch.setattr(webui.sd_samplers_kdiffusion.CFGDenoiser, "forward", counted)
    ready = webui.job.read_job(job(webui, steps=6, sampler_name=sampler, **{**values, "batch_size": 2}))
    host, options = webui.host.WebuiHost(ready), RenderOptions(**ready.options)
    batch = host.render(Recipe("a circle"), [5, 6], options, forked=True)
    assert sum(rows) == batch.evaluations == host.evaluations(2, options, forked=True)
