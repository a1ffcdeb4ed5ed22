"""No prompt crashes the parser or makes it slow."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest
from prompt_pins.errors import PromptError
from prompt_pins.prompt import parse, render
from prompt_pins.prompt.units import units as units_of

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


def cpu_milliseconds(text: str) -> float:
    """Processor time to parse a prompt and print it with a weight for every word, the best of some tries."""
    weights = [1.0 + 0.25 * (number % 3) for number in range(len(units_of(parse(text))))]
    best = float("inf")
    for _ in range(7):
        start = time.process_time()
        render(parse(text), weights)
        best = min(best, time.process_time() - start)
    return best * 1000


def long_prompt(words: int, joint: str) -> str:
    source = random.Random(1)
    return joint.join(source.choice(WORDS) for _ in range(words))


@pytest.mark.parametrize("joint", [" ", ", "])
def test_4000_words_take_less_than_50_ms(joint: str) -> None:
    assert cpu_milliseconds(long_prompt(4000, joint)) < 50


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


def test_depth_costs_nothing() -> None:
    for text in ("(" * 10_000 + "a", "[" * 10_000 + "a" + "]" * 10_000, "[a:" * 10_000 + "b" + ":5]" * 10_000):
        start = time.process_time()
        assert render(parse(text)) == text
        assert time.process_time() - start < 1
