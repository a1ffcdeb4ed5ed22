"""The shipped pinning tasks, each run as a user would: how much better the pinned prompt is on unseen seeds.

python -m benchmarks.pinning --json
python -m benchmarks.pinning rival-colours
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from prompt_pins.cli.arguments import read_config
from prompt_pins.config import RunConfig
from prompt_pins.headless.opening import open_host
from prompt_pins.report import LiveReport
from prompt_pins.run import pin
from prompt_pins.store import Runs

TASKS = Path(__file__).parent / "tasks"


def measure(name: str) -> dict[str, Any]:
    """Run one task and tell its end."""
    config = RunConfig.from_dict(read_config(TASKS / f"{name}.toml"))
    host = open_host(config.checkpoint, prompt=config.prompt)
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        with LiveReport() as live:
            for event in pin.start(config, host, Runs(Path(out))):
                live.handle(event)
        seconds = time.perf_counter() - started
        record = Runs(Path(out)).find("0").record()
    assert record.held is not None and record.best is not None
    return {
        "task": name,
        "improvement": record.held.improvement,
        "interval": [record.held.low, record.held.high],
        "fit_original": sum(record.held.fits_original) / len(record.held.fits_original),
        "fit_pinned": sum(record.held.fits_pinned) / len(record.held.fits_pinned),
        "pinned": record.best.prompt,
        "reason": record.reason,
        "seconds": seconds,
    }


def main() -> None:
    """Print a line for each task, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = sorted(path.stem for path in TASKS.glob("*.toml"))
    parser.add_argument("tasks", nargs="*", default=names, help=", ".join(names))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.tasks:
        found = measure(name)
        low, high = found["interval"]
        words = f"{name}: {found['improvement']:.0%} [{low:.0%}, {high:.0%}] in {found['seconds']:.0f} s"
        print(json.dumps(found) if arguments.json else f"{words}: {found['pinned']}", flush=True)


if __name__ == "__main__":
    main()
