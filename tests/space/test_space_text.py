"""The group of the prompts: what varies, what is printed, and what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.config import PromptOptions
from prompt_pins.errors import OptionError, PromptError
from prompt_pins.prompt import parse
from prompt_pins.prompt import render as render_prompt
from prompt_pins.space import Space, build
from prompt_pins.space.text import Text


def space_of(*texts: str, **options: Any) -> Space:
    return Space((Text.build(*texts, **options),))


def texts_at(space: Space, vector: Sequence[float]) -> tuple[str, str]:
    recipe = space.recipe(vector)
    return recipe.prompt, recipe.negative_prompt


def test_positive_comes_first_and_punctuation_has_no_variable() -> None:
    texts = "a (red:1.2) cat, dog", "bad, hands"
    space = space_of(*texts)
    assert space.size == 6
    assert space.labels == ["a", "red", "cat", "dog", "negative: bad", "negative: hands"]
    assert space.original == [1, 1.2, 1, 1, 1, 1]
    assert space.low == [0] * 6
    assert space.high == [2] * 6
    assert [unit.axis for unit in Text.build(*texts).units] == [0, 1, 2, None, 3, 4, None, 5]
    assert [part.side for part in space.parts(space.original)] == ["prompt"] * 5 + ["negative"] * 3


def test_the_original_vector_prints_the_original_prompts() -> None:
    texts = "a ((((red)))) [cat], dog", "(bad:1.25), hands"
    space = space_of(*texts)
    assert texts_at(space, space.original) == tuple(render_prompt(parse(text)) for text in texts)


def test_rendering_and_rounding_agree() -> None:
    space = space_of("a ((((red)))) cat", "bad")
    vector = [1.23456, 1.1**4, 0.0001, 1.9996]
    assert space.round(vector) == [1.235, 1.4641, 0, 2]
    assert texts_at(space, vector) == texts_at(space, space.round(vector))
    assert texts_at(space, vector) == ("(a :1.235)(red:1.4641)( cat:0)", "(bad:2)")


def test_either_prompt_can_be_left_alone() -> None:
    assert space_of("a (b:0.5~1)", "c", vary_prompt=False).labels == ["negative: c"]
    assert space_of("a", "c", vary_negative=False).labels == ["a"]
    assert texts_at(space_of("a", "c", vary_negative=False), [1.5]) == ("(a:1.5)", "c")


def test_ranges_override_the_default_bounds_which_hold_the_original() -> None:
    space = space_of("(a:0.5~1.5) (b:3) (c:=1.1) d", low=0.5, high=1.2)
    assert space.labels == ["a", "b", "d"]
    assert space.low == [0.5, 0.5, 0.5]
    assert space.high == [1.5, 3, 1.2]


def test_ties_share_one_variable_even_across_the_prompts() -> None:
    space = space_of("(cat:1@a) x (dog:0.5~1.4@a)", "(bird:1.3@a)")
    assert space.labels == ["cat + dog + bird", "x"]
    assert space.original == [pytest.approx(1.1), 1]
    assert (space.low[0], space.high[0]) == (0.5, 1.4)
    assert texts_at(space, [1.2, 1]) == ("(cat :1.2)x (dog:1.2)", "(bird:1.2)")


def test_ranges_of_a_tie_are_intersected() -> None:
    space = space_of("(cat:0.5~1.2@a) (dog:0.8~2@a)")
    assert (space.low, space.high) == ([0.8], [1.2])
    with pytest.raises(PromptError, match=r"@a.*'dog'.*'cat'"):
        space_of("(cat:0.5~0.8@a) (dog:1.2~2@a)")


def test_a_tie_has_one_weight_to_the_last_digit() -> None:
    space = space_of("((((cat:1@a)))) (dog:1@a)")
    assert space.original == [1.166]
    assert texts_at(space, space.original)[0] == "(cat dog:1.166)"
    assert space.round([1.1**3]) == [1.331]
    assert texts_at(space, [1.3310001])[0] == "(cat dog:1.331)"


def test_a_range_of_one_weight_is_frozen() -> None:
    space = space_of("(cat:1.2~1.2) dog")
    assert space.labels == ["dog"]
    assert texts_at(space, [1.5]) == ("(cat:1.2)( dog:1.5)", "")
    with pytest.raises(PromptError, match="only the weight 1"):
        space_of("(cat:0.5~1@a) (dog:1~2@a)")


def test_loras_keep_their_sign() -> None:
    space = space_of("cat <lora:a:0.5> <lora:b:-0.5>", vary_loras=True)
    assert space.labels == ["cat", "lora:a", "lora:b"]
    assert (space.low, space.high) == ([0, 0, -2], [2, 2, 0])
    assert texts_at(space, [1, 0.7, -0.25]) == ("cat <lora:a:0.7> <lora:b:-0.25>", "")


def test_labels_are_told_apart() -> None:
    assert space_of("cat cat (cat)").labels == ["cat", "cat (2)", "cat (3)"]


def test_negative_weights_never_vary() -> None:
    assert space_of("(cat:-1) dog").labels == ["dog"]


@pytest.mark.parametrize(
    ("positive", "message"),
    [("", "no words"), (", -", "fixed"), ("(cat:=1)", "fixed"), ("((a [b:c:5]", "stray bracket")],
)
def test_nothing_to_vary_is_said(positive: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        build(PromptOptions(prompt=positive))


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (2.0, 1.0), (1.0, 1.0)])
def test_bounds_are_checked(bounds: tuple[float, float]) -> None:
    with pytest.raises(OptionError, match="low"):
        space_of("a", low=bounds[0], high=bounds[1])


def test_the_vector_is_checked() -> None:
    with pytest.raises(OptionError, match="vector"):
        space_of("a b").recipe([1.0])


@given(st.floats(0, 3), st.floats(0, 3), st.floats(0, 3), st.integers(3, 7), st.lists(st.floats(0, 1)))
def test_what_is_printed_is_within_the_bounds_whatever_their_decimals(
    low: float, high: float, original: float, decimals: int, places: list[float]
) -> None:
    low, high, original = (round(value, decimals) for value in (low, high, original))
    try:
        space = space_of(f"cat (dog:{original:.{decimals}f})", low=low, high=high)
    except OptionError:
        assert high - low < 0.002
        return
    for place in (0.0, 1.0, *places):
        vector = [min(a + place * (b - a), b) for a, b in zip(space.low, space.high, strict=True)]
        for value, axis in zip(space.round(vector), space.axes, strict=True):
            assert axis.low <= value <= axis.high and min(low, axis.original) <= value <= max(high, axis.original)
        assert space.round(space.round(vector)) == space.round(vector)


def test_bounds_are_moved_inward_and_what_lies_beyond_them_is_not() -> None:
    space = space_of("cat", low=0.8004, high=1.2006)
    assert [space.round([value])[0] for value in (0.8004, 0.80049, 1.2006, 1.0)] == [0.801, 0.801, 1.2, 1.0]
    assert [space.round([value])[0] for value in (0.5, 0.8, 1.3)] == [0.5, 0.8, 1.3]


@pytest.mark.parametrize("bounds", [(1.0001, 1.0009), (1.0001, 1.0011)])
def test_bounds_without_two_weights_that_can_be_printed(bounds: tuple[float, float]) -> None:
    with pytest.raises(OptionError, match=r"low, high: .*two weights of 3 decimals"):
        space_of("cat", low=bounds[0], high=bounds[1])
