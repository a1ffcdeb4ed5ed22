"""Run the commands that made figures of README and docs/ again, and fail where one has drifted beyond its spread.

python -m tools.figures

Only those that take under ten minutes in sum, on one core.  A figure that is counted has no spread; one that is of
another machine's images has the spread that is stated here.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROGRAMS: dict[str, tuple[str, ...]] = {"prompt-pins": ("-m", "prompt_pins.cli.main"), "python": ()}


@dataclass(frozen=True)
class Figure:
    """One number of a page.

    passage: the words around it, with {} in its place; value: the number as the page prints it.
    command: what prints it as JSON, alone or in the last line; key: where it is in there.
    spread: how far another machine's number may lie from the page's, in the page's units.
    """

    page: str
    passage: str
    value: str
    command: str
    key: tuple[str, ...]
    spread: float = 0.0

    @property
    def said(self) -> str:
        """The passage as the page prints it."""
        return self.passage.format(self.value)

    def printed(self) -> bool:
        """Whether the page still says so."""
        return self.said in " ".join((ROOT / self.page).read_text("utf-8").split())

    def differs(self, found: float) -> bool:
        """Whether a number, in the page's units, is beyond the spread."""
        return abs(found - float(self.value.replace(",", "").removesuffix("%"))) > self.spread


TREE = "prompt-pins hyperbatch --fork-policy even --json"
FIGURES = (
    Figure("README.md", "8 images of 20 steps cost {} denoiser evaluations", "90", "prompt-pins hyperbatch --json",
           ("evaluations",)),
    Figure("README.md", "instead of 160, or {} as one tree", "75", TREE, ("evaluations",)),
    Figure("docs/hyperbatch.md", "| 16 | 20 | {} of 320 |", "124", f"{TREE} --batch-size 16", ("evaluations",)),
    Figure("docs/hyperbatch.md", "| 32 | 30 | {} of 960 |", "315", f"{TREE} --batch-size 32 --steps 30",
           ("evaluations",)),
    Figure("docs/embedded-model.md", "| 1 | {} | 64 % | 31 |", "0.612",
           "python -m benchmarks.multiplier --seeds 1 --json", ("found",), 0.1),
    Figure("docs/embedded-model.md", "| one thing on a plain background | 300 | {} |", "99.7 %",
           "python tools/grade_embedded.py --count 60 --extra 2 --steps 20 --json", ("plain", "colour"), 4.0),
)  # fmt: skip


def answer(command: str) -> Any:
    """The JSON that a command prints.  Raises CalledProcessError where it fails."""
    program, *words = shlex.split(command)
    done = subprocess.run([sys.executable, *PROGRAMS[program], *words], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    text = done.stdout.decode()
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text.splitlines()[-1])


def drifted(figures: Sequence[Figure]) -> list[str]:
    """A line for each that is not what its page says; each command is run once."""
    answers: dict[str, Any] = {}
    faults = []
    for one in figures:
        if one.command not in answers:
            answers[one.command] = answer(one.command)
        found = answers[one.command]
        for key in one.key:
            found = found[key]
        found *= 100.0 if one.value.endswith("%") else 1.0
        line = f"{one.page}: {one.said!r}: now {found:g}, ± {one.spread:g} (`{one.command}`)"
        print(line, flush=True)
        if not one.printed():
            faults.append(f"{line}: the page does not say so")
        elif one.differs(found):
            faults.append(line)
    return faults


def main() -> None:
    """Print each figure, and at the end those that have drifted, with exit code 1."""
    faults = drifted(FIGURES)
    print("\n".join(["drifted:", *faults]) if faults else "none has drifted")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
