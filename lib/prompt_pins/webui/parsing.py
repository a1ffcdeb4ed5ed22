"""The host's parser of schedules, asked for schedules only.

The host looks for schedules in every prompt, with a parser whose time grows by about the 2.5th power of the brackets:
75 words with a weight each take it 1 to 3 s, each time that a weight is another one.  While a batch of a run is
rendered, text outside of schedules is kept from it: the host reads the same, at once.  Imports nothing of the host's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..prompt.schedule import Tokens, find_schedules, tokenize

SLOW = 40
"""Weights in one schedule from which on it is said that the host is slow."""


class SparedParser:
    """In the place of the host's `schedule_parser`.

    own: the host's.  lark: the library it is made with.  most: the most weights that it was given at once.
    """

    def __init__(self, own: Any, lark: Any) -> None:
        self.own, self.lark = own, lark
        self.most = 0

    def parse(self, text: str) -> Any:
        """The host's tree; its error, upon which it takes the text as it is, where there is no schedule."""
        tokens = tokenize(text, 0, len(text))
        found = find_schedules(tokens)
        if not found.marks:
            raise self.lark.exceptions.LarkError("no schedules")
        if not found.sure:
            return self._own(tokens, 0, len(tokens.texts))
        children: list[Any] = []
        depth = first = done = 0
        for index, (role, width) in sorted(found.marks.items()):
            if role == "open":
                if depth == 0:
                    first = index
                    children.append(self._plain(text[tokens.starts[done] : tokens.starts[first]]))
                depth += 1
            elif role == "close":
                depth -= 1
                if depth == 0:
                    done = index + width
                    children += self._own(tokens, first, done).children
        return self.lark.Tree("start", [*children, self._plain(text[tokens.starts[done] :])])

    def _plain(self, text: str) -> Any:
        return self.lark.Tree("plain", [self.lark.Token("PLAIN", text)])

    def _own(self, tokens: Tokens, first: int, stop: int) -> Any:
        texts = tokens.texts[first:stop]
        self.most = max(self.most, sum(text in ("(", "[") for text in texts))
        return self.own.parse("".join(texts))

    def warning(self) -> str:
        """What to tell the user of a prompt that stays slow; "" of another."""
        if self.most <= SLOW:
            return ""
        return (
            f"{self.most} brackets in one schedule, or beside a schedule and a stray bracket: the WebUI's own parser "
            "takes about half a second for 40 of them, 1 to 3 s for 75 and 4 to 20 s for 150, for every candidate; "
            "outside of schedules they cost nothing"
        )


@contextlib.contextmanager
def spared(module: Any) -> Iterator[SparedParser | None]:
    """While it lasts, the host reads by a `SparedParser`.  module: its `prompt_parser`; None where it has none."""
    own, lark = getattr(module, "schedule_parser", None), getattr(module, "lark", None)
    if own is None or lark is None:
        yield None
        return
    parser = module.schedule_parser = SparedParser(own, lark)
    try:
        yield parser
    finally:
        module.schedule_parser = own
