"""Steering marks: what the user tells the search, in the prompt itself.

    (cat:0.8~1.2)      range: start at 1 (or at the nearer bound), stay between the two
    (cat:=1.1)         freeze: stay at 1.1
    (cat:1@a)          tie: start at 1, one weight for every unit with the tag a
    (cat:0.8~1.2@a)    range and tie

A mark stands where an ordinary weight would stand, round one word or many, and nests like one.

Standard library only.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from ..errors import PromptError
from .nodes import Steering
from .source import Source

NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
STEPS, SLACK = 1000, 1e-6
ATTEMPT = re.compile(r":(?P<mark>\s*(?:[+-]?[\d.]+\s*)?[~=@][^()\[\]:|\\]*)\)")
FREEZE = re.compile(rf"\s*=\s*(?P<at>{NUMBER})\s*")
RANGE = re.compile(rf"\s*(?P<low>{NUMBER})\s*~\s*(?P<high>{NUMBER})\s*(?:@\s*(?P<tie>[\w-]+)\s*)?")
TIE = re.compile(rf"\s*(?P<at>{NUMBER})\s*@\s*(?P<tie>[\w-]+)\s*")
HELP = "a mark reads (cat:0.8~1.2), (cat:=1.1), (cat:1@tag) or (cat:0.8~1.2@tag); for plain text write \\: before it"


class Mark(NamedTuple):
    """A mark, the multiplier that it starts at, and where it ends in the clean text (after its bracket)."""

    weight: float
    steering: Steering
    end: int


def read_mark(source: Source, start: int, end: int) -> Mark | None:
    """Read the mark at a colon of the clean text; None if there is none.  Raises PromptError if malformed."""
    attempt = ATTEMPT.match(source.text, start, end)
    if attempt is None:
        return None
    text, stop = attempt["mark"], attempt.end()
    written = "(…:" + text.strip() + ")"
    if match := FREEZE.fullmatch(text):
        return Mark(float(match["at"]), Steering(True, None, None, None, written), stop)
    if match := TIE.fullmatch(text):
        return Mark(float(match["at"]), Steering(False, None, None, match["tie"], written), stop)
    column = source.column(attempt.start("mark")) + 1
    match = RANGE.fullmatch(text)
    if match is None:
        raise PromptError(_fault(text.strip()) + "; " + HELP, column)
    low, high = float(match["low"]), float(match["high"])
    if low > high:
        raise PromptError(f"the range {text.strip()!r} is upside down: {match['low']} is above {match['high']}", column)
    steering = Steering(False, low, high, match["tie"], written)
    return Mark(min(max(1.0, low), high), steering, stop)


def printable(steering: Steering, column: int) -> tuple[float, float]:
    """The lowest and the highest weight of a range that a prompt can print (see `printer`: 3 decimals).

    Raises PromptError if there is none, or if they are infinite.
    """
    assert steering.low is not None and steering.high is not None
    if not (math.isfinite(steering.low) and math.isfinite(steering.high)):
        raise PromptError("the bounds of a range are too large", column)
    low, high = inward(steering.low, steering.high)
    if low > high:
        raise PromptError(f"no weight of 3 decimals lies in the range {steering.source}", column)
    return low, high


def inward(low: float, high: float, steps: int = STEPS) -> tuple[float, float]:
    """The lowest and the highest number of a range that can be printed: whole ones of `steps` to 1.

    They are upside down where there is none.
    """
    return math.ceil(low * steps - SLACK) / steps, math.floor(high * steps + SLACK) / steps


def _fault(text: str) -> str:
    if re.search(r"[~=@]?\s*-\s*[\d.]", text):
        return f"the steering mark {text!r} has a negative weight"
    if "=" in text and "@" in text:
        return f"the steering mark {text!r} freezes and ties at once"
    if text.endswith("@"):
        return f"the steering mark {text!r} lacks its tag"
    return f"the steering mark {text!r} is malformed"
