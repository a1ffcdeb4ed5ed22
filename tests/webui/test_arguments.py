"""What the API and the page hand in, and what is refused with one sentence."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError, PinError
from prompt_pins.options import declarations
from prompt_pins.webui.arguments import read_arguments, stored_images
from prompt_pins.webui.declared import ANALYSIS, FROM_HOST, MAP, SCRIPT, shown

from tests.webui.client import encoded

OWN = set(SCRIPT | ANALYSIS | MAP)


def test_every_option_is_shown_once_or_is_the_hosts() -> None:
    names = [option.name for option in shown()]
    assert len(names) == len(set(names))
    assert set(names) == (set(declarations(RunConfig)) - FROM_HOST) | OWN
    assert set(declarations(RunConfig)) >= FROM_HOST


def test_labels_and_infotext_keys_are_unique_and_plain() -> None:
    # the host saves a control's settings by its label, and drops infotext keys with other characters
    options = shown()
    assert len({option.declaration.label for option in options}) == len(options)
    assert len({option.key for option in options}) == len(options)
    assert all(re.fullmatch(r"[\w \-/]+", option.key) for option in options)


def test_defaults_by_position_are_the_defaults() -> None:
    read = read_arguments([option.default for option in shown()])
    config = RunConfig.from_dict({"prompt": "-", **{name: value for name, value in read.items() if name not in OWN}})
    assert config == RunConfig(prompt="-")


@pytest.mark.parametrize("form", [lambda options: [options], lambda options: [json.dumps(options)]])
def test_named_options(form: Any) -> None:
    given_options = {"generations": 3, "vary": "phrases", "loss_objectives": "flip", "patience": None}
    assert read_arguments(form(given_options)) == {"generations": 3, "vary": "phrases", "loss_objectives": ["flip"]}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([{"generation": 3}], "generations"),
        ([{"prompt": "a cat"}], "the request itself"),
        (["{not json"], "JSON"),
        (['["a"]', 2], "script_args"),
        ([1, 2, 3], "3 values"),
        ([None] * 500, "500 values"),
    ],
)
def test_what_is_refused_is_named(values: list[Any], names: str) -> None:
    with pytest.raises(OptionError, match=names):
        read_arguments(values)


HUGE = 10**400
"""No float holds it."""
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.just(HUGE) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = [option.name for option in shown() if option.kind != "files" and option.name not in OWN]


@given(JSON, st.sampled_from(NAMES))
def test_any_value_is_taken_or_refused_in_words(value: Any, name: str) -> None:
    try:
        read = read_arguments([{name: value}])
        RunConfig.from_dict({"prompt": "-", **read})
    except PinError as error:
        assert str(error).strip()


def test_a_text_may_come_as_a_number() -> None:
    assert read_arguments([{"resume": 3, "piece": 0.5, "of_run": 4.0}]) == {
        "resume": "3",
        "piece": "0.5",
        "of_run": "4",
    }
    assert read_arguments([{"piece": HUGE}]) == {"piece": str(HUGE)}


def test_a_number_that_may_be_left_out_comes_as_text() -> None:
    read = read_arguments([{"damps": "", "cs": "0.25", "tags_wanted": ""}])
    assert read == {"cs": 0.25} and RunConfig.from_dict({"prompt": "-", **read}).cs == 0.25
    with pytest.raises(OptionError, match="cs"):
        RunConfig.from_dict({"prompt": "-", **read_arguments([{"cs": "a lot"}])})


def test_prompts_of_a_list_have_a_line_each() -> None:
    assert read_arguments([{"inject": "a (cat:1.2), red\n a cat, (red:0.8)\n"}]) == {
        "inject": ["a (cat:1.2), red", "a cat, (red:0.8)"]
    }


def test_every_list_may_come_as_the_text_of_its_field() -> None:
    for option in shown():
        if option.kind == "list" and option.name not in ("loss_objectives", "cmatrix"):
            read = read_arguments([{option.name: option.separator.join(("1.5", "2"))}])
            assert RunConfig.from_dict({"prompt": "-", **read})
    assert read_arguments([{"cmatrix": "1, 0.5"}]) == {"cmatrix": [1.0, 0.5]}


def test_not_a_number_is_refused() -> None:
    with pytest.raises(OptionError, match="initial_std"):
        RunConfig.from_dict({"prompt": "-", **read_arguments([{"initial_std": math.nan}])})


def test_uploads_and_base64_become_files(tmp_path: Path) -> None:
    upload = SimpleNamespace(name="/somewhere/upload.png")
    first, second = stored_images("target", [upload, encoded((1, 2, 3))], tmp_path)
    assert first == upload.name
    assert Path(second).parent == tmp_path and Path(second).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["/etc/hosts", "../secret.png", "data:image/png;base64,", "aGVsbG8=", "{}", 7, [[]]])
def test_a_path_or_another_text_is_no_image(text: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="target"):
        stored_images("target", [text or "x"], tmp_path)
