"""One journal line: a record as JSON, and from format version 2 on its running number and checksum.

    version 1    {"kind":…}
    version 2    {"kind":…,"n":7,"crc":3735928559}

n counts the lines from 1; crc is zlib's CRC-32 of the line up to it, closed: `{"kind":…,"n":7}`.  So a line that is
lost, doubled, moved or damaged is noticed where it is.  Standard library only.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import Any

FORMAT_VERSION = 2
DEEPEST = 24
"""Lists and objects inside each other; ours are at most five deep."""
LARGEST = 10**300
"""No whole number is as large: each is finite as a float, too."""
_FRAME = re.compile(rb'(,"n":([0-9]{1,18})),"crc":([0-9]{1,10})\}\Z')


class FramingError(ValueError):
    """Why a line is none of a journal."""


def encode(record: dict[str, Any], number: int, version: int) -> bytes:
    """The line of a record that has a key.  Raises ValueError on NaN and infinity: a journal holds `null` there."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if version >= 2:
        text = text[:-1] + b',"n":%d}' % number
        text = text[:-1] + b',"crc":%d}' % zlib.crc32(text)
    return text + b"\n"


def decode(line: bytes, number: int) -> tuple[dict[str, Any], bool]:
    """The record of a line (without its line feed), and whether it had a number and a checksum, which were right.

    Raises `FramingError`.
    """
    frame = _FRAME.search(line[-48:])
    if frame is None:
        return _parsed(line), False
    text = line[: len(line) - len(frame[0])]
    if zlib.crc32(text + frame[1] + b"}") != int(frame[3]):
        raise FramingError("is damaged: its checksum is another one")
    if int(frame[2]) != number:
        raise FramingError(f"was written as line {int(frame[2])}: a line was lost, doubled or moved")
    return _parsed(text + b"}"), True


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        record = load(text)
    except ValueError as error:
        raise FramingError(str(error)) from None
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise FramingError("is not a journal record")
    return record


def load(text: bytes) -> Any:
    """The value of a JSON text that a run may have written.  Raises ValueError with the reason."""
    try:
        value = json.loads(text, parse_constant=_refused)
        if b"\\u" in text:  # half a character, which no file and no page can hold
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("is not a JSON object") from None
    if not _plain(value, DEEPEST):
        raise ValueError(f"is not a record: a number in it is too large, or it is more than {DEEPEST} levels deep")
    return value


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _plain(value: Any, deepest: int) -> bool:
    """Whether every number is finite as a float, and nothing lies too deep."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < LARGEST
    if isinstance(value, (dict, list)):
        if deepest == 0:
            return False
        return all(_plain(item, deepest - 1) for item in (value.values() if isinstance(value, dict) else value))
    return True
