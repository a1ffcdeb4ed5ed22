"""No prompt crashes the parser or makes it slow."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from prompt_pins.errors import PromptError
from prompt_pins.prompt import parse, render
from prompt_pins.prompt.units import units as units_of

WORDS = ["masterpiece", "best", "quality", "red", "cat", "blue", "house", "1girl", "standing", "detailed"]
CALLS = 60  # a word; it takes 31 and 46
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
    """How many functions are called, Python's own among them: a measure of work that is the same on every machine."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def ratio_stays_below(limit: float, short: Callable[[], object], long: Callable[[], object]) -> bool:
    """Whether the least processor time of `long` comes below `limit` times that of `short`, given time enough."""

    def seconds(work: Callable[[], object]) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    best_short = best_long = float("inf")
    for _ in range(30):
        best_short, best_long = min(best_short, seconds(short)), min(best_long, seconds(long))
        if best_long < limit * best_short:
            return True
    return False


def printed(text: str) -> None:
    """Parse a prompt and print it, if it can be."""
    with suppress(PromptError):
        render(parse(text))


def long_prompt(words: int, joint: str) -> str:
    source = random.Random(1)
    return joint.join(source.choice(WORDS) for _ in range(words))


@pytest.mark.parametrize("joint", [" ", ", "])
def test_a_word_costs_few_calls(joint: str) -> None:
    text = long_prompt(4000, joint)
    weights = [1.0 + 0.25 * (number % 3) for number in range(len(units_of(parse(text))))]
    assert calls(lambda: render(parse(text), weights)) < CALLS * 4000


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
    ],
)
def test_time_is_linear_in_the_length(piece: str) -> None:
    short, long = piece * 500, piece * 8000
    assert calls(lambda: printed(long)) < 20 * calls(lambda: printed(short))
    assert ratio_stays_below(4 * 16, lambda: printed(short), lambda: printed(long))  # a square would be 256


@pytest.mark.parametrize(("start", "end"), [("(", ""), ("[", "]"), ("[a:", ":5]")])
def test_depth_costs_nothing(start: str, end: str) -> None:
    short, long = (start * depth + "a" + "b" * (start == "[a:") + end * depth for depth in (1_000, 16_000))
    assert render(parse(long)) == long
    assert ratio_stays_below(4 * 16, lambda: printed(short), lambda: printed(long))
