"""Units, steering marks, LoRA multipliers and printing, case by case."""

from __future__ import annotations

import pytest
from prompt_pins.errors import OptionError, PromptError
from prompt_pins.prompt import Vary, parse, read_weights, render
from prompt_pins.prompt.units import units as units_of


def texts(text: str, vary: str = "words", **options: object) -> list[str]:
    return [unit.text for unit in units_of(parse(text, **options), vary)]  # type: ignore[arg-type]


def weights(text: str) -> dict[str, float]:
    return {unit.text: round(unit.weight, 6) for unit in units_of(parse(text)) if unit.kind != "punctuation"}


def test_words_are_cut_at_blanks_and_commas_only() -> None:
    assert texts("a well-known cat,dog  (8k),\nf/1.8") == ["a", "well-known", "cat", ",", "dog", "8k", ",", "f/1.8"]


def test_a_comma_that_would_join_other_punctuation_stays() -> None:
    assert texts("hands_, :), x,'s y") == ["hands_,", ":),", "x,'s", "y"]


def test_commas_of_other_scripts_cut_too() -> None:
    assert texts("猫，犬、鳥 قطة، كلب") == ["猫", "，", "犬", "、", "鳥", "قطة", "،", "كلب"]


def test_nested_emphasis_is_multiplied_out() -> None:
    found = weights("a ((b) c [d]:1.2) [[e]] ((f")
    assert found == {"a": 1, "b": 1.32, "c": 1.2, "d": 1.090909, "e": 0.826446, "f": 1.21}


def test_columns_point_into_the_source() -> None:
    source = "a <lora:x:1> (red:1.2) # note\n\\(cat\\)"
    for unit in units_of(parse(source)):
        assert source[unit.start : unit.end].replace("\\", "") == unit.text


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("cat , - ... & 😀 ♥ 8 _", ["word", *["punctuation"] * 4, "word", "word", "word", "punctuation"]),
        ("(x) -", ["word", "punctuation"]),
    ],
)
def test_kinds(text: str, kinds: list[str]) -> None:
    units = units_of(parse(text))
    assert [unit.kind for unit in units] == kinds
    assert [unit.fixed for unit in units] == [kind == "punctuation" for kind in kinds]


def test_names_of_embeddings_are_whole() -> None:
    names = ["my style, v2", "bad-hands", "EasyNegative"]
    units = units_of(parse("a (My  Style,v2:1.2), easynegative bad-hands badhands", names))
    assert [(unit.text, unit.kind) for unit in units] == [
        ("a", "word"),
        ("My  Style,v2", "embedding"),
        (",", "punctuation"),
        ("easynegative", "embedding"),
        ("bad-hands", "embedding"),
        ("badhands", "word"),
    ]


def test_a_name_is_not_made_by_printing() -> None:
    prompt = parse("(bad:1.2) hands", ["bad hands"])
    assert render(prompt, [1, 1]) == "bad( :1.1)hands"
    assert render(prompt, [1.3, 1.3]) == "(bad:1.3) (hands:1.3)"
    assert render(parse("(bad:1.2) hands"), [1, 1]) == "bad hands"


def test_and_and_networks_exist_in_positive_prompts_only() -> None:
    assert texts("a AND b <lora:x:1>") == ["a", "b"]
    assert texts("a AND b <lora:x:1>", negative=True) == ["a", "AND", "b", "<lora:x:1>"]


def test_words_that_a_schedule_glues_are_one_unit() -> None:
    prompt = parse("[fe|]male cat")
    assert texts("[fe|]male cat") == ["[fe|]male", "cat"]
    assert render(prompt, [1.3, 1]) == "[(fe:1.3)|](male :1.3)cat"
    assert texts("a cat[, in a hat:5]") == ["a", "cat", ",", "in", "a", "hat"]


def test_phrases() -> None:
    text = "a red cat, (blue big dog) - x, y [p q:r:5] AND z BREAK w"
    assert texts(text, "phrases") == ["a red cat", ",", "blue big dog", "- x", ",", "y", "p q", "r", "z", "w"]
    assert render(parse("a red cat, dog"), [1.2, 1, 0.9], "phrases") == "(a red cat:1.2), (dog:0.9)"


def test_groups() -> None:
    text = "a (red, (big) cat:1.2) b [c] (d:=1.1)"
    units = units_of(parse(text), "groups")
    assert [(unit.text, round(unit.weight, 4), unit.fixed) for unit in units] == [
        ("red, (big) cat", 1.2, False),
        ("big", 1.32, False),
        ("c", 0.9091, False),
        ("d", 1.1, True),
    ]
    printed = render(parse(text), [1.3, 1.5, 1, 9], "groups")
    assert printed == "a (red, :1.3)(big:1.5)( cat:1.3) b c (d:1.1)"


@pytest.mark.parametrize(
    ("text", "numbers", "printed"),
    [
        ("cat", [1.2], "(cat:1.2)"),
        ("blue cat", [1.1, 1.2], "(blue :1.1)(cat:1.2)"),
        ("blue cat", [1.1, 1.1], "(blue cat:1.1)"),
        ("blue cat", [1.0004, 0.9996], "blue cat"),
        ("cat", [0.00001], "(cat:0)"),
        ("cat", [-0.0001], "(cat:0)"),
        ("cat", [0.12345], "(cat:0.123)"),
        ("cat", [123456.0], "(cat:123456)"),
        ("(un:1.2)paren", [1.3, 1.3], "(un paren:1.3)"),
        ("((((cat))))", [1.1**4], "(cat:1.4641)"),
        ("[cat]", None, "(cat:0.9090909)"),
        ("(cat:1.0)", None, "cat"),
        ("(cat) (dog)", None, "(cat dog:1.1)"),
        ("(cat:1.2) (dog:1.3)", None, "(cat:1.2) (dog:1.3)"),
        ("a cat:1.1", [1, 1.3], "a (cat:1.3):1.1"),
        ("((a][:b:c [d:3]", None, "((a][:b:c [d:3]"),
        ("__wild__ {a|b}", [1.2, 1.1], "(__wild__ :1.2)({a|b}:1.1)"),
        ("a | [x:y:5]", None, "a | (x:y:5:0.9090909)"),
        ("(cat", [1.3], "(cat:1.3)"),
        ("cat)", [1.3], "(cat\\):1.3)"),
        ("(a BREAK b:1.2)", [1, 1.3], "a (BREAK:1.2)( b:1.3)"),
        ("(cat:-0.5) dog", [2, 1.2], "(cat:-0.5)( dog:1.2)"),
    ],
)
def test_printing(text: str, numbers: list[float] | None, printed: str) -> None:
    assert render(parse(text), numbers) == printed


@pytest.mark.parametrize("numbers", [[1.0], [1.0, 1.0, 1.0], [1.0, -0.1], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_that_are_refused(numbers: list[float]) -> None:
    with pytest.raises(OptionError, match="weights"):
        render(parse("a b"), numbers)


def test_an_unknown_choice_of_units_is_refused() -> None:
    with pytest.raises(OptionError, match="vary"):
        units_of(parse("a"), "letters")  # type: ignore[arg-type]


def test_loras() -> None:
    text = "<lora:a> cat <lora:b:0.8>, <lora:c:0.8:0.5> <lora:d:te=.5:unet=-1> <hypernet:e:1> <lyco:f:2>"
    units = units_of(parse(text), loras=True)
    found = [(unit.text, unit.weight) for unit in units if unit.kind == "lora"]
    assert found == [
        ("lora:a", 1.0),
        ("lora:b", 0.8),
        ("lora:c", 0.8),
        ("lora:c:unet", 0.5),
        ("lora:d", 0.5),
        ("lora:d:unet", -1.0),
        ("lyco:f", 2.0),
    ]
    assert render(parse(text), [unit.weight for unit in units], loras=True) == text
    changed = [unit.weight if unit.kind != "lora" else 0.1234 * (unit.index + 1) for unit in units]
    assert render(parse(text), changed, loras=True) == (
        "<lora:a:0.123> cat <lora:b:0.37>, <lora:c:0.617:0.74> <lora:d:te=0.864:unet=0.987> "
        "<hypernet:e:1> <lyco:f:1.111>"
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("(cat:0.8~1.2)", "cat"),
        ("(cat:1.1~1.2)", "(cat:1.1)"),
        ("(cat:0.2 ~ .9)", "(cat:0.9)"),
        ("(cat:=1.1)", "(cat:1.1)"),
        ("(red cat:1.3@a) (dog:1@a)", "(red cat:1.3) dog"),
        ("(cat:0.8~1.2@big-one)", "cat"),
        ("((cat:=1.5) dog:1.2)", "((cat:1.5) dog:1.2)"),
        ("[(cat:=1.1):dog:5]", "[(cat:1.1):dog:5]"),
    ],
)
def test_steering_marks_start_as_plain_weights(text: str, plain: str) -> None:
    assert render(parse(text)) == render(parse(plain))
    assert [(unit.text, unit.weight) for unit in units_of(parse(text))] == [
        (unit.text, unit.weight) for unit in units_of(parse(plain))
    ]


def test_steering_marks_reach_every_word_and_multiply_out() -> None:
    units = units_of(parse("((red cat:0.5~1.5@a) (dog:=1.5) bird:2)"))
    assert [(unit.fixed, unit.low, unit.high, unit.tie) for unit in units] == [
        (False, 1.0, 3.0, "a"),
        (False, 1.0, 3.0, "a"),
        (True, None, None, None),
        (False, None, None, None),
    ]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("(cat:=)", 6),
        ("a (cat:0.8~)", 8),
        ("(cat:~1.2)", 6),
        ("(cat:1.2~0.8)", 6),
        ("(cat:-1~1)", 6),
        ("(cat:=-1)", 6),
        ("(cat:1@)", 6),
        ("(cat:@a)", 6),
        ("(cat:=1@a)", 6),
        ("(cat:0.8~1.2~1.3)", 6),
        ("(cat:0.8~1.2 x)", 6),
        ("# note\n<lora:x:1>(cat:=)", 23),
        ("(cat:1.2.3)", 6),
        ("x [a:(cat:0.8~b):5]", 11),
        ("a (red:1.0004~1.0006)", 8),
        ("(red:0.0001~0.0004)", 6),
        ("(red:0~" + "9" * 400 + ")", 6),
        ("[red:blue:1e999]", 11),
        ("a [red::1.5e308]", 9),
        ("a cat AND a dog :-" + "9" * 400 + " AND c", 18),
        ("a cat :" + "9" * 31, 8),
    ],
)
def test_malformed_marks_and_weights_name_their_column(text: str, column: int) -> None:
    with pytest.raises(PromptError) as caught:
        parse(text)
    assert caught.value.column == column


@pytest.mark.parametrize("text", ["(cat\\:=1.1)", "(cat:a~b)", "cat:0.8~1.2)", "(10:30~11:00)", "a@b ~ c=d", "(x:)"])
def test_text_that_only_looks_like_a_mark(text: str) -> None:
    assert all(unit.low is None and not unit.tie for unit in units_of(parse(text)))


def test_a_mark_in_a_part_that_is_kept_as_written_is_refused() -> None:
    with pytest.raises(PromptError, match="stray bracket"):
        parse("((cat:0.8~1.2) [a:b:5]")


@pytest.mark.parametrize(
    ("text", "low", "high", "weight"),
    [
        ("(red:1.0004~1.2)", 1.001, 1.2, 1.001),
        ("(red:0.5~0.9996)", 0.5, 0.999, 0.999),
        ("((red:0.8~1.2):1.1)", 0.88, 1.32, 1.1),
        ("((red:1.0004~1.0016):2)", 2.001, 2.003, 2.001),
        ("((red:0.8~1.2):1.0001)", 0.801, 1.2, 1.0001),
    ],
)
def test_ranges_end_at_weights_that_can_be_printed(text: str, low: float, high: float, weight: float) -> None:
    (unit,) = units_of(parse(text))
    assert (unit.low, unit.high, round(unit.weight, 7)) == (low, high, weight)


def test_a_range_with_one_printed_weight_is_frozen_there() -> None:
    assert [(unit.fixed, unit.weight) for unit in units_of(parse("(red:1~1.0001) circle"))] == [(True, 1), (False, 1)]


def test_a_text_of_the_same_words_gives_weights() -> None:
    prompt = parse("a (red:=1.1) circle, dog (-:1.2) <lora:x:1>")
    assert read_weights(prompt, "(a :0.5)(red:1.1) (circle:1.3), dog -") == [0.5, 1.1, 1.3, 1, 1, 1]
    assert read_weights(prompt, "a (red:=1.1) circle, dog - <lora:x:0.7>", loras=True) == [1, 1.1, 1, 1, 1, 1, 0.7]
    group = parse("a (red big:1.3) circle")
    assert read_weights(group, "a red big circle", vary="groups") == [1]
    assert read_weights(group, "a (red big:0.8) circle", vary="groups") == [0.8]
    assert read_weights(parse("[a:b:5] BREAK (c:1.2)"), "[(a:0.3):b:5] BREAK c") == [0.3, 1, 1]


@pytest.mark.parametrize(
    ("text", "vary", "other", "reason"),
    [
        ("a red circle", "words", "a blue circle", "own words"),
        ("a [red:blue:5]", "words", "a red blue", "own words"),
        ("a AND b", "words", "a b", "own words"),
        ("a <lora:x:1>", "words", "a <lora:y:1>", "own words"),
        ("a (red:=1.1) circle", "words", "a red circle", "'red' at 1.1"),
        ("(bad:-0.5) cat", "words", "bad cat", "'bad' at -0.5"),
        ("a (red) circle", "groups", "(a:1.2) red circle", "'a' at 1"),
        ("a (red big) circle", "groups", "a (red:1.2) big circle", "'red big'"),
    ],
)
def test_a_text_that_the_units_cannot_follow_is_refused(text: str, vary: Vary, other: str, reason: str) -> None:
    with pytest.raises(PromptError, match=reason):
        read_weights(parse(text), other, vary=vary, loras=True)


def test_comments_and_tags_stay_where_they_were() -> None:
    text = "# about\na cat # my cat\n, dog <lora:x:0.5>, bird # end"
    prompt = parse(text)
    assert render(prompt) == text + "\n"
    assert render(prompt, [1, 1.2, 1, 1, 1, 1]) == "# about\na (cat # my cat\n:1.2), dog <lora:x:0.5>, bird # end\n"
