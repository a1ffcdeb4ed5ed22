"""Payloads in a WebUI, through its API: a run, its images and infotext, and what is refused."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.webui.client import Webui, encoded

SHORT = {"generations": 1, "lambda_": 3, "held_out": 2, "finalists": 0, "gifs": False, "plots": False}
PIECE = {"piece": "red blue", "target": [encoded((220, 35, 40)), encoded((40, 75, 220))]}


def test_a_piece_is_pinned_on_prompts_of_two_sizes_with_targets_of_their_own(webui: Webui) -> None:
    wide = webui.pixels + 64
    lines = f"--target 1 --seed 9\n\n--prompt 'a {{piece}} square' --negative_prompt dim --target 2 --width {wide}"
    options = {**SHORT, **PIECE, "payload": lines}
    status, answer = webui.pin([options], prompt="a {piece} circle", steps=3, batch_size=2)
    assert status == 200, answer
    run = webui.runs()[0]
    journal = webui.journal(run)
    target = next(line for line in journal if line["kind"] == "target")
    assert target["payloads"] == [1, 1] and run["state"] == "finished"
    first = next(line for line in journal if line["kind"] == "candidate")
    assert first["prompts"] == [["a red blue circle", ""], ["a red blue square", "dim"]] and len(first["images"]) == 4
    assert first["shares"] == [1.0, 1.0] and first["images"][0] == "p01-00000-9.png"
    held = next(line for line in journal if line["kind"] == "held")
    assert len(held["payload_gains"]) == 2
    images = [_size(image) for image in answer["images"]]
    assert images[:4] == [(webui.pixels, webui.pixels)] * 2 + [(wide, webui.pixels)] * 2
    info = answer["info"]
    assert "square" in info and "circle" in info


@pytest.mark.parametrize(
    "lines, said",
    [
        ("{piece}\n--prompt '{piece}' --target /etc/hostname", "payload 2: target: '/etc/hostname' is not allowed"),
        ("--prompt '{piece}' --target 3", "payload 1: target: '3' is not allowed"),
        ("--prompt '{piece}' --mask m.png", "payload 1: mask: 'm.png' is not allowed"),
        ("--prompt '{piece}' --steps 3", "payload 1: line: '--steps' is not allowed"),
        ("a cat", "payload 1: prompt: 'a cat' is not allowed"),
    ],
)  # fmt: skip
def test_what_is_refused(webui: Webui, lines: str, said: str) -> None:
    before = len(webui.runs())
    status, answer = webui.pin([{**SHORT, **PIECE, "payload": lines}], prompt="a {piece}", steps=3, batch_size=2)
    assert status == 422 and said in str(answer)
    assert len(webui.runs()) == before


def _size(image: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2] or image))) as opened:
        found: Any = opened.size
    return (int(found[0]), int(found[1]))
