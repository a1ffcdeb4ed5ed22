"""No prompt crashes the parser or makes it slow."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from prompt_pins.errors import PromptError
from prompt_pins.prompt import parse, read_weights, render
from prompt_pins.prompt.units import units as units_of
from prompt_pins.space import Space
from prompt_pins.space.text import Text

WORDS = ["masterpiece", "best", "quality", "red", "cat", "blue", "house", "1girl", "standing", "detailed"]
BYTES = bytes(range(256)) + b"()[]:|\\,<># ABREKND~=@.1" * 24


def test_100_000_random_byte_strings() -> None:
    source = random.Random(7)
    refused = 0
    for number in range(100_000):
        data = bytes(source.choices(BYTES, k=number % 24))
        try:
            prompt = parse(data.decode("utf-8", "replace") if number % 2 else data.decode("latin-1"))
        except PromptError:
            refused += 1
            continue
        render(prompt, [1.25] * len(units_of(prompt)))
    assert refused < 2_000


def calls(work: Callable[[], object]) -> int:
    """How many functions are called: the cost on any machine, however busy."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def long_prompt(words: int, joint: str) -> str:
    source = random.Random(1)
    return joint.join(source.choice(WORDS) for _ in range(words))


@pytest.mark.parametrize("joint", [" ", ", "])
def test_a_word_costs_few_calls(joint: str) -> None:
    text = long_prompt(4000, joint)
    weights = [1.0 + 0.25 * (number % 3) for number in range(len(units_of(parse(text))))]
    assert calls(lambda: render(parse(text), weights)) < 60 * 4000


@pytest.mark.parametrize(
    "form", ["{} ", "{}, ", "({}:1.2)", "({}:0.8~1.2@a) ", "[{}:x:5] ", "[fe|]{} ", "{} <lora:x:1>, "]
)
def test_calls_grow_as_the_words_do(form: str) -> None:
    def everything(count: int) -> int:
        text = "a " + "".join(map(form.format, long_prompt(count, " ").split()))

        def work() -> None:
            prompt = parse(text, ["bad hands"])
            for vary in ("words", "phrases", "groups"):
                units_of(prompt, vary, loras=True)
            space = Space((Text.build(text, vary_loras=True),))
            printed = space.recipe([1.1 + number % 7 / 10 for number in range(space.size)]).prompt
            read_weights(prompt, printed)

        return calls(work)

    assert everything(2000) < 4.4 * everything(500)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "cat, ",
            "(cat:1.2), ",
            "((",
            "[[",
            "(a ",
            "(a:1.1) [b ",
            "[a:b:5] ",
            "[a|b]",
            "[a|] ",
            "<a:",
            "\\",
            ",_",
            ":",
        ),
        *("(:", "(a:", "(((a:1 ", "#\n", " AND ", " BREAK ", "(a:1@", "(a:1~2) ", "<lora:x:1>", ": ", ")", "a)", "[a|"),
        *("&lt,", "<&;", "&#1 ", "，（", "Â ", "ŉ,", "[|x]BREAK"),
    ],
)
def test_time_is_linear_in_the_length(piece: str) -> None:
    """16 times the text takes less than 64 times the processor's time; a square would be 256.  Least of many tries."""

    def take(count: int) -> float:
        start = time.process_time()
        with suppress(PromptError):
            render(parse(piece * count))
        return time.process_time() - start

    short = long = float("inf")
    for _ in range(30):
        short, long = min(short, take(500)), min(long, take(8000))
        if long < 64 * short:
            return
    raise AssertionError(f"{long / short:.0f} times")


def test_any_depth_is_read() -> None:
    for text in ("(" * 10_000 + "a", "[" * 10_000 + "a" + "]" * 10_000, "[a:" * 10_000 + "b" + ":5]" * 10_000):
        assert render(parse(text)) == text
