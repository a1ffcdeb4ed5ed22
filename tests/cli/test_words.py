"""What the command line says of results: gains, and tables on narrow terminals."""

from __future__ import annotations

import dataclasses
import io

import pytest
from prompt_pins.cli.analyzing import table
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.effects import Effect
from prompt_pins.report.view import unseen
from prompt_pins.store import Held
from prompt_pins.words.result import Analysis, Side, Word
from rich.console import Console

EFFECT = Effect(0.123, 0.045, 0.234)
SIDE = Side(1.5, "", "", EFFECT, EFFECT, EFFECT, ())
LABELS = ("photograph", "a very long phrase that is one unit", "红い", "\x1b[31mred")
WORDS = tuple(Word(label, False, 1.0, EFFECT, EFFECT, SIDE, None) for label in LABELS)
RESULT = Analysis(
    "finished", "", RunConfig(prompt="a cat"), AnalysisOptions(), {}, "", (1,), "batch", (), (), 0.1, 0.1, WORDS
)  # fmt: skip


def drawn(width: int) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False)
    console.print(table(RESULT, width))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("width", "figures"), [(120, 5), (80, 5), (70, 4), (60, 3), (50, 2), (40, 1), (30, 1), (20, 1)]
)
def test_a_narrow_terminal_shows_the_words_and_fewer_figures(width: int, figures: int) -> None:
    text = drawn(width)
    whole = text.replace("\n", "")
    assert all(len(line) <= width for line in text.splitlines())
    for part in ("photograph", "a very", "红い", "\\x1b[31m"):
        assert part in whole
    assert "\x1b" not in text
    header = text.splitlines()[0]
    assert sum(name in header for name in ("moves", "fit ↓", "fit ↑", "spread ↓", "spread ↑")) == figures
    assert "0.123" in text and ("…" not in text)


def test_the_table_of_an_analysis_by_likelihood_knows_no_spread() -> None:
    side = dataclasses.replace(SIDE, spread=None)
    words = tuple(dataclasses.replace(word, lowered=side, raised=side) for word in WORDS)
    result = dataclasses.replace(RESULT, options=AnalysisOptions(by="likelihood"), words=words)
    stream = io.StringIO()
    Console(file=stream, width=120, force_terminal=False).print(table(result, 120))
    header, *rows = stream.getvalue().splitlines()
    assert header.split() == ["word", "misfit", "moves", "by", "misfit", "↓", "misfit", "↑"]
    assert all(row.count("+0.123*") == 2 for row in rows)


def held(original: float, pinned: float, improvement: float) -> Held:
    return Held((1, 2), (original,) * 2, (pinned,) * 2, improvement, improvement, improvement, (), ())


def test_a_gain_in_words() -> None:
    assert unseen(held(0.2, 0.2, 0.0)) == "fit 0.200 → 0.200, no change"
    assert unseen(held(0.2, 0.1, 0.5)) == "fit 0.200 → 0.100, -50% [-50%, -50%]"
    assert unseen(held(0.2, 0.2004, -0.002)) == "fit 0.200 → 0.200, no change"
    assert unseen(held(0.2, 0.2, -0.0)) == "fit 0.200 → 0.200, no change"
