"""The law, and the oracle, against the host's own parser: set PROMPT_PINS_WEBUI to a WebUI checkout (needs lark)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.errors import PromptError
from prompt_pins.prompt import parse, render
from prompt_pins.prompt.units import units as units_of
from prompt_pins.webui.parsing import SparedParser, spared

from tests.prompt.prompt_cases import NAMES, hostile, likely
from tests.prompt.prompt_host import ROOT, Host
from tests.prompt.prompt_oracle import HostStops, Tokenize, read, same

pytestmark = pytest.mark.skipif(ROOT is None, reason="PROMPT_PINS_WEBUI names no WebUI checkout")
CASES = settings(
    max_examples=150,
)


@pytest.fixture(scope="module")
def host() -> Host:
    pytest.importorskip("lark")
    assert ROOT is not None
    return Host(ROOT)


@CASES
@given(st.one_of(likely(), hostile), st.booleans(), st.sampled_from([(), NAMES]), st.randoms(use_true_random=False))
def test_the_law(host: Host, tokenize: Tokenize, text: str, negative: bool, names: tuple[str, ...], random) -> None:
    try:
        expected = host.read(text, tokenize, negative, embeddings=names)
    except HostStops:
        return
    prompt = parse(text, names, negative)
    assert same(expected, host.read(render(prompt), tokenize, negative, embeddings=names), weights=True)
    weights = [random.choice([0.8, 1.0, 1.0, 1.234]) for _ in units_of(prompt)]
    printed = render(prompt, weights)
    reading = host.read(printed, tokenize, negative, embeddings=names)
    assert same(expected, reading, weights=False)
    with spared(host.module):
        assert same(reading, host.read(printed, tokenize, negative, embeddings=names), weights=True)


@CASES
@given(st.one_of(likely(), hostile), st.booleans())
def test_the_oracle_reads_as_the_host_does(host: Host, tokenize: Tokenize, text: str, negative: bool) -> None:
    try:
        expected = host.read(text, tokenize, negative)
    except HostStops:
        with pytest.raises(HostStops):
            read(text, tokenize, negative)
        return
    try:
        unsure = any(part.opaque for part in parse(text, negative=negative).parts)
    except PromptError:
        return
    assert unsure or same(expected, read(text, tokenize, negative), weights=True)


PIECES = (
    "[a:b:5]",
    "[(a:1.2):[b:c:3]:0.5]",
    "[a|(b:1.1)|]",
    "[::2]",
    "([x:y:4]:1.3)",
    " (b:1.2)",
    *"()[]:|",
    "\\(",
    "a ",
)
scheduled = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@CASES
@given(st.one_of(likely(), hostile, scheduled), st.sampled_from([(7, None, False), (7, 5, False), (7, None, True)]))
def test_the_spared_parser_reads_as_the_host_does(host: Host, text: str, steps: tuple[int, int | None, bool]) -> None:
    read = host.parser["get_learned_conditioning_prompt_schedules"]
    with suppress(OverflowError):  # a step that stops the host itself
        expected = read([text], *steps)
        with spared(host.module):
            assert read([text], *steps) == expected
    assert not isinstance(host.module.schedule_parser, SparedParser)
