"""Workers on a real Ray: the contract of every host, nodes that come and go, processes that die."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.cli.crew import fresh
from prompt_pins.config import RunConfig
from prompt_pins.errors import CheckpointError, OptionError, WorkersError
from prompt_pins.run import pin
from prompt_pins.store import Runs, events
from prompt_pins.workers import cluster as rays
from prompt_pins.workers.bench import Opening
from prompt_pins.workers.giving import Patience
from prompt_pins.workers.pool import Pool

from tests.headless.host_contract import HostContract
from tests.run.test_cut import BASE, nothing_is_flushed, ran, target
from tests.run.test_pin import finish
from tests.workers.rays import opened
from tests.workers.test_pool import timeless, without_workers

ray = pytest.importorskip("ray")
__all__ = ["nothing_is_flushed", "target"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def farm() -> Iterator[Any]:
    """A cluster of one node with room for two workers."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield found
    found.shutdown()


def pool(farm: Any, opening: Opening, workers: int = 2) -> Pool:
    """Of so many workers, once they are there."""
    found = rays.open_cluster(farm.address, opening)
    while len(found.workers) < workers:
        found.workers += found._recruit()
        time.sleep(0.05)
    return found


class TestContract(HostContract):
    @pytest.fixture(scope="class")
    @classmethod
    def host(cls, farm: Any) -> Iterator[Pool]:
        config = RunConfig(prompt="x")
        here = fresh(config, "cpu", None, None)
        found = pool(farm, Opening(here.open, here.paths))
        yield found
        found.close()


def test_a_run_is_that_of_one_host_though_nodes_come_and_go(farm: Any, target: str, tmp_path: Path) -> None:
    """Losses are measured where the images are; one node is added on the way, and goes again."""
    options = {**BASE, "lambda_": 8, "generations": 6, "held_out": 0, "finalists": 0}
    alone = ran(options, target, Runs(tmp_path / "alone"))
    host = pool(farm, Opening(functools.partial(opened, pause=0.1)))
    config, nodes = RunConfig(**{**options, "target": (target,)}), []
    for event in pin.start(config, host, Runs(tmp_path / "far")):
        if isinstance(event, events.GenerationDone):
            number = event.generation.generation
            if number == 1:
                nodes.append(farm.add_node(num_cpus=2))
            elif number == 2:
                while len(host.workers) < 3:
                    host.workers += host._recruit()
                    time.sleep(0.05)
            elif number == 3:
                farm.remove_node(nodes.pop())
        elif isinstance(event, events.RunStarted):
            folder = event.folder
    host.close()
    assert without_workers(folder) == timeless(alone)
    assert len({c.worker for c in folder.record().candidates}) >= 3


def test_processes_that_die_are_restarted_and_their_candidates_done_again(
    farm: Any, target: str, tmp_path: Path
) -> None:
    alone = ran({}, target, Runs(tmp_path / "alone"))
    (tmp_path / "deaths").mkdir()
    for number in range(2):
        (tmp_path / "deaths" / str(number)).touch()
    host = pool(farm, Opening(functools.partial(opened, deaths=str(tmp_path / "deaths"))))
    host.patience = Patience(rest=0.05, longest=0.05, tries=100)
    far = ran({}, target, Runs(tmp_path / "far"), host)
    host.close()
    assert without_workers(far) == timeless(alone)
    assert not list((tmp_path / "deaths").iterdir())


def test_with_no_worker_left_the_run_stops_and_goes_on_elsewhere(farm: Any, target: str, tmp_path: Path) -> None:
    alone = ran({}, target, Runs(tmp_path / "alone"))
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    (deaths / "first").touch()
    host = pool(farm, Opening(functools.partial(opened, deaths=str(deaths))))
    host.patience = Patience(tries=1)
    over = threading.Event()

    def go_on_dying() -> None:
        while not over.wait(0.01):
            (deaths / "next").touch()

    threading.Thread(target=go_on_dying, daemon=True).start()
    with pytest.raises(WorkersError, match="its process or its node is gone"):
        ran({}, target, Runs(tmp_path / "far"), host)
    over.set()
    host.close()
    folder = Runs(tmp_path / "far").find("0")
    host = pool(farm, Opening(opened))
    finish(pin.resume(folder, host))
    host.close()
    lines = [line for line in without_workers(folder) if line["kind"] not in ("stopped", "resumed")]
    assert lines == timeless(alone)


def test_what_opening_the_model_raises_is_told(farm: Any, tmp_path: Path) -> None:
    (tmp_path / "turn").write_text("no model")
    with pytest.raises(CheckpointError, match="the model: is no model"):
        rays.open_cluster(farm.address, Opening(functools.partial(opened, turn=str(tmp_path / "turn"))))
    with pytest.raises(OptionError, match=r"a cluster with 0 GPUs and 99 CPUs for a worker"):
        rays.open_cluster(farm.address, Opening(opened), cpus=99)
    assert not ray.is_initialized()


def said(*words: str) -> tuple[int, str]:
    """(exit code, complaint) of the command line as a program."""
    command = [sys.executable, "-m", "prompt_pins.cli.main", *words]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT / "lib")}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no address"])
def test_an_address_that_is_none(address: str, tmp_path: Path) -> None:
    code, words = said("pin", "a red circle", "--ray", address, "--out", str(tmp_path / "out"))
    line = next(line for line in words.splitlines() if line.startswith("error: "))
    assert code == 2 and line.startswith(f"error: ray: '{address}' is not allowed") and "Traceback" not in words
    assert not (tmp_path / "out").exists()


def test_the_command_line_pins_on_ray_and_the_run_is_that_of_here(tmp_path: Path) -> None:
    words = [
        "pin",
        "a red blue circle",
        *["--steps", "2", "--batch-size", "2", "--lambda", "3", "-g", "2", "--held-out", "2", "--finalists", "1"],
    ]
    words += [*["--contest-seeds", "2", "--no-gifs", "--no-plots"], "--out", str(tmp_path)]
    for more in ([], ["--ray", "local"]):
        code, complaint = said(*words, *more)
        assert code == 0, complaint
    here, far = (Runs(tmp_path).find(number) for number in "01")
    assert without_workers(far) == timeless(here)
    assert all(c.worker for c in far.record().candidates if c.evaluations)


def test_nothing_of_ray_is_imported_without_it(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom prompt_pins.cli import main\n"
        f"sys.argv = ['prompt-pins', 'pin', 'a circle', '--steps', '1', '-b', '1', '--lambda', '2', '-g', '1', "
        f"'--held-out', '0', '--finalists', '0', '--out', {str(tmp_path)!r}]\n"
        "try:\n    main.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'ray']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT / "lib")}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_without_ray_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install 'prompt-pins\[ray\]'"):
        rays.open_cluster("local", Opening(opened))


def test_the_options_are_those_that_were_given() -> None:
    here = fresh(RunConfig(prompt="x", checkpoint="/a/b", vae=""), None, Path("/c"), None)
    assert here.paths == {"checkpoint": "/a/b", "embeddings": "/c"} and dataclasses.is_dataclass(Opening)
