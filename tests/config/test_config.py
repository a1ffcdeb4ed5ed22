"""The configuration: declared once, validated once."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError, PromptError
from prompt_pins.options import declarations


def test_it_survives_json() -> None:
    config = RunConfig(prompt="a cat", target=("a.png", "b"), lambda_=8, cs=0.5, width=256)
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_every_field_is_declared_with_a_label_a_help_and_a_group() -> None:
    found = declarations(RunConfig)
    assert list(found) == [field.name for field in dataclasses.fields(RunConfig)]
    for name, declaration in found.items():
        assert declaration.label and declaration.group, name
        assert declaration.help.endswith((".", ")")), name


def test_labels_are_unique() -> None:
    labels = [declaration.label for declaration in declarations(RunConfig).values()]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("name", declarations(RunConfig))
def test_a_wrong_value_is_refused_by_field_value_and_range(name: str) -> None:
    hint = typing.get_type_hints(RunConfig)[name]
    wrong: list[object] = [object(), float("nan")]
    declaration = declarations(RunConfig)[name]
    if declaration.low is not None:
        wrong.append(declaration.low - 1)
    if declaration.high is not None:
        wrong.append(declaration.high + 1)
    if declaration.choices:
        wrong.append("no such choice")
    if hint is bool:
        wrong.append("yes")
    for value in wrong:
        with pytest.raises(OptionError) as caught:
            RunConfig.from_dict({"prompt": "a cat", name: value})
        assert caught.value.field == name
        assert "allowed: " in str(caught.value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"'step' is not allowed; allowed: one of .*steps"):
        RunConfig.from_dict({"prompt": "a cat", "step": 3})


@pytest.mark.parametrize("prompt", ["", " ", "\n"])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(PromptError):
        RunConfig(prompt=prompt)


@pytest.mark.parametrize("values", [{"width": 100}, {"height": 8}, {"weight_low": 2.0}, {"lambda_": 1}])
def test_values_that_do_not_go_together_are_refused(values: dict) -> None:
    with pytest.raises(OptionError):
        RunConfig(prompt="a cat", **values)


@pytest.mark.parametrize("value", [float("inf"), 10**400, "9" * 5000, [[[]]]])
@pytest.mark.parametrize("name", ["steps", "max_images", "cfg_scale"])
def test_a_number_beyond_all_bounds_is_refused_in_a_sentence(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"^{name}: .* is not allowed; allowed: a (whole )?number"):
        RunConfig.from_dict({"prompt": "a cat", name: value})


def test_a_number_of_thousands_of_digits_is_named_without_them() -> None:
    with pytest.raises(OptionError, match="steps: a value of type int that is too long to be shown is not allowed"):
        RunConfig(prompt="a cat", steps=10**5000)


def test_every_number_has_bounds() -> None:
    for name, declaration in declarations(RunConfig).items():
        if {int, float} & {
            typing.get_type_hints(RunConfig)[name],
            *typing.get_args(typing.get_type_hints(RunConfig)[name]),
        }:
            assert declaration.low is not None and declaration.high is not None, name


def test_the_largest_seed_is_taken_and_told_exactly() -> None:
    assert RunConfig(prompt="a cat", cma_seed=2**63 - 1).cma_seed == 2**63 - 1
    with pytest.raises(OptionError, match="from 0 to 9223372036854775807"):
        RunConfig(prompt="a cat", cma_seed=2**63)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(OptionError, match=r"prompt: 'a \\udcff cat' is not allowed; allowed: text of whole characters"):
        RunConfig(prompt="a \udcff cat")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 8192, "height": 8192}, "width: '8192 x 8192' is not allowed; allowed: width x height of at most"),
        (
            {"width": 4096, "height": 4096, "held_out": 65},
            "held_out: 65 is not allowed; allowed: at most 64 images of 4096 x 4096 at once",
        ),
        (
            {"width": 4096, "height": 4096, "batch_size": 17},
            "batch_size: 17 is not allowed; allowed: at most 16 images",
        ),
    ],
)
def test_images_that_no_memory_holds_are_refused(values: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RunConfig(prompt="a cat", **values)


def test_an_empty_path_is_no_path() -> None:
    assert RunConfig(prompt="a cat", target=("", " ")).target == ()
