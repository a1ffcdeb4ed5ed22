"""Infotexts as text, and the buttons that paste them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

registered: list[ParamBinding] = []


@dataclasses.dataclass
class ParamBinding:
    """A button that sends parameters to a tab."""

    paste_button: Any
    tabname: str
    source_text_component: Any = None


def register_paste_params_button(binding: ParamBinding) -> None:
    """One more button."""
    registered.append(binding)


def quote(text: Any) -> str:
    """A value as it stands in an infotext."""
    plain = str(text)
    return json.dumps(plain, ensure_ascii=False) if any(sign in plain for sign in ",:\n") else plain
