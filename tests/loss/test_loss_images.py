"""Files that have no end, pipes, and grey images of more than eight bits."""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prompt_pins.errors import TargetError
from prompt_pins.loss import images
from prompt_pins.loss.images import read_mask, read_rgb

from tests.loss.test_loss_targets import GOOD, PICTURE, encoded, png

unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files here")


@unix
@pytest.mark.parametrize("read", [read_rgb, read_mask])
def test_special_files_are_refused_and_not_read(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    for path in ("/dev/zero", tmp_path / "fifo.png"):
        with pytest.raises(TargetError, match=r"is a special file; allowed: a PNG"):
            read(path)  # type: ignore[operator]
    with pytest.raises(TargetError, match="is a folder; allowed: a PNG"):
        read(tmp_path)  # type: ignore[operator]


@unix
def test_a_pipe_of_the_shell_is_read() -> None:
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writing, GOOD["png"]), os.close(writing)))
    thread.start()
    try:
        assert np.array_equal(read_rgb(f"/dev/fd/{reading}"), PICTURE)
    finally:
        thread.join()
        os.close(reading)


def test_a_file_is_read_up_to_the_limit_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    (tmp_path / "large.png").write_bytes(bytes(2**20 + 1))
    with pytest.raises(TargetError, match="is larger than the 1 MiB that are allowed"):
        read_rgb(tmp_path / "large.png")


def test_a_transparent_value_of_sixteen_bits_is_white() -> None:
    rows = b"".join(b"\0" + b"".join(value.to_bytes(2, "big") for value in (0x1234, 0x8000)) for _ in range(2))
    whole = png(2, 2, rows, depth=16, colour=0)
    place = whole.index(b"IDAT") - 4
    chunk = b"tRNS" + (0x1234).to_bytes(2, "big")
    clear = whole[:place] + (2).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + whole[place:]
    assert read_rgb(clear)[..., 0].tolist() == [[255, 128]] * 2
    assert read_mask(clear).tolist() == [[0, 128]] * 2
    assert read_rgb(whole)[..., 0].tolist() == [[18, 128]] * 2


@pytest.mark.parametrize("largest", [255, 60_000])
def test_grey_of_32_bits_is_refused(largest: int) -> None:
    grey = np.linspace(0, largest, 64 * 64).astype(np.int32).reshape(64, 64)
    with pytest.raises(TargetError, match="32-bit pixels; allowed: 8 or 16 bits a channel"):
        read_rgb(encoded(Image.fromarray(grey), "TIFF"))
