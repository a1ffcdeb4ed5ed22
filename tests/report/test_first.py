"""What the report says of the time before the first image."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from prompt_pins import report
from prompt_pins.report.first import SHOWN, first
from prompt_pins.report.view import seconds_of
from prompt_pins.store import Axis, Candidate, Generation, Likely, Record, axes_json, replay, to_json

from tests.report.synthetic import HOSTILE, WORDS, Shape, SyntheticRun

SHAPE = Shape(generations=2, population=3, batch=2, size=32, held=0, failures=False)


def record(found: Likely, losses: tuple[float | None, ...] = (), fell_back: bool | None = None) -> Record:
    """A run of as many words, w0, w1 …, as the likely record has."""
    words = [Axis(f"w{i}", 1.0, 0.0, 2.0) for i in range(len(found.steps))]
    head = {"kind": "run", "config": {}, "host": {}, "plan": {}, "space": axes_json(words), "time": ""}
    weights = tuple(1.0 for _ in words)
    candidates = [
        Candidate(1, i, f"{i}", weights, "w", "", loss, loss, 0.0, "f", (), 10) for i, loss in enumerate(losses)
    ]
    lines: list[dict[str, Any]] = [head, to_json(found), *map(to_json, candidates)]
    if fell_back is not None:
        lines.append(to_json(Generation(1, "0", losses, {"fell_back": fell_back}, {"wall": 4.0})))
    return replay(lines)


FOUND = Likely(
    ((1.0, 1.0), (0.97, 0.97), (1.06, 1.12), (1.3, 0.8), (1.0, 1.0)),
    (0.3, 0.3, 0.3, 0.0), 10, (1.2, 0.5, 1.0, 4.0), 0.2, "(w0:1.2)", "", {"wall": 1.5},
)  # fmt: skip


def test_words_that_tell_most_come_first_with_what_they_do_for_a_tenth_of_weight() -> None:
    found = first(record(FOUND))
    assert found is not None
    assert [hint.label for hint in found.hints] == ["w1", "w0", "w2"]  # w3 was not asked for
    assert [hint.tells for hint in found.hints] == [True, True, False] and found.telling == 2
    assert [hint.effect for hint in found.hints] == pytest.approx([-0.03, 0.01, -0.05 / 3])
    assert [hint.error for hint in found.hints] == pytest.approx([0.01, 0.0, 0.25 / 3])
    assert [(hint.before, hint.after) for hint in found.hints] == [(1.0, 0.5), (1.0, 1.2), (1.0, 1.0)]
    assert found.strongest == ["less “w1”", "more “w0”"]
    assert found.evaluations == 10 and found.share == 1.0 and found.seconds == 1.5


def test_the_first_two_of_the_first_generation_tell_whether_it_was_right() -> None:
    ahead = first(record(FOUND, (0.5,)))
    assert ahead is not None and (ahead.original, ahead.start, ahead.fell_back) == (0.5, None, None)
    for losses, fell_back in (((0.5, 0.4, 0.1), False), ((0.5, 0.6, 0.1), True), ((0.5, None, 0.1), True)):
        found = first(record(FOUND, losses, fell_back))
        assert found is not None and (found.original, found.start, found.fell_back) == (*losses[:2], fell_back)
        assert found.share == 10 / 40
    nothing = first(record(dataclasses.replace(FOUND, mean=()), (0.5, 0.4), None))
    assert nothing is not None and not nothing.began and (nothing.start, nothing.fell_back) == (None, None)


def test_its_seconds_are_the_runs() -> None:
    assert seconds_of(record(FOUND, (0.5, 0.4), False)) == 5.5


def test_a_journal_without_it_shows_nothing(tmp_path: Path) -> None:
    page = report.build(SyntheticRun(tmp_path / "00000000", SHAPE).write())
    text = page.read_text("utf-8")
    assert "Before the first image" not in text and '<section id="first"></section>' in text
    assert json.loads((page.parent / "run.json").read_bytes())["likely"] is None


@pytest.mark.parametrize(
    ("likely", "said"),
    [
        ("better", r"\d of 10 words tell: (more|less) “.*and the images agree: loss <b>[\d.]+</b>"),
        ("worse", r"tell: .*no better than the original: loss [\d.]+ instead of [\d.]+\. So the search fell back"),
        ("nothing", r"None of 10 words tells\..*the search began at the original prompt"),
    ],
)
def test_the_page_says_it_in_a_sentence(tmp_path: Path, likely: str, said: str) -> None:
    page = report.build(SyntheticRun(tmp_path / "00000000", dataclasses.replace(SHAPE, likely=likely)).write())
    section = re.search(r'<section id="first">(.*?)</section>', page.read_text("utf-8"), re.S)
    assert section is not None and re.search(said, section[1].replace("\n", " "), re.S), section[1]
    assert "<script>" not in section[1] and "88 evaluations in 1.5 s" in section[1]
    assert ("The start" in section[1]) == (likely != "nothing")
    told = json.loads((page.parent / "run.json").read_bytes())["likely"]
    assert told["words"] == 10 and told["evaluations"] == 88
    assert (told["telling"], told["fell_back"]) == {
        "better": (told["telling"], False), "worse": (told["telling"], True), "nothing": (0, None),
    }[likely]  # fmt: skip
    assert HOSTILE.partition(">")[0] not in section[1]


def test_while_it_runs_the_start_is_still_to_be_compared(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", dataclasses.replace(SHAPE, likely="better"))
    steps = run.events()
    for _ in range(3):  # started, target, likely
        next(steps)
    page = report.build(run.folder)
    text = page.read_text("utf-8")
    steps.close()
    assert "The first generation compares this start with the original" in text and "No candidate is done yet" in text


def test_of_a_long_prompt_the_strongest_words_are_seen_at_once(tmp_path: Path) -> None:
    shape = dataclasses.replace(SHAPE, words=WORDS * 5, likely="better", images=False)
    page = report.build(SyntheticRun(tmp_path / "00000000", shape).write())
    section = page.read_text("utf-8").partition('<section id="first">')[2].partition("</section>")[0]
    at_once, _, rest = section.partition("<details>")
    assert at_once.count('class="label') == SHOWN and rest.count('class="label') == 42 - SHOWN
    assert "30 more, of which" in rest
