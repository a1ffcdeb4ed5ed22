"""Compel's notation, to and from the host's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.errors import PromptError
from prompt_pins.prompt import parse
from prompt_pins.prompt.compel import from_prompt, to_a1111

from tests.prompt.prompt_oracle import Tokenize, chunks, emphasis


@pytest.mark.parametrize(
    ("compel", "host"),
    [
        ("a tall man picking apricots++", "a tall man picking (apricots:1.21)"),
        ("apricot- apricot--, x", "(apricot:0.9) (apricot:0.81), x"),
        ("a (tall man)1.3 picking", "a (tall man:1.3) picking"),
        ("(ripe (red)++ apricots)--", "(ripe :0.81)(red:0.9801)( apricots:0.81)"),
        ("(plain) words", "plain words"),
        ("(un)++(paren)++", "(un paren:1.21)"),
        ('"two words"+ more', "(two words:1.1) more"),
        ("well-known - x", "well-known - x"),
        ("\\(text\\) a\\+", "\\(text\\) a\\\\+"),
        ("(x)--5", "(x:0.81)5"),
        ("(bad)-0.5 red", "(bad:0.9)0.5 red"),
        ("cat - dog e=mc2", "cat - dog e=mc2"),
        ("a=b++ word(x)++ c++", "a=b++ word\\(x\\)++ (c:1.21)"),
        ("x,y++", "x,(y:1.21)"),
        ("[x] {y|z}", "\\[x\\] {y|z}"),
        ("ratio:1.1", "ratio:\\1.1"),
        ("one AND two BREAK", "one A\\ND two B\\REAK"),
        ("(zero)0 (half).5", "(zero:0) (half:0.5)"),
        ("", ""),
    ],
)
def test_import(compel: str, host: str) -> None:
    assert to_a1111(compel) == host


@pytest.mark.parametrize(
    ("compel", "column", "word"),
    [
        ('("a", "b").and()', 11, "and"),
        ('("a", "b").blend(0.5, 0.5)', 11, "blend"),
        ("a cat.swap(dog)", 6, "swap"),
        ("a (b", 3, "closed"),
        ("a b)", 4, "closes"),
        ("a #b", 3, "comment"),
        ("(e=mc2)1.2", 3, "inside brackets"),
        ("a (cat - dog)++", 8, "inside brackets"),
        ('a "b\nc"', 3, "line break"),
        ("(a)" + "9" * 999, 4, "too large"),
        ("a" + "+" * 9999, 2, "too large"),
        ("((a)" + "9" * 200 + ")" + "9" * 200, 206, "too large"),
    ],
)
def test_what_cannot_be_imported_is_refused(compel: str, column: int, word: str) -> None:
    with pytest.raises(PromptError, match=word) as caught:
        to_a1111(compel)
    assert caught.value.column == column


def test_export() -> None:
    prompt = parse("a (red cat:1.3), x- dog <lora:y:1>")
    assert from_prompt(prompt) == "a (red cat)1.3, x - dog"
    assert from_prompt(prompt, [1, 1.321, 1, 1, 1, 0.5]) == "a (red)1.321 cat, x - (dog)0.5"


@pytest.mark.parametrize("text", ["cat - dog", "e=mc2", "well-known f/1.8, x.and y", '\\(a\\) "b"'])
def test_nothing_is_escaped_without_need(text: str) -> None:
    """Compel keeps every backslash but those before brackets and quotes as text."""
    assert from_prompt(parse(text)) == text.replace('"', '\\"')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a AND b", "AND"),
        ("a cat:1.2", "AND weight"),
        ("a BREAK b", "BREAK"),
        ("[a:b:5]", "step"),
        ("((a [b:c:5]", "stray"),
        ("(bad:-0.5) red circle", "'bad' has -0.5"),
        ("(e=mc2:1.2)", "inside brackets"),
        ("(cat - dog:1.2)", "inside brackets"),
        ("(x-:1.2)", "'x' with the weight 1.2"),
        ("!- x", "cannot say"),
        ("x,'s y", "cannot say"),
        ("(\\\\:1.2)", "cannot say"),
        ("a\x0bb", "vertical tab"),
    ],
)
def test_what_cannot_be_exported_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PromptError, match=reason):
        from_prompt(parse(text))


word = st.sampled_from(["a", "red", "cat-", "dog+", "(x)", "well-known", "8k,", ".", "e=mc", "猫", "-"])
pieces = st.lists(st.tuples(word, st.sampled_from(["1", "1.2", "0.75"])), min_size=1, max_size=8)


@settings(max_examples=200)
@given(pieces)
def test_there_and_back(tokenize: Tokenize, pieces: list[tuple[str, str]]) -> None:
    escaped = [(text.replace("(", "\\(").replace(")", "\\)"), weight) for text, weight in pieces]
    text = " ".join(f"({text}:{weight})" for text, weight in escaped)
    try:
        back = to_a1111(from_prompt(parse(text)))
    except PromptError:
        # signs, = and full stops cannot have a weight of their own in Compel
        assert any(weight != "1" and set("-+=.") & set(word) for word, weight in pieces)
        return
    assert chunks(emphasis(back), tokenize, []) == chunks(emphasis(text), tokenize, [])


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["a", "cat++", "(red dog)1.3", "((b- c)2 d)++", "e, f", "-x", "well-known", "g,"]), max_size=7
    )
)
def test_weights_are_those_of_compel_itself(parts: list[str]) -> None:
    parser = pytest.importorskip("compel.prompt_parser")
    text = " ".join(parts)
    fragments = parser.PromptParser().parse_conjunction(text).prompts[0].children
    theirs = [(word, round(part.weight, 6)) for part in fragments for word in part.text.replace(",", " , ").split()]
    runs = emphasis(to_a1111(text))
    ours = [(word, round(weight, 6)) for run, weight in runs for word in run.replace(",", " , ").split()]
    assert ours == theirs
