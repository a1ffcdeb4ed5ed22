"""What a run makes of the user's job, by what the stand-in itself makes of the same job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RenderOptions
from prompt_pins.host import Recipe

from tests.webui.standing import job, loaded

HIRES = {"enable_hr": True, "denoising_strength": 0.8, "hr_scale": 1.5}


@pytest.fixture(scope="module")
def webui() -> Iterator[Any]:
    """The stand-in's modules with a style, and the extension's host on them."""
    with loaded("host", "job") as found:
        style = found.styles.PromptStyle("blue", "on a blue background", "yellow")
        found.shared.prompt_styles.styles["blue"] = style
        yield found


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"hr_prompt": "a large red square"},
        {"hr_negative_prompt": "green"},
        {"hr_prompt": "a large red square", "hr_negative_prompt": "green"},
    ],
)
def test_styles_are_in_the_prompts_of_both_passes(webui: Any, own: dict[str, str]) -> None:
    values = {**HIRES, **own, "steps": 4, "batch_size": 1, "sampler_name": "Euler", "styles": ["blue"]}
    expected = np.asarray(webui.processing.process_images(job(webui, **values)).images[0])
    ready = webui.job.read_job(job(webui, **values))
    host, options = webui.host.WebuiHost(ready), RenderOptions(**ready.options)
    rendered = host.render(Recipe(ready.positive, ready.negative), [5], options, forked=False)
    assert np.array_equal(rendered.images[0], expected)
    assert {name: host.describe()["job"][name] for name in own} == ready.hires
