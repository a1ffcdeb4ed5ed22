"""Styles of prompts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class PromptStyle(NamedTuple):
    """A named pair of prompts; `{prompt}` is where the user's goes."""

    name: str
    prompt: str
    negative_prompt: str
    path: str | None = None


class StyleDatabase:
    """All styles, in memory."""

    def __init__(self) -> None:
        self.styles: dict[str, PromptStyle] = {}

    def apply_styles_to_prompt(self, prompt: str, names: Iterable[str]) -> str:
        """The prompt with each style after it."""
        return ", ".join([prompt, *(self.styles[name].prompt for name in names)])

    def apply_negative_styles_to_prompt(self, prompt: str, names: Iterable[str]) -> str:
        """The same, of the negative prompt."""
        return ", ".join([prompt, *(self.styles[name].negative_prompt for name in names)])

    def save_styles(self, path: str | None = None) -> None:
        """Nothing is kept."""
