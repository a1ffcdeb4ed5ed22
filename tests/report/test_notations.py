"""Notations of a pinned prompt, the command that repeats a run, and the page of an analysis."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from prompt_pins.cli import main as cli
from prompt_pins.cli.arguments import MODEL, absolute, merged
from prompt_pins.config import RunConfig
from prompt_pins.errors import StoreError
from prompt_pins.options import declarations
from prompt_pins.report import build_analysis, build_index, notations
from prompt_pins.report.view import command
from prompt_pins.store import Candidate, Runs

from tests.report.synthetic import HOSTILE, Shape, SyntheticRun
from tests.report.test_pages import Reader

TINY = Shape(generations=2, population=2, batch=2, size=24, held=0)


def test_every_notation_carries_the_prompt(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000003", TINY)
    record = run.write().record()
    best = record.best
    assert best is not None
    rows = list(csv.DictReader(io.StringIO(notations.export("00000003", record, "csv"))))
    assert rows == [{"name": "pinned 00000003", "prompt": best.prompt, "negative_prompt": best.negative_prompt}]
    (row,) = csv.reader([notations.style_line("00000003", best)])
    assert row[1:] == [best.prompt, best.negative_prompt]
    value = json.loads(notations.export("00000003", record, "json"))
    assert value["prompt"] == best.prompt and [row["after"] for row in value["weights"]] == list(best.weights)
    text = notations.export("00000003", record, "text")
    assert text == f"{best.prompt}\nNegative prompt: {best.negative_prompt}\n"
    assert notations.export("00000003", record, "compel").count("\n") == 2


def test_nothing_to_export_is_said(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", TINY)
    next(run.events())
    with pytest.raises(StoreError, match="nothing to export"):
        notations.export("00000000", run.folder.record(), "text")


def other(name: str, default: Any) -> Any:
    """Another value that the option allows."""
    declaration = declarations(RunConfig)[name]
    if declaration.choices:
        return next(choice for choice in declaration.choices if choice != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, list):
        return ["flip:2", "colour:0.5"] if name == "loss_objectives" else ["-a b'", 'c "d"']
    if isinstance(default, str):
        return {"fork_policy": "5,10"}.get(name, '--it\'s $HOME\n"x"')
    low, high = declaration.low or 0.0, declaration.high
    if name in ("lambda_", "mo_mu"):
        return 7
    value = 8 * (int(low) // 8 + 16) if name in ("width", "height") else (default or low) + 1
    value = value if high is None or value <= high else (low + high) / 2
    return int(value) if isinstance(default, int) else value


@pytest.mark.parametrize("name", [name for name in declarations(RunConfig) if name != "prompt"])
def test_the_command_that_repeats_a_run_is_read_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = RunConfig(prompt="a cat, --not an option").to_dict()
    try:
        config = RunConfig.from_dict({**plain, name: other(name, plain[name])}).to_dict()
    except ValueError:
        pytest.skip("does not go with the other options' defaults")
    words = shlex.split(command(config))
    assert words[:2] == ["prompt-pins", "pin"]
    assert_read_back(config, words, monkeypatch)


@pytest.mark.parametrize("prompt", ["-cat", "--steps 3", "a 'quoted' \"cat\", $HOME `x`\nnext line", HOSTILE])
def test_any_prompt_is_read_back(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(prompt=prompt, negative_prompt=prompt, steps=7, target=("-x.png",)).to_dict()
    assert_read_back(config, shlex.split(command(config)), monkeypatch)


def test_a_value_of_an_earlier_version_that_no_command_line_can_say_is_left_out() -> None:
    config = RunConfig.from_dict({"prompt": "a cat", "consistency": None, "steps": 7}).to_dict()
    assert config["consistency"] is None
    assert shlex.split(command(config)) == ["prompt-pins", "pin", "a cat", "--steps", "7"]


def assert_read_back(config: dict[str, Any], words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunConfig] = []

    def take(prompt: str | None, file: Path | None, given: dict[str, Any]) -> RunConfig:
        seen.append(merged(prompt, file, given))
        raise StoreError("seen")

    monkeypatch.setattr(cli, "merged", take)
    with pytest.raises(StoreError, match="seen"):
        typer.main.get_command(cli.app).main(words[1:], standalone_mode=False)
    assert seen[0].to_dict() == {**config, **{name: absolute(config[name]) for name in MODEL}}


def test_the_page_of_an_analysis(tmp_path: Path) -> None:
    root = tmp_path / "analysis" / "00000000"
    effect = {"mean": 0.1, "low": 0.05, "high": 0.2}
    side = {"weight": 1.5, "prompt": HOSTILE, "negative_prompt": "", "images": ["none.png"]}
    side |= {"fit": effect, "spread": {**effect, "low": -0.1}, "image": effect}
    word = {"label": HOSTILE, "negative": False, "weight": 1.0, "image": effect, "fit": effect}
    value = {
        "version": 1, "state": "stopped", "reason": HOSTILE, "host": {"name": HOSTILE}, "time": "2026-01-02T03:04:05",
        "fit": 0.3, "spread": 0.2, "seeds": [1, 2], "target_images": [], "images": ["gone.png"],
        "target_source": "batch",
        "config": {"prompt": HOSTILE, "negative_prompt": HOSTILE}, "options": {"analysis_step": 0.5},
        "words": [{**word, "lowered": None, "raised": side}],
    }  # fmt: skip
    root.mkdir(parents=True)
    (root / "analysis.json").write_text(json.dumps(value), "utf-8")
    text = build_analysis(root).read_text("utf-8")
    assert HOSTILE in "".join(Reader(text).text) and "<script>alert" not in text
    assert "More of it makes the fit worse" in text
    assert all(attributes.get("alt") for tag, attributes in Reader(text).tags if tag == "img")
    assert "not kept" in text
    listed = build_index(Runs(tmp_path)).read_text("utf-8")
    assert "analysis/00000000/index.html" in listed and "<script>alert" not in listed
    (root / "analysis.json").write_text("{", "utf-8")
    with pytest.raises(StoreError):
        build_analysis(root)


def test_the_page_of_an_analysis_by_likelihood(tmp_path: Path) -> None:
    effect = {"mean": 0.1, "low": 0.05, "high": 0.2}
    none = {"mean": 0.0, "low": -0.1, "high": 0.1}
    side = {"weight": 1.5, "prompt": "a cat", "negative_prompt": "", "images": [], "spread": None, "image": effect}
    word = {"side": "prompt", "weight": 1.0, "image": effect, "fit": effect}
    value = {
        "version": 3, "state": "finished", "reason": "", "host": {}, "time": "2026-01-02T03:04:05", "hint": HOSTILE,
        "fit": 0.0, "spread": 0.0, "seeds": [1, 2], "target_images": [], "images": [], "target_source": "images",
        "config": {"prompt": "a cat"}, "options": {"by": "likelihood", "analysis_seeds": 16, "analysis_step": 0.5},
        "words": [
            {**word, "label": "cat", "lowered": {**side, "fit": effect}, "raised": None},
            {**word, "label": "a", "lowered": {**side, "fit": none}, "raised": {**side, "fit": none}},
        ],
    }  # fmt: skip
    (tmp_path / "analysis.json").write_text(json.dumps(value), "utf-8")
    page = build_analysis(tmp_path).read_text("utf-8")
    text = "".join(Reader(page).text)
    assert HOSTILE in text and "<script>alert" not in page
    assert "holds the target: less of it makes the target less likely" in text
    assert "does nothing that is proven" in text and "likelihood" in text
    assert "Spread" not in text and "Unchanged" not in text


@pytest.mark.parametrize("start", ["=1+1", "+cat", "-cat", "@SUM(1)", "\tcat", "\rcat"])
def test_no_cell_is_a_formula(start: str) -> None:
    best = Candidate(1, 0, "0", (1.0,), f"{start}, a cat", start, 0.1, 0.1, 0.0, "x", (), 0)
    ((name, prompt, negative),) = csv.reader(io.StringIO(notations.style_line("0", best), newline=""))
    start = start.replace("\r", "\n")
    assert (name, prompt, negative) == ("pinned 0", f" {start}, a cat", f" {start}")
