"""The text that the WebUI would write into an image, so that its "PNG Info" can read ours."""

from __future__ import annotations

import json
from collections.abc import Mapping


def infotext(prompt: str, negative: str, parameters: Mapping[str, object]) -> str:
    """The prompt, the negative prompt if there is one, and one line of `name: value` pairs.

    A value with a comma, a colon or a line break is written as a JSON string.
    """
    line = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in parameters.items())
    below = f"\nNegative prompt: {negative}" if negative else ""
    return f"{prompt}{below}\n{line}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
