"""The host's parser of schedules is given schedules only; that it then reads the same: `prompt/test_prompt_host`."""

from __future__ import annotations

import types
from typing import Any

import pytest
from prompt_pins.webui.parsing import SLOW, spared


class LarkError(Exception):
    """The host reads a prompt without schedules upon it."""


class Tree:
    """A node."""

    def __init__(self, data: str, children: list[Any]) -> None:
        self.data, self.children = data, children


LARK = types.SimpleNamespace(
    Tree=Tree, Token=lambda kind, text: text, exceptions=types.SimpleNamespace(LarkError=LarkError)
)


class Parser:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def parse(self, text: str) -> Tree:
        """A tree with the text in it."""
        self.asked.append(text)
        return Tree("start", [text])


@pytest.fixture
def module() -> types.SimpleNamespace:
    return types.SimpleNamespace(schedule_parser=Parser(), lark=LARK)


@pytest.mark.parametrize("text", ["a cat", "", "(a:1.2) [b] (c:0.9)" * 100, "a | (b:1.2)", "\\\n[a:b:5]", "(a [b"])
def test_what_has_no_schedule_is_never_parsed(module: types.SimpleNamespace, text: str) -> None:
    own = module.schedule_parser
    with spared(module), pytest.raises(LarkError):
        module.schedule_parser.parse(text)
    assert own.asked == [] and module.schedule_parser is own


def test_the_parser_gets_each_schedule_alone(module: types.SimpleNamespace) -> None:
    own = module.schedule_parser
    with spared(module) as parser:
        tree = module.schedule_parser.parse("(a:1.1) [b:[c|d]:5] (e [f::2]:1.3) (g:0.9)")
    assert own.asked == ["[b:[c|d]:5]", "[f::2]"]
    texts = [child if isinstance(child, str) else child.children[0] for child in tree.children]
    assert texts == ["(a:1.1) ", "[b:[c|d]:5]", " (e ", "[f::2]", ":1.3) (g:0.9)"]
    assert parser is not None and parser.most == 2 and not parser.warning()


def test_beside_a_stray_bracket_all_of_it_is_parsed(module: types.SimpleNamespace) -> None:
    own = module.schedule_parser
    with spared(module):
        module.schedule_parser.parse("[a:b:5] ) (c:1.2)")
    assert own.asked == ["[a:b:5] ) (c:1.2)"]


def test_a_long_schedule_is_said_to_be_slow(module: types.SimpleNamespace) -> None:
    with spared(module) as parser:
        module.schedule_parser.parse("[" + "(a:1.1)" * SLOW + ":5]")
    assert parser is not None and parser.warning().startswith(f"{SLOW + 1} brackets in one schedule")


def test_the_hosts_parser_is_back_after_an_error_and_may_be_missing(module: types.SimpleNamespace) -> None:
    own = module.schedule_parser
    with pytest.raises(KeyError), spared(module):
        raise KeyError
    assert module.schedule_parser is own
    for other in (None, types.SimpleNamespace(), types.SimpleNamespace(schedule_parser=own)):
        with spared(other) as parser:
            assert parser is None
