"""By eye: what a run asks its user, what the user says, and how that gets from a page to the run.

The run writes a question into its journal and waits.  Who serves its page writes the answer as a file of the run's
folder, `verdicts/0003.json`, whole; the run reads it and writes it into its journal as a verdict.  Standard library
only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError, StoreError, reason
from .files import inside, read_json

FOLDER = "verdicts"
PARTS = ("generation", "contest", "unseen")
ALIKE, LEFT, RIGHT = 0, 1, 2
CROSSED_OUT = 0
MOST = 9999
"""The last place that can be given."""


@dataclasses.dataclass(frozen=True)
class Question:
    """number: from 1.  part: of `PARTS`.

    A generation's candidates, or those of the contest, are ranked.  ids: theirs, in the order in which they are shown;
    images: the paths of each one's, relative to the run's folder.
    On unseen seeds one of two is chosen, seed by seed.  ids: of the original and the pinned prompt; images: for each
    seed the left one and the right one.
    """

    number: int
    part: str
    ids: tuple[str, ...]
    images: tuple[tuple[str, ...], ...]

    def fault(self, value: Any) -> str:
        """Why a JSON value is no answer to this question, in words; "" if it is one."""
        if not isinstance(value, dict) or value.get("number") != self.number:
            return f"is no answer to question {self.number}"
        answers, enough = value.get("answers"), value.get("enough", False)
        most = MOST if self.part != "unseen" else RIGHT
        if not isinstance(answers, list) or len(answers) != len(self.images):
            return f"has not {len(self.images)} answers"
        if not all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= most for item in answers):
            return f"has answers that are no whole numbers from 0 to {most}"
        if self.part != "unseen" and len(set(answers)) < 2:
            return "sets no candidate apart: one at least must be better than another"
        if not isinstance(enough, bool) or (enough and self.part != "generation"):
            return "has an enough that is no true or false, or that this question has not"
        return ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The answer to the question of that number.

    answers: each candidate's place, 1 for the best, several may share one; `CROSSED_OUT` is behind all places.  On
    unseen seeds `LEFT`, `RIGHT` or `ALIKE` for each seed.
    enough: the search is to end here.  seconds: waited.
    """

    number: int
    answers: tuple[int, ...]
    enough: bool = False
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)


def losses(answers: Sequence[int]) -> list[float]:
    """Places as losses from 0 to 1: the share of the others that are better, those that are alike counting half."""
    places = [MOST + 1 if place == CROSSED_OUT else place for place in answers]
    others = max(1, len(places) - 1)
    return [(sum(p < own for p in places) + (places.count(own) - 1) / 2) / others for own in places]


def read(root: Path, question: Question) -> Verdict | None:
    """The answer that lies in a run's folder; None while there is none, or what is there answers something else."""
    value = read_json(_place(root, question))
    if value is None or question.fault(value) or value.get("ids", list(question.ids)) != list(question.ids):
        return None
    return Verdict(question.number, tuple(value["answers"]), value.get("enough", False))


def write(root: Path, question: Question, value: Any) -> bool:
    """Put an answer into a run's folder; False where one was there already, which stays.

    Raises `OptionError` for a value that is no answer, and `StoreError`.
    """
    if fault := question.fault(value):
        raise OptionError("verdict", value, f"an answer to question {question.number} (this one {fault})")
    path = _place(root, question)
    kept = {name: value[name] for name in ("number", "answers", "enough") if name in value}
    text = json.dumps({**kept, "ids": question.ids}) + "\n"
    beside = path.with_name(f".prompt-pins-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            return _take(beside, path, root, question)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({reason(error)})") from error


def _take(beside: Path, path: Path, root: Path, question: Question) -> bool:
    """Give a whole file its place, if no other answer has it."""
    try:
        os.link(beside, path)  # unlike a renaming, this fails where another page was faster
        return True
    except OSError:  # there is one, or the file system has no links
        if read(root, question) is not None:
            return False
        os.replace(beside, path)
        return True


def _place(root: Path, question: Question) -> Path:
    return inside(root, f"{FOLDER}/{question.number:04d}.json")
