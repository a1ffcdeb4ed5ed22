"""Kill runs, resumes, reports and workers at random moments, and let disks fill up: nothing written down may be lost.

python -m tools.chaos --kills 200 --full 50 --crew 100

After each blow every journal line that was there is still there, every candidate in it has its images and numbers,
and every page is whole.  Each run is brought to its end, and must then be the undisturbed run, times aside.  Ends with
1 where one is not, and keeps its folder.  Unix only: each program is a fork of this one, which holds the model.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a fork has no others
from PIL import Image
from prompt_pins.cli import main as cli
from prompt_pins.headless import opening
from prompt_pins.store import read_journal

from tests.workers.stand_in import StandIn, serving

SMALL = (
    "a red blue circle, white background --steps 2 --batch-size 2 --width 64 --height 64 --lambda 3 -g 2 --held-out 2 "
    "--finalists 1 --contest-seeds 2"
)
PIN = ["pin", SMALL.partition(" --")[0], *("--" + SMALL.partition(" --")[2]).split()]
PAUSE = 0.1
"""Seconds that a worker takes to render."""
SPARE = 64 * 2**20
ENDED = {0, 1, 2}
"""Exit codes of the program that are said in a sentence."""


class Fault(Exception):
    """Something was lost, torn or different."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A fork of this process that is the command line."""

    number: int
    log: Path

    @classmethod
    def start(cls, words: Sequence[str], out: Path, log: Path, largest: int | None = None) -> Program:
        """largest: bytes that one file may have."""
        number = os.fork()
        if number:
            return cls(number, log)
        code = 70
        try:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            if largest is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
            code = run([*words, "--out", str(out)])
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def wait(self) -> int:
        """Its exit code; a negative signal where one ended it.  Raises `Fault` for an end without a sentence."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])
        if code not in ENDED | {-signal.SIGKILL}:
            raise Fault(f"exit code {code}: {self.log.read_text(errors='replace')[-3000:]}")
        return code

    def ended(self) -> bool:
        """Whether it has come to its end by itself; then it is waited for.  Raises as `wait` does."""
        if os.waitid(os.P_PID, self.number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        self.wait()
        return True

    def kill(self, after: float) -> bool:
        """Kill it after some seconds; False if it had ended by itself."""
        time.sleep(after)
        os.kill(self.number, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL


class Farm:
    """WebUIs as workers, each a process that begins again when it is killed."""

    def __init__(self, count: int) -> None:
        self.ports = [free_port() for _ in range(count)]
        self.numbers = [self._begun(port) for port in self.ports]

    @property
    def words(self) -> list[str]:
        """Of the command line."""
        return [word for port in self.ports for word in ("--webui", f"http://127.0.0.1:{port}")]

    def kill(self, index: int) -> None:
        """One of them; it begins again."""
        self._end(self.numbers[index])
        self.numbers[index] = self._begun(self.ports[index])

    def close(self) -> None:
        """End them all."""
        for number in self.numbers:
            self._end(number)

    def _end(self, number: int) -> None:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)

    def _begun(self, port: int) -> int:
        number = os.fork()
        if number:
            return number
        try:
            with serving(StandIn(pause=PAUSE), port):
                while True:
                    time.sleep(60)
        finally:
            os._exit(1)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(words: Sequence[str]) -> int:
    """The command line within this process; its exit code."""
    sys.argv = ["prompt-pins", *words]
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def lines(folder: Path) -> bytes:
    """The whole lines of a run's journal, b"" where there is none."""
    journal = folder / "journal.jsonl"
    data = journal.read_bytes() if journal.is_file() else b""
    return data[: data.rfind(b"\n") + 1]


def check(folder: Path, before: bytes) -> None:
    """Raises `Fault` where a run has lost what its journal said, or holds a file that is not whole."""
    after = lines(folder)
    if not after.startswith(before):
        raise Fault(f"{folder}: its journal has lost what it held")
    records = read_journal(folder / "journal.jsonl") if after else []
    for record in records:
        if record["kind"] == "candidate" and record["loss"] is not None:
            json.loads((folder / record["folder"] / "batch_stats.json").read_bytes())
            if not all((folder / record["folder"] / name).is_file() for name in record["images"]):
                raise Fault(f"{folder}: candidate {record['id']} has lost an image")
    for path in seen(folder):
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".html" and not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
            raise Fault(f"{path}: is not whole")


def seen(folder: Path) -> Iterator[Path]:
    """The files of a run, but for hidden ones: what a killed process had begun to write."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


def timeless(value: Any) -> Any:
    """A record without its times, and without who rendered it."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in ("time", "seconds", "worker")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def essence(folder: Path) -> tuple[list[Any], dict[str, bytes]]:
    """What a run came to: its records without times and pauses, and the files that its journal stands for."""
    records = [
        record for record in read_journal(folder / "journal.jsonl") if record["kind"] not in ("stopped", "resumed")
    ]
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in seen(folder)
        if path.name == "batch_stats.json" or path.parent.parent.name in {"unseen"} or path.name[:5].isdecimal()
    }
    return timeless(records), files


class Chaos:
    """Runs below `root`, and an undisturbed one to compare with."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        self.done: Counter[str] = Counter()
        host = opening.HeadlessHost(device="cpu")
        opening.HeadlessHost = lambda *_, **__: host  # type: ignore[misc,assignment]
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            if run([*PIN, "--out", str(root / "whole")]):
                raise Fault("the undisturbed run has failed")
        self.whole = root / "whole" / "00000000"
        self.expected = essence(self.whole)
        self.log = root / "log.txt"
        self.seconds = {name: self._timed(words) for name, words in (("pin", PIN), ("report", ["report", "0"]))}

    def _timed(self, words: Sequence[str]) -> float:
        started = time.perf_counter()
        Program.start(words, self.root / "timed", self.log).wait()
        return time.perf_counter() - started

    def kills(self, count: int) -> None:
        """Kill so many programs, bring their runs to their ends between, and check after each."""
        out = self.root / "killed"
        folder = out / "00000000"
        while self.done["kills"] < count or folder.exists():
            begun, state = bool(lines(folder)), ended(folder)
            kind = "report" if begun and self.random.random() < 0.25 else "resume" if begun else "pin"
            kind = "report" if state and kind == "resume" else kind
            before = lines(folder)
            if not begun:
                shutil.rmtree(out, ignore_errors=True)
            program = Program.start(PIN if kind == "pin" else [kind, "0"], out, self.log)
            longest = self.seconds["report" if kind == "report" else "pin"]
            if self.done["kills"] < count:
                killed = program.kill(self.random.uniform(0.0, 1.1 * longest))
                self.done.update({"kills": killed, f"kills of {kind}": killed})
            else:
                program.wait()
            check(folder, before)
            if ended(folder):
                self._compare(folder)
                shutil.rmtree(out)

    def full(self, count: int) -> None:
        """Let the disk be full at so many sizes; with room again, the run goes on to the same end."""
        size = sum(path.stat().st_size for path in self.whole.rglob("*") if path.is_file())
        largest = max(path.stat().st_size for path in self.whole.rglob("*") if path.is_file())
        for _ in range(count):
            with small_disk(self.root / "disk") as grow:
                out, before = self.root / "disk" / "runs", b""
                folder = out / "00000000"
                limit = self.random.randint(1, largest) if grow is None else None
                if grow is not None:
                    grow(self.random.randint(2**14, size))
                code = Program.start(PIN, out, self.log, limit).wait()
                self.done.update({"full": 1, "full, said so": code != 0})
                if grow is not None:
                    grow(SPARE)
                check(folder, before)
                before = lines(folder)
                if not before:
                    shutil.rmtree(out, ignore_errors=True)
                if not ended(folder):
                    Program.start(["resume", "0"] if before else PIN, out, self.log).wait()
                check(folder, before)
                self._compare(folder)
                shutil.rmtree(out)

    def crew(self, count: int) -> None:
        """Kill so many workers, which begin again, and programs that have them; each run must come to its end."""
        if not count:
            return
        farm = Farm(3)
        try:
            started = time.perf_counter()
            Program.start([*PIN, *farm.words], self.root / "crew", self.log).wait()
            longest = time.perf_counter() - started
            expected = essence(self.root / "crew" / "00000000")
            out = self.root / "broken"
            folder = out / "00000000"
            while self.done["blows to a crew"] < count or folder.exists():
                before = lines(folder)
                if not before:
                    shutil.rmtree(out, ignore_errors=True)
                program = Program.start([*(["resume", "0"] if before else PIN), *farm.words], out, self.log)
                while self.done["blows to a crew"] < count:
                    time.sleep(self.random.uniform(0.0, longest / 4))
                    self.done["blows to a crew"] += 1
                    if self.random.random() < 0.3:
                        self.done["killed programs with a crew"] += program.kill(0.0)
                        break
                    farm.kill(self.random.randrange(3))
                    self.done["killed workers"] += 1
                    if program.ended():
                        break
                else:
                    program.wait()
                check(folder, before)
                if ended(folder):
                    self._compare(folder, expected)
                    shutil.rmtree(out)
        finally:
            farm.close()

    def _compare(self, folder: Path, expected: tuple[list[Any], dict[str, bytes]] | None = None) -> None:
        expected = expected or self.expected
        records, files = essence(folder)
        if records != expected[0]:
            raise Fault(f"{folder}: its journal is not that of the undisturbed run")
        wrong = [name for name, data in expected[1].items() if files.get(name) != data]
        if wrong:
            raise Fault(f"{folder}: differs from the undisturbed run in {', '.join(wrong)}")
        self.done["runs ended the same"] += 1


def ended(folder: Path) -> bool:
    """Whether a run is finished."""
    last = lines(folder).splitlines()[-1:]
    return bool(last) and json.loads(last[0])["kind"] == "finished"


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Callable[[int], None] | None]:
    """A file system in memory at `place`, and what sets its size in bytes; None where none can be had (no root)."""
    place.mkdir(exist_ok=True)
    if not mounted("-t", "tmpfs", "-o", f"size={SPARE}", "tmpfs", str(place)):
        yield None
        return
    try:
        yield lambda size: mounted("-o", f"remount,size={size}", str(place)) or None
    finally:
        subprocess.run(["umount", str(place)], check=False)


def mounted(*words: str) -> bool:
    """Whether a mount succeeds."""
    return (
        shutil.which("mount") is not None
        and not subprocess.run(["mount", *words], stderr=subprocess.DEVNULL).returncode
    )


def main() -> None:
    """Do it, and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--full", type=int, default=50)
    parser.add_argument("--crew", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    chaos = Chaos(root, arguments.seed)
    try:
        chaos.kills(arguments.kills)
        chaos.full(arguments.full)
        chaos.crew(arguments.crew)
    except Exception as fault:
        sys.exit(f"--seed {arguments.seed}, after {dict(chaos.done)}: {type(fault).__name__}: {fault}\nkept: {root}")
    print(f"--seed {arguments.seed}: " + ", ".join(f"{what}: {count}" for what, count in sorted(chaos.done.items())))
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
