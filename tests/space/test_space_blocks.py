"""The group of a merge's block weights."""

from __future__ import annotations

from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.merge.blocks import weights_of
from prompt_pins.space import Space, build

BLOCKS = ("BASE", *(f"IN{i:02d}" for i in range(12)), "M00", *(f"OUT{i:02d}" for i in range(12)))
KNOWN = {"cfg_scale": 7.0, **dict.fromkeys(BLOCKS, 0.5)}


def space_of(known: dict[str, float] = KNOWN, **options: Any) -> Space:
    words = {"prompt": "a red circle", "vary_prompt": False, "vary_negative": False, "merge_with": "b.safetensors"}
    return build(RunConfig.from_dict({**words, **options}), settings=known)


def weights(space: Space, vector: list[float]) -> dict[str, float]:
    return weights_of(dict(space.recipe(vector).settings))


@pytest.mark.parametrize(
    ("axes", "labels"),
    [
        ("blocks", list(BLOCKS)),
        ("groups", ["BASE", "INPUT", "MIDDLE", "OUTPUT"]),
        ("curve", ["BASE", "COSINE", "GRAD_A", "SMOOTHSTEP"]),
        ("one", ["ALL"]),
    ],
)
def test_axes_are_a_choice(axes: str, labels: list[str]) -> None:
    space = space_of(merge_axes=axes)
    assert space.labels == labels and {(axis.side, axis.group) for axis in space.axes} == {("settings", "blocks")}
    found = weights(space, space.original)
    assert tuple(found) == BLOCKS and found["BASE"] == 0.5
    mean = sum(list(found.values())[1:]) / 25
    assert abs(mean - 0.5) < 0.002 and min(found.values()) > 0.3
    assert space.in_words.endswith(f"merge weight{'s' * (len(labels) > 1)}")


def test_groups_and_curves_say_what_every_block_has() -> None:
    found = weights(space_of(), [0.1, 0.2, 0.3, 0.4])
    assert [found[name] for name in ("BASE", "IN00", "IN11", "M00", "OUT00", "OUT11")] == [0.1, 0.2, 0.2, 0.3, 0.4, 0.4]
    mixed = weights(space_of(merge_axes="curve", merge_curves=("GRAD_V", "WRAP08")), [0.25, 0.5, 0.75])
    assert [mixed[name] for name in ("BASE", "IN00", "IN05", "M00")] == [0.25, 1.0, 0.292, 0.0]  # 1.25 is held to 1
    space = space_of(merge_axes="one", vary_prompt=True)
    assert space.labels == ["a", "red", "circle", "ALL"] and space.in_words == "3 weights and 1 merge weight"


def test_ranges_and_fixed_values() -> None:
    space = space_of(merge_axes="blocks", vary_blocks=("*:0~0.5", "IN*:=0.3", "IN04:0.1~1.2"))
    assert space.labels == ["BASE", "IN04", "M00", *BLOCKS[14:]]
    assert [(a.low, a.high, a.original) for a in space.axes[:2]] == [(0.0, 0.5, 0.5), (0.1, 1.2, 0.5)]
    found = weights(space, [0.5, 1.2, *[0.0] * 13])
    assert (found["IN03"], found["IN04"], found["OUT11"]) == (0.3, 1.2, 0.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vary_blocks": ["IN04"]}, "vary_blocks: 'IN04' .* IN04:0~0.5"),
        ({"vary_blocks": ["IN04:0~0.5"]}, "axes of this merge: BASE, INPUT"),
        ({"vary_blocks": ["INPUT:0.5~0"]}, "lower end first"),
        ({"vary_blocks": ["INPUT:0~3"]}, "within -1~2"),
        ({"vary_blocks": ["INPUT:0.1001~0.1009"]}, "two weights of 3 decimals"),
        ({"merge_axes": "curve", "merge_curves": ["GRAD_X"]}, "merge_curves: 'GRAD_X' .* GRAD_V"),
        ({"merge_axes": "curve", "merge_curves": []}, "one to 4 presets"),
        ({"merge_axes": "curve", "merge_curves": ["COSINE", "COSINE"]}, "each once"),
        ({"known": {"cfg_scale": 7.0}}, "merge_with: .* no second checkpoint"),
    ],
)
def test_what_cannot_be_is_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        space_of(**options)
