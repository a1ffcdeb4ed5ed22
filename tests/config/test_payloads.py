"""Payloads as lines: read, written back, and refused in words that name line, field, value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.config.payloads import Payload, filled, read
from prompt_pins.errors import OptionError, PromptError

LINES: dict[str, dict[str, Any]] = {
    "a cat's -- (eye:1.2) \\(x\\) {a|b}": {"prompt": "a cat's -- (eye:1.2) \\(x\\) {a|b}"},
    '--prompt "a (cat:1.2), \\(x\\)" --negative_prompt "" --seed 5': {
        "prompt": "a (cat:1.2), \\(x\\)",
        "negative_prompt": "",
        "seed": 5,
    },
    "--prompt two words --weight 0.5 --width 512 --height 64": {
        "prompt": "two words",
        "weight": 0.5,
        "width": 512,
        "height": 64,
    },
    "--target 'a b.png' --target c.png --mask m.png --sd_model other": {
        "target": ("a b.png", "c.png"),
        "mask": "m.png",
        "checkpoint": "other",
    },
    "--weight 1": {},
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read_and_its_own_line_is_read_alike(line: str) -> None:
    found = read(line)
    assert found == Payload(**LINES[line])
    assert read(found.line()) == found and found.line() != ""


@pytest.mark.parametrize("prompt", ["--dashes", "two\nlines", " blank ", 'it\'s "both"', "-- x"])
def test_prompts_of_a_table_that_no_bare_line_could_say(prompt: str) -> None:
    if prompt == "--dashes":  # a flag to any reader of such lines
        with pytest.raises(OptionError):
            read(Payload(prompt=prompt).line())
    else:
        assert read(Payload(prompt=prompt).line()).prompt == prompt


@pytest.mark.parametrize(
    "line, said",
    [
        ("--seed x", "seed: 'x' is not allowed; allowed: nothing, or a whole number from 0 to 4294967295"),
        ("--seed -1", "seed: -1 is not allowed"),
        ("--steps 5", "line: '--steps' is not allowed; allowed: --prompt, --negative_prompt, --target"),
        ("--seed", "seed: '' is not allowed; allowed: one value"),
        ("--seed 5 --seed 6", "seed: '6' is not allowed; allowed: once in a line"),
        ("--prompt 'open", "No closing quotation"),
        ("--width 13", "width: 13 is not allowed; allowed: a multiple of 8"),
        ("--weight 0", "weight: 0.0 is not allowed; allowed: a number from 0.001 to 1000"),
        ("--checkpoint a b", "quotes around it"),
    ],
)
def test_what_is_wrong_with_a_line(line: str, said: str) -> None:
    with pytest.raises(OptionError) as error:
        RunConfig(prompt="a cat", payload=("fine", "", line))
    assert str(error.value).startswith("payload 3: ") or said.startswith("width")
    assert said in str(error.value)


def test_what_is_left_out_is_the_runs_and_the_piece_is_filled_in() -> None:
    config = RunConfig(
        prompt="a {piece}, old", negative_prompt="bad", piece="red card", target=("t.png",), target_weights=(2.0,),
        payload=("--seed 7", "", "--prompt 'new {piece}' --target u.png --negative_prompt ''", "{ piece} {piece}"),
    )  # fmt: skip
    first, second, third = config.jobs()
    assert (first.prompt, first.negative_prompt, first.seed, first.target) == ("a red card, old", "bad", 7, ("t.png",))
    assert (second.prompt, second.negative_prompt, second.target) == ("new red card", "", ("u.png",))
    assert second.target_weights == () and first.target_weights == (2.0,)
    assert third.prompt == "{ piece} red card" and not third.many and third.piece == ""
    assert RunConfig.from_dict(config.to_dict()) == config
    assert filled("{piece} and {piece}", "ab") == ("ab and ab", ((0, 2), (7, 9)))


def test_a_run_without_payloads_is_its_own_only_job_and_keeps_its_braces() -> None:
    config = RunConfig(prompt="a {piece} {x}")
    assert config.jobs() == (config,) and not config.many
    one = RunConfig(prompt="a {piece}", piece="cat")
    assert one.many and [job.prompt for job in one.jobs()] == ["a cat"]


def test_a_run_may_have_no_prompt_where_every_payload_has_one() -> None:
    assert RunConfig(payload=("a cat", "a dog")).prompt == "a cat"
    with pytest.raises(PromptError, match="payload 2: prompt: is left out"):
        RunConfig(payload=("a cat", "--seed 4"))


@pytest.mark.parametrize(
    "values, said",
    [
        ({"payload": ("a {piece}",)}, "piece: '' is not allowed"),
        ({"payload": ("a cat",), "piece": "red"}, "payload 1: prompt: 'a cat' is not allowed"),
        ({"payload": ("a cat",), "words": True}, "words: True is not allowed"),
        ({"payload": ("a cat",) * 101}, "payload: '101 payloads' is not allowed; allowed: at most 100"),
        ({"payload": ("a cat",), "payload_loss": "best"}, "payload_loss: 'best' is not allowed"),
    ],
)
def test_what_cannot_be_together(values: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as error:
        RunConfig(prompt="x", **values)
    assert said in str(error.value)
