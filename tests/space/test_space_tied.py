"""What varies in a run with payloads, and what stays as it is written."""

from __future__ import annotations

from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import PromptError
from prompt_pins.space import build, build_all, read


def built(**values: Any) -> tuple[list[str], list[str], str]:
    """The labels of the axes, each payload's prompts at 1.1, 1.2 and so on, and the piece there."""
    spaces, piece = build_all(RunConfig(**values))
    point = [1.1 + 0.1 * place for place in range(spaces[0].size)]
    assert all(space.axes == spaces[0].axes for space in spaces)
    texts = [" ### ".join(filter(None, (r.prompt, r.negative_prompt))) for r in (s.recipe(point) for s in spaces)]
    return spaces[0].labels, texts, piece.recipe(point).prompt if piece else ""


def test_only_the_words_of_the_piece_vary() -> None:
    labels, texts, piece = built(
        prompt="old {piece}, x", negative_prompt="bad", piece="red card, gold",
        payload=("--seed 3", "new {piece}", "{piece} and {piece}"),
    )  # fmt: skip
    assert labels == ["red", "card", "gold"]
    assert texts == [
        "old (red :1.1)(card:1.2), (gold:1.3), x ### bad",
        "new (red :1.1)(card:1.2), (gold:1.3) ### bad",
        "(red :1.1)(card:1.2), (gold :1.3)and (red :1.1)(card:1.2), (gold:1.3) ### bad",
    ]
    assert piece == "(red :1.1)(card:1.2), (gold:1.3)"


def test_without_a_piece_what_is_the_same_everywhere_varies_and_ties_by_name_do() -> None:
    assert built(prompt="a cat", payload=("--seed 3", "--width 64"))[:2] == (["a", "cat"], ["(a :1.1)(cat:1.2)"] * 2)
    labels, texts, _ = built(prompt="-", negative_prompt="bad", payload=("a (red:1@c) cat", "(blue:1@c) dog"))
    assert labels == ["red + blue", "negative: bad"]
    assert texts == ["a (red :1.1)cat ### (bad:1.2)", "(blue :1.1)dog ### (bad:1.2)"]
    labels, texts, _ = built(prompt="-", payload=("a cat", "a (big:0.5~1.5) dog"))
    assert (labels, texts) == (["big"], ["a cat", "a (big :1.1)dog"])
    labels, texts, _ = built(
        prompt="-", vary_loras=True, payload=("a cat <lora:x:1>", "(dog:1@t) <lora:x:0.5> <lora:y:1>")
    )
    assert (labels, texts[1]) == (["lora:x", "dog", "lora:y"], "(dog:1.2) <lora:x:1.1> <lora:y:1.3>")


def test_a_plain_run_has_its_space() -> None:
    config = RunConfig(prompt="a {piece} cat", negative_prompt="bad")
    assert build_all(config) == ((build(config),), None)


def test_other_weights_of_the_first_payload_are_read() -> None:
    config = RunConfig(prompt="old {piece}", piece="red card", payload=("--seed 3", "a {piece} (big:0.5~1.5)"))
    (first, second), _ = build_all(config)
    assert read(config.jobs()[0], first, ("old (red:1.4) card", "")) == [1.4, 1.0, 1.0]
    assert second.recipe([1.4, 1.0, 1.2]).prompt == "a (red :1.4)card (big:1.2)"


@pytest.mark.parametrize(
    "values, said",
    [
        ({"payload": ("a cat", "a dog")}, "the payloads share no words; give a piece"),
        ({"payload": ("{piece}", "un{piece}"), "piece": "red"}, "payload 2: column 1: {piece} is a part of 'unred'"),
        ({"payload": ("a {piece}",), "piece": "red", "vary": "phrases"}, "commas where phrases vary"),
        ({"payload": ("{piece}",), "piece": "(red:=1)"}, "there is nothing to vary"),
    ],
)  # fmt: skip
def test_what_cannot_be_tied(values: dict[str, Any], said: str) -> None:
    with pytest.raises(PromptError) as error:
        build_all(RunConfig(prompt="-", **values))
    assert said in str(error.value)
