"""A short soak: the numbers of handles and threads stay, and the ratios are those of the fifths."""

from __future__ import annotations

from pathlib import Path

from prompt_pins.headless.engine import HeadlessHost

from tools.soak import Sample, fifths, grown, soak


def test_a_short_run_keeps_its_handles_and_threads(tmp_path: Path) -> None:
    samples = soak(60, HeadlessHost(device="cpu"), tmp_path)
    assert len(samples) >= 60
    assert not {"handles", "threads"} & set(grown(fifths(samples)))


def test_what_grows_is_named() -> None:
    flat = [Sample(0.1, 0.1, 100, 8 + number % 2, 3) for number in range(50)]
    assert grown(fifths(flat)) == []
    leaks = [Sample(0.1, 0.1 + 0.01 * n, 100 + n, 8 + n // 10, 3) for n in range(50)]
    assert fifths(leaks)["memory"] == (104.5, 144.5)
    assert grown(fifths(leaks)) == ["memory", "handles", "processor"]
