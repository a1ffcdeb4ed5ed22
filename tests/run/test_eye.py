"""By eye: asked, answered, resumed; what is no answer waits on; the figures of a choice between two."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins import report
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError, PinError
from prompt_pins.run import eye, pin
from prompt_pins.store import Question, Record, RunFolder, Runs, events, questions
from scipy.stats import binomtest

from tests.run.painter import Painter
from tests.run.test_cut import BASE, nothing_is_flushed
from tests.run.test_pin import content

__all__ = ["nothing_is_flushed"]

TASTE: dict[str, Any] = {**BASE, "loss_objectives": ("taste",), "start": "original", "contest_seeds": 2, "held_out": 5}
Judge = Callable[[RunFolder, Question], dict[str, Any]]


def redness(folder: RunFolder, names: tuple[str, ...]) -> float:
    images = [np.asarray(Image.open(folder.inside(name)), dtype=float) for name in names]
    return float(np.mean([image[..., 0] - image[..., 2] for image in images]))


def likes_red(folder: RunFolder, question: Question) -> dict[str, Any]:
    """A user who likes red, leaves the middle open and crosses the worst out."""
    if question.part == "unseen":
        answers = [1 if redness(folder, (one,)) > redness(folder, (two,)) else 2 for one, two in question.images]
        return {"number": question.number, "answers": answers}
    order = np.argsort([-redness(folder, row) for row in question.images]).tolist()
    answers = [order.index(place) + 1 for place in range(len(order))]
    return {"number": question.number, "answers": [0 if place == len(order) else place for place in answers]}


def answering(run: Iterator[events.Event], judge: Judge = likes_red) -> tuple[RunFolder, list[Question]]:
    """The run to its end, each question answered as it comes."""
    folder, asked = None, []
    for event in run:
        if isinstance(event, events.RunStarted):
            folder = event.folder
        elif isinstance(event, events.Asked) and folder is not None:
            asked.append(event.question)
            questions.write(folder.path, event.question, judge(folder, event.question))
    assert folder is not None
    return folder, asked


def test_it_learns_what_the_user_likes_and_ends_the_same_wherever_it_was_cut(tmp_path: Path) -> None:
    folder, asked = answering(pin.start(RunConfig(**TASTE), Painter(), Runs(tmp_path)))
    record, whole = folder.record(), content(folder)
    assert [one.part for one in asked] == ["generation", "generation", "contest", "unseen"]
    assert record.held is not None and record.held.by_eye and record.held.improvement == 1.0
    assert record.best is not None and record.original is not None and record.best != record.original
    first = [c for c in record.candidates if c.generation == 1]
    reds = [redness(folder, tuple(f"{c.folder}/{name}" for name in c.images)) for c in first]
    assert np.argsort([c.loss for c in first]).tolist() == np.argsort([-red for red in reds]).tolist()
    assert all(c.loss is not None for c in record.candidates) and record.pending is None
    lines = folder.journal_path.read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines)):
        folder.journal_path.write_bytes(b"".join(lines[:count]))
        answering(pin.resume(folder, Painter()))
        assert content(folder) == whole, count
    shown = report.build(folder).read_text("utf-8")
    assert "Pinned chosen 5 times" in shown and "failed" not in shown.split("<main>")[0]
    assert "Which words hold the image" in shown and "analyze --run" not in shown  # which wants a target


def test_killed_while_it_waits_and_answered_at_rest_it_goes_on_without_rendering_again(tmp_path: Path) -> None:
    host, waited = Painter(), []
    run = pin.start(RunConfig(**TASTE), host, Runs(tmp_path))
    for event in run:
        if isinstance(event, events.Asked):
            break
    folder = RunFolder(tmp_path / "00000000")
    run.close()  # as far as the journal can tell, it was killed
    question = folder.record().pending
    assert question is not None and folder.record().state == "interrupted" and host.calls == len(question.images)
    assert questions.write(folder.path, question, likes_red(folder, question))
    again = Painter()
    for event in pin.resume(folder, again):
        if isinstance(event, events.Asked):
            waited.append(event.question.number)
            questions.write(folder.path, event.question, likes_red(folder, event.question))
        if isinstance(event, events.GenerationDone) and event.generation.generation == 1:
            assert again.calls == 0
    whole, _ = answering(pin.start(RunConfig(**TASTE), Painter(), Runs(tmp_path)))
    assert waited == [1, 2, 3, 4] and content(folder) == content(whole)


def test_what_is_no_answer_is_waited_past_and_an_interrupt_ends_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eye, "POLL", 0.0)
    host, looks = Painter(), []

    def interrupted() -> bool:
        """Each look at the folder finds another thing that is no answer; then the user has had enough of waiting."""
        place = tmp_path / "00000000" / "verdicts" / "0001.json"
        if not place.parent.parent.joinpath("journal.jsonl").read_bytes().count(b'"kind":"question"'):
            return False
        place.parent.mkdir(exist_ok=True)
        right = {"number": 1, "answers": [1, 2, 3]}
        wrong = ['{"number": 1, "answers": [1, 2', "", "null", '"text"', *(json.dumps({**right, **more}) for more in (
            {"number": 2}, {"answers": [1, 1, 1]}, {"answers": [0, 0, 0]}, {"answers": [1, 2]}, {"ids": ["a"]},
            {"answers": [1, 2, 0.5]},
            {"answers": [1, 2, True]}, {"answers": [1, 2, -1]}, {"answers": [1, 2, 10**9]}, {"enough": 1},
        ))]  # fmt: skip
        if len(looks) < len(wrong):
            place.write_text(wrong[len(looks)])
        looks.append(1)
        return len(looks) > len(wrong) + 1

    monkeypatch.setattr(host, "interrupted", interrupted)
    list(pin.start(RunConfig(**TASTE), host, Runs(tmp_path)))
    folder = RunFolder(tmp_path / "00000000")
    record = folder.record()
    assert record.state == "stopped" and record.reason == "interrupted by the user" and len(looks) > 10
    question = record.pending
    assert question is not None and not record.candidates and len(record.unranked) == 3
    right = {"number": 1, "answers": [1, 2, 3]}
    for more in ({"number": 0}, {"answers": [0, 0, 0]}, {"answers": "123"}, {"enough": "yes"}):
        with pytest.raises(OptionError, match="answer to question 1"):
            questions.write(folder.path, question, {**right, **more})
    assert questions.write(folder.path, question, right)  # what lay there answered nothing
    assert not questions.write(folder.path, question, {**right, "answers": [3, 2, 1]})  # a second page is too late
    assert questions.read(folder.path, question) == questions.Verdict(1, (1, 2, 3))
    assert [path.name for path in (folder.path / "verdicts").iterdir()] == ["0001.json"]
    os.replace(folder.path / "verdicts", tmp_path / "elsewhere")
    (folder.path / "verdicts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PinError, match="leads out"):
        questions.write(folder.path, dataclasses.replace(question, number=2), {**right, "number": 2})


def test_failed_candidates_are_not_shown_and_the_user_may_end_the_search(tmp_path: Path) -> None:
    def fail(call: int) -> None:
        if call == 2:
            raise RuntimeError("out of memory")

    def enough(folder: RunFolder, question: Question) -> dict[str, Any]:
        return {**likes_red(folder, question), **({"enough": True} if question.part == "generation" else {})}

    changes = {**TASTE, "lambda_": 4, "generations": 9, "held_out": 0}
    folder, asked = answering(pin.start(RunConfig(**changes), Painter(fail), Runs(tmp_path)), enough)
    record: Record = folder.record()
    assert [(one.part, len(one.images)) for one in asked][:1] == [("generation", 3)]
    assert record.reason == str(eye.ENOUGH) and len(record.generations) == 1 and record.choice is not None
    assert [c.loss is None for c in record.candidates][:4] == [False, True, False, False]
    assert "out of memory" in record.candidates[1].error and record.candidates[1].id not in asked[0].ids


def test_a_host_that_fails_always_is_told_and_asks_nothing(tmp_path: Path) -> None:
    def fail(call: int) -> None:
        raise RuntimeError("no device")

    folder, asked = answering(pin.start(RunConfig(**TASTE), Painter(fail), Runs(tmp_path)))
    assert not asked and folder.record().state == "stopped" and "no device" in folder.record().reason
    answering(pin.resume(folder, Painter()))
    assert folder.record().state == "finished" and folder.record().candidates[0].loss is not None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"loss_objectives": ("taste", "flip")}, "loss_objectives"),
        ({"loss_objectives": ("taste:2",)}, "loss_objectives"),
        ({"target": ("a.png",)}, "target"), ({"mask": "m.png"}, "mask"), ({"words": True}, "words"),
        ({"start": "likely"}, "start"), ({"objectives": 2}, "objectives"), ({"restarts": 1}, "restarts"),
        ({"seed_policy": "fixed"}, "seed_policy"), ({"patience": 3}, "patience"), ({"target_loss": 0.0}, "target_loss"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(OptionError, match=f"^{field}: "):
        RunConfig(prompt="a cat", **{"loss_objectives": ("taste",), **changes})


@pytest.mark.parametrize("preset", ["Classic", "Balanced", "Quick"])
def test_each_preset_can_be_ranked(preset: str) -> None:
    found = RunConfig(prompt="a cat", loss_objectives=("taste",), preset=preset)
    assert (found.seed_policy, found.patience) == ("rotated", 0) and found.start != "likely"
    assert RunConfig.from_record(found.to_dict()) == found


def test_places_as_losses() -> None:
    assert questions.losses([1, 2, 3]) == [0.0, 0.5, 1.0]
    assert questions.losses([0, 2, 2, 7, 0]) == [0.875, 0.125, 0.125, 0.5, 0.875]


@pytest.mark.parametrize(("pinned", "original"), [(5, 0), (0, 5), (12, 3), (1, 1), (40, 25)])
def test_the_interval_is_that_of_the_sign_test(pinned: int, original: int) -> None:
    gain, low, high = eye.preference(pinned, original)
    wanted = binomtest(pinned, pinned + original).proportion_ci(0.95, "exact")
    assert ((low + 1) / 2, (high + 1) / 2) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert gain == pytest.approx((pinned - original) / (pinned + original))
    assert eye.preference(0, 0) == (0.0, -1.0, 1.0)
