"""The share of a run's wall time in which the host is not generating, and the search's own share.

python -m benchmarks.overhead --json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prompt_pins import search
from prompt_pins.cli.arguments import read_config
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Batch, Recipe
from prompt_pins.report import LiveReport
from prompt_pins.run import answers, beginning, pin
from prompt_pins.run.plan import make_plan
from prompt_pins.store import Record, Runs

TASK = Path(__file__).parent / "tasks" / "rival-colours.toml"


class TimedHost(HeadlessHost):
    """The headless host, and the seconds spent inside `render`."""

    seconds = 0.0

    def render(self, prompt: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """As the host's own, with its time added to `seconds`."""
        started = time.perf_counter()
        try:
            return super().render(prompt, seeds, job, forked)
        finally:
            self.seconds += time.perf_counter() - started


def search_seconds(config: RunConfig, host: HeadlessHost, record: Record) -> float:
    """Seconds of asking, telling, the state and the simplest finalist, with the losses of a run: its search again."""
    space = make_plan(config, host).space
    began = time.perf_counter()
    again = search.create(space.original, space.low, space.high, beginning.search_options(config))
    for generation in record.generations:
        vectors = [space.round(vector) for vector in again.ask()]
        again.tell(generation.losses, vectors)
        if again.state() != generation.state:
            raise AssertionError("the search did not replay")
    searched = [c for c in record.candidates if c.generation <= len(record.generations)]
    answers.simplest(searched, again.state()["mean"], space.axes, record.rotated)
    return time.perf_counter() - began


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
        searched = search_seconds(config, host, Runs(Path(out)).find("0").record())
    figures = {"overhead": 1.0 - host.seconds / wall, "search": searched / wall}
    return {**figures, "wall_seconds": wall, "render_seconds": host.seconds}


def main() -> None:
    """Print the figures, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--generations", type=int, default=8)
    arguments = parser.parse_args()
    figures = measure(arguments.generations)
    print(
        json.dumps(figures) if arguments.json else f"overhead {figures['overhead']:.1%}, search {figures['search']:.3%}"
    )


if __name__ == "__main__":
    main()
