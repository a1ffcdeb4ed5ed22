"""Schedules, AND and emphasis against what the WebUI documents of its own parser, and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_pins.errors import HostError, PromptError
from prompt_pins.headless.prompt_steps import Segment, Stretch, expand, segments, split_and


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        ("plain words", 10, [(10, "plain words")]),
        ("a [cat:dog:0.5] sits", 10, [(5, "a cat sits"), (10, "a dog sits")]),
        ("a [cat:dog:3] sits", 10, [(3, "a cat sits"), (10, "a dog sits")]),
        ("a [cat:dog:.25]", 8, [(2, "a cat"), (8, "a dog")]),
        ("a [late:4]", 10, [(4, "a "), (10, "a late")]),
        ("a [early::4]", 10, [(4, "a early"), (10, "a ")]),
        ("[a:b:25]", 20, [(20, "a")]),
        ("[a:b:0]", 20, [(20, "b")]),
        ("[a:b:-3]", 20, [(20, "b")]),
        ("x[b:[c:d:4]:2]y", 10, [(2, "xby"), (4, "xcy"), (10, "xdy")]),
        ("[(a:1.3):b:2]", 4, [(2, "(a:1.3)"), (4, "b")]),
        ("[a|b|c]!", 4, [(1, "a!"), (2, "b!"), (3, "c!"), (4, "a!")]),
        ("[fe|]male", 3, [(1, "female"), (2, "male"), (3, "female")]),
        ("a [soft] word", 10, [(10, "a [soft] word")]),
        (r"\[a:b:5\]", 10, [(10, r"\[a:b:5\]")]),
        ("a | b [c:d:5]", 10, [(10, "a | b [c:d:5]")]),
        ("", 3, [(3, "")]),
    ],
)
def test_schedules(text: str, steps: int, expected: list[tuple[int, str]]) -> None:
    assert expand(text, steps) == tuple(Stretch(*stretch) for stretch in expected)


def test_schedules_nest_deeply_without_recursion_trouble() -> None:
    depth = 60
    stretches = expand("[" * depth + "x" + ":y:0.5]" * depth, 10)
    assert [stretch.end for stretch in stretches] == [5, 10]
    assert [stretch.text for stretch in stretches] == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("a cat AND a dog", [("a cat", 1.0), (" a dog", 1.0)]),
        ("a cat :1.2 AND a dog:-0.5", [("a cat", 1.2), (" a dog", -0.5)]),
        ("a SAND castle", [("a SAND castle", 1.0)]),
        ("ends in a weight:2", [("ends in a weight", 2.0)]),
    ],
)
def test_and(text: str, expected: list[tuple[str, float]]) -> None:
    assert split_and(text) == tuple(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (red:1.3) cat", [("a ", 1.0), ("red", 1.3), (" cat", 1.0)]),
        ("((very) red)", [("very", 1.1 * 1.1), (" red", 1.1)]),
        ("[faint]", [("faint", 1 / 1.1)]),
        ("(a:1.5)(b:1.5)", [("ab", 1.5)]),
        (r"\(round\) \[square\]", [("(round) [square]", 1.0)]),
        ("(open", [("open", 1.1)]),
        ("shut)", [("shut)", 1.0)]),
        ("(a:-1)", [("a", -1.0)]),
        ("", []),
    ],
)
def test_emphasis(text: str, expected: list[tuple[str, float]]) -> None:
    found = segments(text)
    assert [segment.text for segment in found] == [text for text, _ in expected]
    assert [segment.weight for segment in found] == pytest.approx([weight for _, weight in expected])


def test_break_ends_a_chunk_only_outside_emphasis() -> None:
    assert [segment.weight for segment in segments("a BREAK b")] == [1.0, None, 1.0]
    assert Segment("BREAK", -1.2) in segments("(a BREAK b:1.2)")


def test_unreadable_emphasis_is_refused() -> None:
    with pytest.raises(PromptError, match=r"1\.2\.3"):
        segments("(a:1.2.3)")
    with pytest.raises(HostError, match="too deep"):
        segments("(" * 500 + "a" + ")" * 500)


@given(st.text("ab ([:|])\\.5,BREAK", max_size=40), st.integers(1, 30))
def test_every_text_has_stretches_that_cover_the_steps(text: str, steps: int) -> None:
    ends = [stretch.end for stretch in expand(text, steps)]
    assert ends == sorted(set(ends)) and ends[0] >= 1 and ends[-1] == steps
