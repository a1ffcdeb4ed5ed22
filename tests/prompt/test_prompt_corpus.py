"""Prompts of the kinds that people share, each with its units (text, or [text, weight]).

The units of prompts without schedules were derived by a second program (from `prompt_oracle.emphasis`, cut by hand
rules), the others written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.prompt import parse, render
from prompt_pins.prompt.units import units as units_of

from tests.prompt.prompt_oracle import Tokenize, read, same

CORPUS = [
    json.loads(line) for line in (Path(__file__).parent / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
]


def label(row: dict[str, Any]) -> str:
    return f"{row['kind']}-{CORPUS.index(row)}"


def test_the_corpus_is_large_and_varied() -> None:
    assert len({row["prompt"] for row in CORPUS}) == len(CORPUS) >= 200
    assert len({row["kind"] for row in CORPUS}) >= 15


@pytest.mark.parametrize("row", CORPUS, ids=label)
def test_units(row: dict[str, Any]) -> None:
    units = units_of(parse(row["prompt"], row.get("embeddings", ()), row.get("negative", False)))
    assert [[unit.text, pytest.approx(unit.weight, abs=1e-8)] for unit in units] == [
        unit if isinstance(unit, list) else [unit, 1] for unit in row["units"]
    ]


@pytest.mark.parametrize("row", [row for row in CORPUS if row["kind"] != "steering"], ids=label)
def test_the_law(row: dict[str, Any], tokenize: Tokenize) -> None:
    names, negative = tuple(row.get("embeddings", ())), row.get("negative", False)
    prompt = parse(row["prompt"], names, negative)
    expected = read(row["prompt"], tokenize, negative, embeddings=names)
    printed = render(prompt)
    assert same(expected, read(printed, tokenize, negative, embeddings=names), weights=True)
    assert render(parse(printed, names, negative)) == printed
    for vary in ("words", "phrases", "groups"):
        weights = [(0.8, 1.0, 1.25)[unit.index % 3] for unit in units_of(prompt, vary)]
        other = render(prompt, weights, vary)
        assert same(expected, read(other, tokenize, negative, embeddings=names), weights=False)
