"""`leave-out.json` of a run of payloads: what its piece is on each of them when that one had no part in finding it.

    {"version": 1, "payloads": {"2": {"run": "00000007", "gains": [[0.31, 0.25, 0.36], …], "images": ["unseen/…", …]}}}

run: the one without payload 2.  Once it is finished, of payload 2 on its unseen seeds: gains, (improvement, low, high)
of the piece of all payloads, of the piece without this one, and from that to the piece of all; images of the piece
without.  Standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .checks import INSIDE, Shape, fault
from .files import read_json
from .folder import RunFolder

FILE, VERSION = "leave-out.json", 1
SHAPE: Shape = {"run": str, "gains?": tuple[tuple[float, float, float], ...], "images?": tuple[INSIDE, ...]}

Gain = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """One payload.  number: from 1.  The rest as above; without gains its run was only begun."""

    number: int
    run: str
    gains: tuple[Gain, ...] = ()
    images: tuple[str, ...] = ()


def left_out(folder: RunFolder) -> tuple[LeftOut, ...]:
    """What is known, in the payloads' order; () without the file, or with one that does not fit."""
    value = read_json(folder.inside(FILE)) or {}
    known = value.get("payloads") if value.get("version") == VERSION else None
    found = []
    for number, one in (known if isinstance(known, dict) else {}).items():
        if not number.isdecimal() or fault(one, SHAPE) or len(one.get("gains", ())) not in (0, 3):
            return ()
        rows = tuple((mean, low, high) for mean, low, high in one.get("gains", ()))
        found.append(LeftOut(int(number), one["run"], rows, tuple(one.get("images", ()))))
    return tuple(sorted(found, key=lambda one: one.number))


def note(folder: RunFolder, one: LeftOut) -> None:
    """Write down what is known of one payload.  Raises `StoreError`."""
    known = {each.number: each for each in left_out(folder)} | {one.number: one}
    rows: dict[str, Mapping[str, Any]] = {str(number): _line(known[number]) for number in sorted(known)}
    folder.save_json(FILE, {"version": VERSION, "payloads": rows})


def _line(one: LeftOut) -> dict[str, Any]:
    line: dict[str, Any] = {"run": one.run}
    return line | ({"gains": one.gains, "images": one.images} if one.gains else {})
