"""The run page's answer: what the pinned prompt's words do, in sentences, and the figure of progress."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins import report
from prompt_pins.report import answer
from prompt_pins.report.analysis import tightness
from prompt_pins.report.view import series, standing, unseen_of
from prompt_pins.store import (
    Axis,
    Candidate,
    Generation,
    Measured,
    Record,
    RunFolder,
    Unchanged,
    Wording,
    replay,
    to_json,
)
from prompt_pins.store.journal import read_journal

from tests.report.synthetic import HOSTILE, Shape, SyntheticRun
from tests.store.mutations import rewrite

SMALL = Shape(generations=2, population=3, batch=2, size=32, held=2)
UP, DOWN, UNSURE = (0.15, 0.25), (-0.25, -0.15), (-0.3, 0.5)  # every second seed's change of the fit
UNCHANGED = Unchanged(0.5, 0.2, (0.5,) * 8, (), 160)
FAR, NEAR = (0.28, 0.32), (0.01, 0.03)  # every second seed's way of the image

Values = tuple[float, float]


def side(weight: float, fits: Values, moved: Values = FAR) -> Wording:
    return Wording(weight, "", "", moved * 4, fits * 4, (0.0,) * 8)


def word(
    label: str, lowered: Values | None = None, raised: Values | None = None, *moved: Values, kind: str = "prompt"
) -> Measured:
    """moved: of both sides, far where nothing is said."""
    sides = [None if fits is None else (value, fits) for value, fits in ((0.5, lowered), (1.5, raised))]
    found = [None if one is None else side(*one, *(moved[i : i + 1] or (FAR,))) for i, one in enumerate(sides)]
    return Measured(label, kind, 1.0, 160, *found)


def record(*words: Measured, names: str = "abcdefgh") -> Record:
    head: dict[str, Any] = {"kind": "run", "config": {}, "host": {}, "plan": {}, "time": ""}
    empty = replay([head])
    return replace(empty, axes=tuple(Axis(name, 1.0, 0.0, 2.0) for name in names), words=words)


@pytest.mark.parametrize(
    ("lowered", "raised", "does"),
    [
        (UP, UP, answer.HOLDS),
        (UP, UNSURE, answer.HOLDS),
        (UNSURE, DOWN, answer.HOLDS),
        (DOWN, UP, answer.PULLS),
        (DOWN, DOWN, answer.PULLS),
        (UNSURE, UP, answer.PULLS),
        (None, UP, answer.PULLS),
        (UP, None, answer.HOLDS),
        (UNSURE, UNSURE, answer.DRIFTS),
        (UNSURE, None, answer.DRIFTS),
    ],
)
def test_what_the_intervals_prove(lowered: Any, raised: Any, does: str) -> None:
    (row,) = answer.told(record(word("a", lowered, raised)))
    assert row.does == does
    for values, told in ((lowered, row.lowered), (raised, row.raised)):
        assert (values is None) == (told is None)
        if told is not None:
            mean, low, high = told
            assert mean == pytest.approx(sum(values) / 2) and low < mean < high
            assert (low > 0, high < 0) == (values == UP, values == DOWN)


def test_what_nobody_sees_does_nothing_even_where_it_is_proven() -> None:
    (row,) = answer.told(record(word("a", UP, DOWN, NEAR, NEAR)))
    assert row.does == answer.NOTHING
    (row,) = answer.told(record(word("a", UP, UP, NEAR, FAR)))
    assert row.does == answer.PULLS


def test_what_is_told_of_a_word_does_not_depend_on_what_follows_it() -> None:
    first, second = word("a", UP, UNSURE), word("b", DOWN, UNSURE, NEAR, NEAR)
    assert answer.told(record(first, second))[0] == answer.told(record(first))[0]


def test_an_analysis_has_sentences_of_its_own() -> None:
    assert answer.told(replace(record(word("a", UP)), task="words")) == ()


def test_one_sentence_for_each_kind_those_that_move_the_image_most_first() -> None:
    found = record(
        word("a", UP), word("b", UP, None, (0.5, 0.5)), word("c", None, UP), word("d", UNSURE),
        *(word(name, UNSURE, None, NEAR) for name in "efg"),
    )  # fmt: skip
    assert answer.sentences(found) == [
        "“b” and “a” hold the image: less of each leads away from the target.",
        "“c” pulls away: more of it leads away from the target.",
        "“d” may drift: it moves the image, but neither nearer nor further is proven.",
        "“e”, “f” and “g” do nothing: the image hardly moves.",
    ]
    assert answer.sentences(record()) == [] and answer.summary(record()) is None


def test_many_words_are_counted() -> None:
    names = "abcdefghijklmnopqrst"
    (line,) = answer.sentences(record(*(word(name, UP) for name in names), names=names))
    assert "“l” and 8 more hold the image" in line and "“m”" not in line


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return SyntheticRun(tmp_path_factory.mktemp("runs") / "00000007", SMALL).write()


def rebuilt(run: RunFolder, tmp_path: Path, *words: Unchanged | Measured, **changes: Any) -> str:
    """The page of the run with these words measured, and other values in its generations."""
    folder = RunFolder(tmp_path / run.path.name)
    folder.path.mkdir()
    lines = read_journal(run.journal_path)
    for line in lines:
        line |= changes if line["kind"] == "generation" else {}
    folder.journal_path.touch()
    rewrite(folder.journal_path, [*lines[:-1], *map(to_json, words), lines[-1]])
    report.build(folder)
    return (folder.path / "index.html").read_text()


def section(page: str, name: str) -> str:
    return page.partition(f'id="{name}">')[2].partition("</section>")[0]


def test_the_page_leads_with_it(run: RunFolder, tmp_path: Path) -> None:
    hostile = word(HOSTILE, None, UP, kind="negative")
    page = rebuilt(run, tmp_path, UNCHANGED, word("red", UP), hostile)
    told = section(page, "answer")
    assert "<b>“red”</b> holds the image: less of it leads away from the target." in told
    assert HOSTILE not in told and "&lt;script&gt;" in told and "(negative)</b> pulls away" in told
    assert "on 8 seeds" in told and "+0.200" in told
    assert page.index('id="answer"') < page.index('id="pictures"')
    assert "which words" not in section(page, "analysis").lower()
    words = json.loads((tmp_path / run.path.name / "run.json").read_text())["words"]
    assert [(word["label"], word["does"]) for word in words] == [("red", "holds"), (HOSTILE, "pulls away")]


def test_where_the_candidates_cannot_tell_it_says_so_and_offers_the_command(run: RunFolder, tmp_path: Path) -> None:
    page = rebuilt(run, tmp_path)
    told = section(page, "answer")
    assert "The search's own candidates cannot tell." in told
    assert "<code>prompt-pins analyze --run 00000007</code>" in told
    assert 'class="bars' not in section(page, "analysis")


def test_a_run_of_a_webui_offers_its_button(run: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / run.path.name)
    folder.path.mkdir()
    lines = read_journal(run.journal_path)
    lines[0]["host"] = {"name": "webui"}
    folder.journal_path.touch()
    rewrite(folder.journal_path, lines)
    report.build(folder)
    told = section((folder.path / "index.html").read_text(), "answer")
    assert "<b>Measure words</b> in the WebUI's tab" in told and "analyze --run" not in told


def test_few_of_many_words_that_do_nothing_are_taken_for_held() -> None:
    """Each word's 95 % interval alone would take one of twenty for held, or for the opposite."""
    empty, held = record(names="abcdefghijkl"), 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = rng.uniform(0.5, 1.5, (60, 12))
        done = tuple(
            Candidate(1, i, str(i), tuple(row), "", "", float(rng.normal(1, 0.1)), None, None, "x", (), 0)
            for i, row in enumerate(rows.tolist())
        )
        found = tightness(replace(empty, candidates=done), "abcdefghijkl", [None] * 12)
        held += sum(row.held for row in found)
        assert all(row.low > 0 for row in found if row.held)
    assert held <= 3


def test_the_figure_of_progress(run: RunFolder, tmp_path: Path) -> None:
    page = rebuilt(run, tmp_path, progress=0.534)
    assert "<b>53 % of the original's loss.</b>" in page
    assert (standing(0.534), standing(None)) == ("53 % of the original's loss", "")
    done = [Generation(n, None, (0.5,), {}, {}, share) for n, share in ((1, 0.9), (2, None), (3, 0.7))]
    found = series(done)
    assert (found["told"], found["progress"]) == ([0, 1, 3], [100.0, 90.0, 70.0])
    assert series([replace(g, progress=None) for g in done])["progress"] == []


def test_where_the_candidates_tell_which_weights_matter_the_page_says_no_more(tmp_path: Path) -> None:
    telling = replace(SMALL, generations=8, population=12, negative=(), words=("a", "red", "circle"), images=False)
    page = rebuilt(SyntheticRun(tmp_path / "run" / "00000007", telling).write(), tmp_path)
    told = section(page, "answer")
    assert "of <b>“" in told and "cannot tell; to measure it: <code>prompt-pins analyze --run 00000007</code>" in told
    assert 'class="bars' in section(page, "analysis")


def test_a_change_in_tenths_of_a_percent_has_no_sign_at_zero() -> None:
    assert unseen_of([0.503, 0.382, 0.61], 1) == "-50.3% [-61.0%, -38.2%]"
    assert unseen_of([0.0004, -0.1, 0.0], 1) == "0.0% [0.0%, +10.0%]"
