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
