"""A long run of the smallest setting: what a candidate costs, and what the process holds, from first to last.

python -m tools.soak --candidates 5000

Says how the last fifth of the run compares with the first, and ends with 1 where something grows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from prompt_pins.cli import threads  # noqa: F401 (before torch)
from prompt_pins.config import RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.report import LiveReport
from prompt_pins.run import pin
from prompt_pins.store import Runs, events

POPULATION = 10
SMALLEST = {
    "prompt": "a red blue circle, white background", "steps": 1, "batch_size": 2, "width": 64, "height": 64,
    "lambda_": POPULATION, "patience": 0, "restarts": 100, "restart_growth": 1.0, "early_generations": 0,
    "seed_policy": "rotated", "held_out": 0, "finalists": 0, "gifs": False, "plots": False,
}  # fmt: skip
LIMITS = {"memory": 1.1, "handles": 1.0, "threads": 1.0, "processor": 1.2}
"""How many times as much the last fifth may take as the first; wall time is told only, for neighbours take some."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """After one candidate.  seconds, processor: since the one before; memory: resident, in bytes."""

    seconds: float
    processor: float
    memory: int
    handles: int
    threads: int


def soak(candidates: int, host: HeadlessHost, out: Path) -> list[Sample]:
    """One run of about so many candidates, with its report.  Linux only: what a process holds is read from /proc."""
    config = RunConfig.from_dict({**SMALLEST, "generations": max(1, candidates // POPULATION)})
    samples: list[Sample] = []
    with LiveReport() as live:
        last = time.perf_counter(), time.process_time()
        for event in pin.start(config, host, Runs(out)):
            live.handle(event)
            if isinstance(event, events.CandidateDone):
                now = time.perf_counter(), time.process_time()
                samples.append(Sample(now[0] - last[0], now[1] - last[1], *held()))
                last = now
    return samples


def held() -> tuple[int, int, int]:
    """Resident bytes, open handles and threads of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), threading.active_count()


def fifths(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Of the first and the last fifth: the least handles and threads, for some are short-lived; else the median."""
    size = max(1, len(samples) // 5)
    return {
        field.name: tuple(
            (min if field.name in ("handles", "threads") else statistics.median)(
                [getattr(sample, field.name) for sample in part]
            )
            for part in (samples[:size], samples[-size:])
        )
        for field in dataclasses.fields(Sample)
    }  # type: ignore[return-value]


def grown(found: dict[str, tuple[float, float]]) -> list[str]:
    """The names of what takes more in the last fifth than it may."""
    return [name for name, limit in LIMITS.items() if found[name][1] > limit * found[name][0]]


def main() -> None:
    """Print the fifths and their ratios, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        samples = soak(arguments.candidates, HeadlessHost(device="cpu"), Path(out))
    found = fifths(samples)
    if arguments.json:
        print(json.dumps({"candidates": len(samples), "fifths": found, "grown": grown(found)}))
    else:
        print(f"{len(samples)} candidates; the first fifth and the last:")
        for name, (first, last) in found.items():
            scale, unit = (2**20, "MiB") if name == "memory" else (1, "")
            print(f"{name:10}{first / scale:12.4g}{last / scale:12.4g} {unit:4}× {last / first:.3f}")
    sys.exit(f"grown: {', '.join(grown(found))}" if grown(found) else 0)


if __name__ == "__main__":
    main()
