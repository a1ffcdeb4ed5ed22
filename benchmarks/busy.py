"""What a core that another program takes costs: threads as torch has them by itself, and as the command line chooses.

python -m benchmarks.busy --json

Each time is the least of some interleaved repetitions, so that what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prompt_pins.cli import threads

TASK = Path(__file__).parent / "tasks" / "rival-colours.toml"
OPEN = (*threads.WAITING, *threads.NUMBER)
AS_THEY_COME = {"GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": str(threads.cores())}  # GNU OpenMP's own, written out
WAYS = {"before": AS_THEY_COME, "now": {}}
ROWS, CALLS = 16, 5


def network() -> float:
    """Seconds of one call of the embedded UNet with 16 rows, the median of some."""
    import torch
    from prompt_pins.headless.engine import HeadlessHost

    unet = HeadlessHost(device="cpu").checkpoint.unet
    inputs = torch.zeros(ROWS, 4, 16, 16), torch.tensor(500), torch.zeros(ROWS, 77, unet.config.cross_attention_dim)
    seconds = []
    with torch.inference_mode():
        for _ in range(CALLS + 1):
            started = time.perf_counter()
            unet(inputs[0], inputs[1], encoder_hidden_states=inputs[2], return_dict=False)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def called(way: str, *words: str) -> tuple[float, str]:
    """Seconds of a program of its own under one of the ways, and what it printed."""
    free = {name: value for name, value in os.environ.items() if name not in OPEN}
    started = time.perf_counter()
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, env={**free, **WAYS[way]}, check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - started, done.stdout


@contextlib.contextmanager
def taken(cores: int) -> Iterator[None]:
    """Neighbours that each take a core."""
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def measure(repeats: int, generations: int, cores: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by what was done, then by way and machine ("before, quiet"), of every repetition."""
    run = ["prompt_pins.cli.main", "pin", "--config", str(TASK), "-g", str(generations)]
    found: dict[str, dict[str, list[float]]] = {"network": {}, "demo": {}}
    for _ in range(repeats):
        for way in WAYS:
            for state, count in (("quiet", 0), ("taken", cores)):
                with taken(count), tempfile.TemporaryDirectory() as out:
                    seconds = float(called(way, "benchmarks.busy", "--network")[1])
                    found["network"].setdefault(f"{way}, {state}", []).append(seconds)
                    seconds = called(way, *run, "--out", out)[0]
                    found["demo"].setdefault(f"{way}, {state}", []).append(seconds)
    return found


def main() -> None:
    """Print the figures, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--network", action="store_true", help="only one call of the network, here and now")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--generations", type=int, default=2)
    parser.add_argument("--taken", type=int, default=max(1, threads.cores() // 2), help="cores")
    arguments = parser.parse_args()
    if arguments.network:
        print(network())
        return
    found = measure(arguments.repeats, arguments.generations, arguments.taken)
    least = {what: {case: min(times) for case, times in cases.items()} for what, cases in found.items()}
    if arguments.json:
        print(json.dumps({"cores": threads.cores(), "taken": arguments.taken, "seconds": least, "all": found}))
        return
    for what, cases in least.items():
        for way in WAYS:
            quiet, busy = cases[f"{way}, quiet"], cases[f"{way}, taken"]
            print(
                f"{what}, {way}: quiet {quiet:.2f} s, {arguments.taken} of {threads.cores()} cores taken "
                f"{busy:.2f} s, × {busy / quiet:.1f}; quiet against before × {quiet / cases['before, quiet']:.2f}"
            )


if __name__ == "__main__":
    main()
