"""The group of settings, and a space of both groups."""

from __future__ import annotations

import pytest
from prompt_pins.config import PromptOptions
from prompt_pins.errors import OptionError
from prompt_pins.host import Recipe
from prompt_pins.space import Space, build

KNOWN = {"cfg_scale": 7.0, "denoising_strength": 0.75}


def space_of(*wanted: str, prompt: str = "a red circle", known: dict[str, float] = KNOWN) -> Space:
    return build(PromptOptions(prompt=prompt, negative_prompt="bad", vary_settings=wanted), settings=known)


def test_a_setting_is_an_axis_behind_the_words() -> None:
    space = space_of("cfg_scale:3~9")
    assert space.labels == ["a", "red", "circle", "negative: bad", "CFG scale"]
    assert [axis.side for axis in space.axes] == ["prompt"] * 3 + ["negative", "settings"]
    assert [axis.group for axis in space.axes] == ["words"] * 4 + ["cfg_scale"]
    assert (space.original[-1], space.low[-1], space.high[-1]) == (7.0, 3.0, 9.0)
    assert space.in_words == "4 weights and 1 setting"
    recipe = space.recipe([1, 1.5, 1, 1, 4.4449])
    assert recipe == Recipe("a (red :1.5)circle", "bad", (("cfg_scale", 4.44),))
    assert space.parts([1, 1, 1, 1, 4.4449])[-1] == ("CFG scale", 4.44, "settings")


def test_the_jobs_own_value_stays_as_it_is_to_the_last_digit() -> None:
    space = space_of("cfg_scale:3~9", known={"cfg_scale": 6.6667})
    assert space.recipe(space.original).settings == (("cfg_scale", 6.6667),)


@pytest.mark.parametrize(
    ("range_", "scale"), [("cfg_scale:6~8", 1.0), ("cfg_scale:3~9", 4.0), ("denoising_strength:0.5~0.9", 0.25)]
)
def test_half_a_range_is_to_the_search_what_a_weight_of_1_is_to_the_nearest_power_of_two(
    range_: str, scale: float
) -> None:
    assert space_of(range_).scale == [1.0] * 4 + [scale]


def test_several_settings_in_the_order_asked_for() -> None:
    space = space_of(" denoising_strength : .5 ~ 0.9 ", "cfg_scale:1~30")
    assert space.labels[-2:] == ["Denoising strength", "CFG scale"]
    assert space.recipe(space.original).settings == (("denoising_strength", 0.75), ("cfg_scale", 7.0))


def test_settings_alone_may_vary() -> None:
    options = PromptOptions(prompt="a cat", vary_prompt=False, vary_settings=("cfg_scale:3~9",))
    space = build(options, settings=KNOWN)
    assert space.labels == ["CFG scale"] and space.recipe([4.0]) == Recipe("a cat", "", (("cfg_scale", 4.0),))


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        (("cfg_scale",), "a range such as cfg_scale:3~9"),
        (("steps:3~9",), "of cfg_scale or denoising_strength"),
        (("cfg_scale:9~3",), "the lower end first"),
        (("cfg_scale:3~3.001",), "the lower end first"),
        (("cfg_scale:0~9",), "within 1~100"),
        (("cfg_scale:3~1e3",), "a range such as"),
        (("denoising_strength:0.5~1.5",), "within 0~1"),
        (("cfg_scale:8~9",), "holds the job's own CFG scale, 7"),
        (("cfg_scale:3~9", "cfg_scale:5~8"), "each of these once"),
    ],
)
def test_what_cannot_vary_is_refused_by_name(wanted: tuple[str, ...], allowed: str) -> None:
    with pytest.raises(OptionError, match="vary_settings") as caught:
        space_of(*wanted)
    assert allowed in str(caught.value) and wanted[-1] in str(caught.value)


def test_a_setting_that_the_host_lacks_is_refused() -> None:
    with pytest.raises(OptionError, match=r"as this host and job have them: cfg_scale$"):
        space_of("denoising_strength:0.5~0.9", known={"cfg_scale": 7.0})


def test_a_lora_multiplier_is_an_axis_of_its_own_group() -> None:
    options = PromptOptions(prompt="cat <lora:a:0.5>", vary_loras=True, vary_settings=("cfg_scale:3~9",))
    assert [axis.group for axis in build(options, settings=KNOWN).axes] == ["words", "loras", "cfg_scale"]


def test_a_setting_is_printed_within_the_range_that_was_asked_for() -> None:
    space = space_of("cfg_scale:3.004~8.996", known={"cfg_scale": 3.0041})
    found = [space.round([1.0, 1.0, 1.0, 1.0, value])[-1] for value in (3.004, 3.0049, 8.996, 3.0041)]
    assert found == [3.01, 3.01, 8.99, 3.0041]
    with pytest.raises(OptionError, match="vary_settings"):
        space_of("cfg_scale:3.001~3.009", known={"cfg_scale": 3.005})
