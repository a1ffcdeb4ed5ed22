"""The multipliers of LoRA tags.

    <lora:name>  <lora:name:0.8>  <lora:name:0.8:0.5>  <lora:name:te=0.8:unet=0.5>

The second item is the multiplier of the text encoder, the third that of the denoiser (as the second if it is not
written); each may be named instead.  Every written number is a multiplier of its own; a tag without any has an
implied 1.  A multiplier keeps the sign that it was written with.

Standard library only.
"""

from __future__ import annotations

import re

from .nodes import Multiplier
from .source import NET_TAG, Insert, Source

LORA_NETS = ("lora", "lyco")
NUMBER = re.compile(r"\s*(?P<name>te=|unet=)?(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


def read_multipliers(source: Source) -> tuple[Multiplier, ...]:
    """The multipliers of all LoRA tags of a prompt, in order of appearance."""
    found: list[Multiplier] = []
    for insert in source.inserts:
        match = NET_TAG.fullmatch(insert.text) if insert.kind == "net" else None
        if match is not None and match["net"] in LORA_NETS:
            found += _read_tag(insert, match.start("args"), match.end("args"))
    return tuple(found)


def _read_tag(insert: Insert, start: int, end: int) -> list[Multiplier]:
    items = insert.text[start:end].split(":")
    label = f"{insert.text[1 : start - 1]}:{items[0]}"
    found: list[Multiplier] = []
    at, position = start + len(items[0]) + 1, 0
    for item in items[1:]:
        match = NUMBER.fullmatch(item)
        named = "=" in item
        position += not named
        if match is not None and (named or position <= 2):
            role = (match["name"] or "te=unet=").split("=")[0] if named or position == 1 else "unet"
            name = label + ("" if role == "te" else f":{role}")
            first = at + match.start("number")
            found.append(Multiplier(insert, first, at + match.end("number"), float(match["number"]), name))
        at += len(item) + 1
    if not found and len(items) == 1:
        found.append(Multiplier(insert, end, end, 1.0, label))
    return found
