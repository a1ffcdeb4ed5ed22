"""The law: a prompt printed with its own weights is the same prompt to the host; other weights change weights only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prompt_pins.errors import PromptError
from prompt_pins.prompt import Prompt, Unit, Vary, parse, read_weights, render
from prompt_pins.prompt.units import units as units_of
from prompt_pins.prompt.words import PIECE

from tests.prompt.prompt_cases import NAMES, anything, hostile, likely
from tests.prompt.prompt_oracle import HostStops, Reading, Tokenize, read, same

CASES = settings(
    max_examples=250,
)
WEIGHTS = [0.0, 0.5, 0.9, 1.0, 1.0, 1.2, 1.3, 1.2345678, 0.0004, 0.9999]
chosen = st.lists(st.sampled_from(WEIGHTS), min_size=80, max_size=80)


def weights_for(units: Sequence[Unit], pool: Sequence[float]) -> list[float]:
    return [pool[unit.index % len(pool)] for unit in units]


def read_both(text: str, tokenize: Tokenize, negative: bool, names: tuple[str, ...]) -> tuple[Reading, Prompt] | None:
    """None where the host itself stops; then the product must say so, unless it keeps that part as written."""
    try:
        expected = read(text, tokenize, negative, embeddings=names)
    except HostStops:
        try:
            prompt = parse(text, names, negative)
        except PromptError:
            return None
        assert any(part.opaque for part in prompt.parts)
        return None
    return expected, parse(text, names, negative)


def obey(text: str, pool: Sequence[float], negative: bool, names: tuple[str, ...], tokenize: Tokenize) -> None:
    both = read_both(text, tokenize, negative, names)
    if both is None:
        return
    expected, prompt = both

    plain = render(prompt)
    assert same(expected, read(plain, tokenize, negative, embeddings=names), weights=True)
    assert render(parse(plain, names, negative)) == plain

    units = units_of(prompt)
    printed = render(prompt, weights_for(units, pool))
    assert same(expected, read(printed, tokenize, negative, embeddings=names), weights=False)
    again = parse(printed, names, negative)
    assert render(again) == printed
    assert not re.search(r":-0?\.?0*\)", printed)
    assert [unit.text for unit in units_of(again)] == [unit.text for unit in units] or "\n#" in text or "[" in text


def obey_in_groups(text: str, pool: Sequence[float], negative: bool, tokenize: Tokenize) -> None:
    both = read_both(text, tokenize, negative, ())
    if both is None:
        return
    expected, prompt = both
    for vary in ("phrases", "groups"):
        units = units_of(prompt, vary, loras=True)
        weights = [unit.weight if unit.kind == "lora" else pool[unit.index % len(pool)] for unit in units]
        printed = render(prompt, weights, vary, loras=True)
        assert same(expected, read(printed, tokenize, negative), weights=False)


@CASES
@given(likely(), chosen, st.booleans(), st.sampled_from([(), NAMES]))
def test_prompts_that_people_write(
    tokenize: Tokenize, text: str, pool: list[float], negative: bool, names: tuple[str, ...]
) -> None:
    obey(text, pool, negative, names, tokenize)


@CASES
@given(hostile, chosen, st.booleans(), st.sampled_from([(), NAMES]))
@example("(un)(paren)", [1.2, 1.3], False, ())
@example("(un:1.2)paren", [1.3, 1.3], False, ())
@example("(a BREAK b:1.2) BREAK c", [1.3, 1.3], False, ())
@example("(a BREAK b:0)", [1.3, 1.3], False, ())
@example("[(a:1.2)|b]c", [1.3, 1.3, 1.3], False, ())
@example("[fe|]male", [1.3, 0.5], False, ())
@example("a[BREAK|]b", [1.3, 0.5], False, ())
@example("(x)AND(y)", [1.0, 1.0], False, ())
@example("(A:1.1)(ND:1.1)", [1.0, 1.0], False, ())
@example("A(ND)", [1.0, 1.0], True, ())
@example("B(REAK)", [1.0, 1.0], False, ())
@example("a:(1.1:1.3)", [1.0, 1.0], False, ())
@example("(a::1.3)1.1", [1.0, 1.0], False, ())
@example("<lora, cat>", [1.3, 1.0, 1.2], False, ())
@example("<lo(ra:x>:1.2)", [1.0], False, ())
@example("ca<lora:x:1>t, # note", [1.3, 1.0], False, ())
@example("(bad:1.2) prompt", [1.0, 1.0], False, NAMES)
@example("(bad:1.2)-hands", [1.3, 1.3], False, NAMES)
@example("[bad|good] prompt", [1.3, 1.2], False, NAMES)
@example("my, name", [1.3, 1.2], False, NAMES)
@example("(cat:[1.1:1.3:0.5]) dog", [1.3, 1.2], False, ())
@example("a [b:c:5] :) d", [1.3, 1.2], False, ())
@example("a |[b:c:5]", [1.3, 1.2], False, ())
@example("(a:1e-05)", [1.3], False, ())
@example("(a\\:1.2)", [1.3], False, ())
@example("cat:1.1", [1.3], False, ())
@example("cat :1.1 AND dog:-.5 ", [1.3, 1.2], True, ())
@example("<<BREAK\\:x<lora:l:0.5>", [1.0], False, ())
@example("[|x]BREAK[|y|()]BREAK", [1.0], False, ())
@example("[a:-2] BREAK( x:1.2)", [1.3, 1.1], False, ())
@example("bad promptŉ", [1.2, 1.3], False, NAMES)
@example("< [&|x]amp;", [1.2, 1.3], False, ())
@example("((h)),'s", [0.0], False, ())
@example("(!,:1.2)a", [1.3], False, ())
@example("[h|x],'s", [1.3, 0.5], False, ())
@example("a, \x0b(", [1.3, 1.2, 1.1], False, ())
@example("a:(1.1\x0b:1.3)", [1.0], False, ())
@example("[(a:1.2)|b]<lora:x:1>( c:1.2)", [0.5], False, ())
def test_hostile_prompts(
    tokenize: Tokenize, text: str, pool: list[float], negative: bool, names: tuple[str, ...]
) -> None:
    obey(text, pool, negative, names, tokenize)


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_prompts(tokenize: Tokenize, seed: int) -> None:
    random = Random(seed)
    for _ in range(1000):
        text = anything(random)
        pool = [random.choice(WEIGHTS) for _ in range(7)]
        negative = random.random() < 0.3
        names = NAMES if random.random() < 0.4 else ()
        try:
            obey(text, pool, negative, names, tokenize)
        except Exception as error:
            raise AssertionError(f"{text!r} negative={negative} names={names} pool={pool}") from error


@settings(max_examples=100)
@given(st.one_of(likely(), hostile), chosen, st.booleans())
def test_phrases_and_groups(tokenize: Tokenize, text: str, pool: list[float], negative: bool) -> None:
    obey_in_groups(text, pool, negative, tokenize)


@settings(max_examples=100)
@given(likely(), chosen)
def test_the_printed_weights_are_the_ones_asked_for(tokenize: Tokenize, text: str, pool: list[float]) -> None:
    both = read_both(text, tokenize, False, ())
    if both is None:
        return
    units = units_of(both[1])
    weights = weights_for(units, pool)
    again = {(unit.text, round(unit.weight, 3)) for unit in units_of(parse(render(both[1], weights)))}
    for unit, weight in zip(units, weights):
        wanted = unit.weight if unit.fixed else weight
        assert (unit.text, round(wanted, 3)) in again or "[" in unit.text or "(" in text


@settings(max_examples=100, deadline=None)
@given(likely(), chosen, st.sampled_from(["words", "phrases", "groups"]))
def test_the_printed_weights_are_read_back(text: str, pool: list[float], vary: Vary) -> None:
    try:
        prompt = parse(text)
    except PromptError:
        return
    units = units_of(prompt, vary, loras=True)
    weights = weights_for(units, pool)
    printed = render(prompt, weights, vary, loras=True)
    if any(part.opaque for part in parse(printed).parts):
        return
    for unit, weight, back in zip(units, weights, read_weights(prompt, printed, (), vary, loras=True), strict=True):
        assert unit.fixed or abs(weight - back) <= 0.0005


@pytest.mark.parametrize("size", [60, 74, 75, 76, 150, 400])
def test_long_prompts_keep_their_chunks(tokenize: Tokenize, size: int) -> None:
    text = ", ".join(["a cat", "(red dog:1.2)", "[blue]", "bird"][number % 4] for number in range(size))
    obey(text + " BREAK " + text, [1.3, 0.7, 1.0], False, (), tokenize)


@pytest.mark.parametrize(
    "text",
    [
        "it’s a “golden hour” photograph",
        "red circle， white background",
        "杰作，（最高质量），长发",
        "Tom &amp; Jerry, R&lt,b &#44, c",
        "ﬁne art, ａ，ｂ",
        "\ufeffred, \ufeffblue",
        "a <b &amp;lt; c, d",
        "(a <:1.2) &amp; b",
        "itâ€™s a cat, cafÃ…, Â  b",
    ],
)
def test_what_the_hosts_tokenizer_cleans(tokenize: Tokenize, text: str) -> None:
    for pool in ([1.3, 1.2], [1.0, 1.2], [1.3]):
        obey(text, pool, False, (), tokenize)


def test_no_letter_joins_the_comma_beside_it(tokenize: Tokenize) -> None:
    """Letters that lower case, NFC or ftfy change; so does the host's tokenizer before it cuts."""
    fix_text = pytest.importorskip("ftfy").fix_text
    ranges = range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x10000), range(0x1F100, 0x1F300)
    letters = [chr(number) for numbers in ranges for number in numbers if chr(number).isalnum()]
    changed = [letter for letter in letters if letter.lower() != letter or fix_text(letter) != letter]
    assert len(changed) > 1500
    for letter in changed:
        for text in (f"{letter},b", f"a，{letter}"):
            pieces = [match.group() for match in PIECE.finditer(text)]
            assert tokenize(text) == [number for piece in pieces for number in tokenize(piece)], text


def test_the_oracle_tells_prompts_apart(tokenize: Tokenize) -> None:
    plain = read("a red cat, dog", tokenize)
    assert not same(plain, read("a red cat dog", tokenize), weights=False)
    assert not same(plain, read("a (red:1.1) cat, dog", tokenize), weights=True)
    assert same(plain, read("a (red:1.1) cat, dog", tokenize), weights=False)
    assert not same(plain, read("a red cat, dog:1.1", tokenize), weights=False)
    assert not same(plain, read("a red cat, dog <lora:x:1>", tokenize), weights=False)
    assert not same(plain, read("[a|b] red cat, dog", tokenize), weights=False)
