"""What reports cost: `python -m benchmarks.report --json`, from the repository's root with `lib` on PYTHONPATH.

A synthetic run is reported live, as fast as it goes; the drawing thread's processor time is held against the time
that the run's images would have taken (`--rate` images a second).  `share` must stay at or below 0.02, and `flat`,
the last generations' cost over the first ones', near 1.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prompt_pins.report.artist import Artist
from prompt_pins.report.build import finish
from prompt_pins.report.live import CREDIT, SHARE
from prompt_pins.store import events

from tests.report.synthetic import Shape, SyntheticRun


def measure(shape: Shape, rate: float, folder: Path) -> dict[str, Any]:
    """Seconds of processor time by part, and their share of the run."""
    run = SyntheticRun(folder, shape)
    artist: Artist | None = None
    candidates: list[float] = []
    generations: list[float] = []
    rows: list[Any] = []
    for event in run.events():
        if isinstance(event, events.RunStarted):
            artist = Artist.of(event.folder, event.record)
        elif isinstance(event, events.CandidateDone) and artist is not None:
            rows.append(event.candidate)
            candidates.append(timed(functools.partial(artist.candidate, event.candidate, event.images)))
        elif isinstance(event, events.GenerationDone) and artist is not None:
            record, number = event.generation, event.generation.generation
            generations.append(timed(functools.partial(artist.generation, number, tuple(rows), record, True)))
            rows = []
    assert artist is not None
    record = run.folder.record()
    end = timed(functools.partial(finish, artist, record))
    page = timed(functools.partial(artist.run, record))
    images = shape.generations * shape.population * shape.batch
    seconds = images / rate
    per_generation = np.array(candidates).reshape(shape.generations, -1).sum(axis=1) + np.array(generations)
    tenth = max(1, shape.generations // 10)
    first, last = np.median(per_generation[1 : tenth + 2]), np.median(per_generation[-tenth - 1 :])
    return {
        "candidate_ms": round(1e3 * float(np.median(candidates)), 2),
        "generation_ms": round(1e3 * float(np.median(generations)), 2),
        "page_ms": round(1e3 * page, 2),
        "end_ms": round(1e3 * end, 2),
        "run_seconds": seconds,
        "parts_share": round((sum(candidates) + sum(generations)) / seconds, 5),
        "end_share": round(end / seconds, 5),
        "share": round((sum(candidates) + sum(generations) + end + CREDIT) / seconds + SHARE, 5),
        "flat": round(float(last / first), 3),
        "page_bytes": (folder / "index.html").stat().st_size,
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds of this thread's processor time."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--generations", type=int, default=30)
    parser.add_argument("--population", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=128, help="pixels of an image's side")
    parser.add_argument("--rate", type=float, default=4.4, help="images a second of the host")
    parser.add_argument("--no-images", action="store_true", help="leave the images out, for very long runs")
    parser.add_argument("--out", type=Path, help="keep the run in this folder")
    given = parser.parse_args()
    shape = Shape(given.generations, given.population, given.batch, given.size, held=16, images=not given.no_images)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(shape, given.rate, given.out or Path(folder) / "00000000")
    text = json.dumps(result) if given.json else "\n".join(f"{key:14} {value}" for key, value in result.items())
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
