"""Kill actors, nodes and drivers of a Ray cluster at random moments: python -m tools.chaos_cluster --blows 100

Nodes are killed without a word, and others come in their place. Each run is brought to its end, and must then be the
run of one undisturbed host, times and names of workers aside.  Ends with 1 where one is not, and keeps its folder.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.run import pin
from prompt_pins.store import Runs, events
from prompt_pins.workers import cluster
from prompt_pins.workers.bench import Opening
from prompt_pins.workers.giving import Patience
from prompt_pins.workers.pool import Pool

from tests.run.painter import Painter
from tests.workers.rays import opened
from tools.chaos import Fault, check, ended, essence, lines

PAUSE, BETWEEN, EARLY = 0.5, 4.0, 0.1
"""Seconds of a batch; seconds at most between two looks at a run; how often it is struck though nothing is new."""
NODE: dict[str, Any] = {"num_cpus": 1}
OPTIONS: dict[str, Any] = {
    "prompt": "a red blue circle", "steps": 1, "batch_size": 2, "lambda_": 7, "generations": 6, "contest_seeds": 2,
    "finalists": 2, "held_out": 4, "plots": False, "gifs": False, "cma_seed": 3,
}  # fmt: skip


def config(root: Path) -> RunConfig:
    """A run to an image of noise."""
    return RunConfig(**OPTIONS, target=(str(root / "target.png"),))


def drive(address: str, root: Path) -> None:
    """Begin a run on a cluster, or go on with it: what a driver's process does."""
    host = joined(address)
    host.patience = Patience(rest=0.2, longest=1.0, tries=10**6)
    runs = Runs(root / "far")
    begun = bool(lines(root / "far" / "00000000"))
    for event in pin.resume(runs.find("0"), host) if begun else pin.start(config(root), host, runs):
        if isinstance(event, events.RunFinished):
            print(event.state, event.reason)
    host.close()


def joined(address: str) -> Pool:
    """The cluster's workers, once a node is there that can hold one."""
    while True:
        try:
            return cluster.open_cluster(address, Opening(functools.partial(opened, pause=PAUSE)))
        except OptionError:  # its nodes were killed a moment ago, and the new ones are on their way
            time.sleep(1.0)


def actors(nodes: list[Any]) -> Iterator[int]:
    """The processes that hold a host on these nodes."""
    raylets = {str(node.all_processes["raylet"][0].process.pid) for node in nodes}
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes()
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if words.startswith(b"ray::") and b"IDLE" not in words and parent in raylets:
            yield int(place.name)


class Blows:
    """What is done to one cluster of two nodes, beside a head that holds no worker."""

    def __init__(self, root: Path, seed: int) -> None:
        from ray.cluster_utils import Cluster

        self.root, self.random = root, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.nodes = [self.cluster.add_node(**NODE) for _ in range(2)]

    def strike(self, program: subprocess.Popen[bytes]) -> None:
        """One blow."""
        self.done["blows"] += 1
        kind = self.random.choices(("actor", "node", "driver"), (6, 2, 2))[0]
        held = sorted(actors(self.nodes))
        if kind == "driver":
            program.kill()
            self.done["drivers"] += 1
        elif kind == "actor" and held:
            os.kill(self.random.choice(held), signal.SIGKILL)
            self.done["actors"] += 1
        else:
            gone = self.nodes.pop(self.random.randrange(len(self.nodes)))
            self.cluster.remove_node(gone, allow_graceful=False)
            self.nodes.append(self.cluster.add_node(**NODE))
            self.done["nodes"] += 1

    def run(self, count: int) -> None:
        """So many blows; raises `Fault` where a run is another one."""
        for _ in pin.start(config(self.root), Painter(), Runs(self.root / "here")):
            pass
        expected = essence(self.root / "here" / "00000000")
        folder = self.root / "far" / "00000000"
        words = [sys.executable, "-m", "tools.chaos_cluster", "--drive", self.cluster.address, str(self.root)]
        while self.done["blows"] < count or folder.exists():
            before = lines(folder)
            if not before:
                shutil.rmtree(folder.parent, ignore_errors=True)
            seen = before
            with (self.root / "log.txt").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as program:
                while self.done["blows"] < count and program.poll() is None:
                    time.sleep(self.random.uniform(0.0, BETWEEN))
                    # mostly once something more is written down, or no run would end; sometimes before
                    if program.poll() is None and (lines(folder) != seen or self.random.random() < EARLY):
                        seen = lines(folder)
                        self.strike(program)
            if program.returncode not in (0, -signal.SIGKILL):
                raise Fault(f"exit code {program.returncode}: {(self.root / 'log.txt').read_text()[-3000:]}")
            check(folder, before)
            if ended(folder):
                if essence(folder) != expected:
                    raise Fault(f"{folder}: is not the run of one undisturbed host")
                self.done["runs ended the same"] += 1
                shutil.rmtree(folder.parent)


def main() -> None:
    """Do it, and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--drive", nargs=2, metavar=("ADDRESS", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.update(cluster.SETTINGS)
    if arguments.drive:
        drive(arguments.drive[0], Path(arguments.drive[1]))
        return
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8)).save(root / "target.png")
    blows = Blows(root, arguments.seed)
    try:
        blows.run(arguments.blows)
    except Exception as fault:
        sys.exit(f"--seed {arguments.seed}, after {dict(blows.done)}: {type(fault).__name__}: {fault}\nkept: {root}")
    finally:
        blows.cluster.shutdown()
    print(f"--seed {arguments.seed}: " + ", ".join(f"{what}: {count}" for what, count in sorted(blows.done.items())))
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
