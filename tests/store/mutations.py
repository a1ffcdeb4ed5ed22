"""Journals with one thing wrong in them: the same ones in each run of the tests."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_pins.store import Journal
from prompt_pins.store.framing import encode

VICTIM = "victim"
"""A name that no run uses: what leads to it leads out."""
NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 7, 2**31, 10**40, 10**350, 1e308, -1e308, 0.5, "", "x", "ü\u2028\0", "x" * 3000,
    f"../../{VICTIM}", f"/{VICTIM}", f"..\\{VICTIM}", "C:x", [], [[]], [None], ["x"], [1, 2], {}, {"x": {}},
    {"kind": 3}, float("nan"), float("inf"), "\ud800",
)  # fmt: skip


def rewrite(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """A journal of other records, rightly framed."""
    path.unlink()
    with Journal(path) as journal:
        for record in records:
            journal.append(record)


def mutated(records: list[dict[str, Any]], version: int, count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` journals, each with one fault: in a value, in the order of the lines, or in a byte.

    Values are wrong under a right checksum, as a stranger would write them.
    """
    rng = random.Random(seed)
    whole = b"".join(encode(record, n, version) for n, record in enumerate(records, 1))
    for turn in range(count):
        changed = copy.deepcopy(records)
        changed[0]["version"] = version
        if turn % 4 < 3:
            _change(rng.choice(changed), rng)
            yield b"".join(_line(record, n, version) for n, record in enumerate(changed, 1))
        elif turn % 8 == 3:
            lines = whole.splitlines(keepends=True)
            first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[first : first + rng.randrange(2)] = [lines[second]] * rng.randrange(2)
            yield b"".join(lines)
        else:
            place = rng.randrange(len(whole))
            yield whole[:place] + bytes([rng.randrange(256)]) * rng.randrange(3) + whole[place + 1 :]


def _line(record: dict[str, Any], number: int, version: int) -> bytes:
    """As `encode`, which refuses what a stranger may write."""
    try:
        return encode(record, number, version)
    except ValueError:
        text = json.dumps(record, separators=(",", ":"))
        return encode({"kind": "@"}, number, version).replace(b'{"kind":"@"', text.encode()[:-1])


def _change(value: Any, rng: random.Random) -> None:
    """Replace or remove one value, however deep."""
    key = rng.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
    if isinstance(value[key], (dict, list)) and value[key] and rng.random() < 0.75:
        _change(value[key], rng)
    elif rng.random() < 0.1:
        del value[key]
    else:
        value[key] = rng.choice(NASTY)
