"""The share of a run's wall time in which the host is not generating.

python -m benchmarks.overhead --json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prompt_pins import pin
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.headless.arguments import read_config
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Batch, PromptPair
from prompt_pins.report import LiveReport
from prompt_pins.store import Runs

TASK = Path(__file__).parent / "tasks" / "rival-colours.toml"


class TimedHost(HeadlessHost):
    """The headless host, and the seconds spent inside `render`."""

    seconds = 0.0

    def render(self, prompt: PromptPair, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """As the host's own, with its time added to `seconds`."""
        started = time.perf_counter()
        try:
            return super().render(prompt, seeds, job, forked)
        finally:
            self.seconds += time.perf_counter() - started


def measure(generations: int) -> dict[str, float]:
    """Run the first shipped task for some generations, with its report, as the command line does."""
    config = RunConfig.from_dict({**read_config(TASK), "generations": generations})
    host = TimedHost()
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        with LiveReport() as live:
            for event in pin.start(config, host, Runs(Path(out))):
                live.handle(event)
        wall = time.perf_counter() - started
    return {"overhead": 1.0 - host.seconds / wall, "wall_seconds": wall, "render_seconds": host.seconds}


def main() -> None:
    """Print the figures, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--generations", type=int, default=8)
    arguments = parser.parse_args()
    figures = measure(arguments.generations)
    print(json.dumps(figures) if arguments.json else f"overhead {figures['overhead']:.1%}")


if __name__ == "__main__":
    main()
