"""Files are told from each other by what is in them, large ones by blocks."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from prompt_pins.errors import CheckpointError
from prompt_pins.webui.fingerprint import BLOCK, BLOCKS, fingerprint


def test_every_byte_of_a_small_file_counts_and_its_name_and_time_do_not(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * BLOCK + 5)
    paths = [tmp_path / name for name in ("a", "b", "c", "d")]
    for path, content in zip(paths, (data, data, data[:-1] + b"x", data + b"\0"), strict=True):
        path.write_bytes(content)
    os.utime(paths[1], (1, 1))
    one, same, last, longer = map(fingerprint, paths)
    assert one == same and len({one, last, longer}) == 3
    os.utime(paths[0], (2, 2))
    assert fingerprint(paths[0]) == one
    paths[0].write_bytes(data[::-1])
    assert fingerprint(paths[0]) != one


@pytest.mark.parametrize("at", [0, BLOCK * (BLOCKS + 9) - 1, (BLOCK * (BLOCKS + 8)) * 31 // (BLOCKS - 1) + 7])
def test_a_large_file_is_looked_at_from_end_to_end(tmp_path: Path, at: int) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        with path.open("wb") as file:
            file.truncate(BLOCK * (BLOCKS + 9))  # a hole: it takes no place
    assert fingerprint(one) == fingerprint(other)
    with other.open("r+b") as file:
        file.seek(at)
        file.write(b"x")
    assert fingerprint(one) != fingerprint(other)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gone: cannot be read"):
        fingerprint(tmp_path / "gone")
