"""Which tagger a WebUI's folder of models offers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from prompt_pins.loss.tagger import DEEPDANBOORU, FILES
from prompt_pins.webui import tagger


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's folder; a tagger that is opened is the name of its folder."""
    monkeypatch.setitem(sys.modules, "modules", ModuleType("modules"))
    monkeypatch.setitem(sys.modules, "modules.paths", SimpleNamespace(models_path=str(tmp_path)))  # type: ignore[arg-type]
    monkeypatch.setattr(tagger, "opened", lambda folder, device: folder.name)
    monkeypatch.setattr(tagger, "find_spec", lambda name: object())
    return tmp_path


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


def note(models: Path, content: Any) -> None:
    (models / "interrogators").mkdir(exist_ok=True)
    (models / "interrogators" / "model.json").write_text(json.dumps(content))


def test_the_one_that_was_fetched_last_comes_before_others_and_before_deepdanbooru(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tagger.find() is None
    put(models / "torch_deepdanbooru", DEEPDANBOORU)
    assert tagger.find() == "torch_deepdanbooru"
    put(models / "TaggerOnnx" / "by hand", *FILES)
    put(models / "TaggerOnnx" / "without tags", FILES[0])
    assert tagger.find() == "by hand"
    fetched = [put(models.parent / name, *FILES) for name in ("older", "newer")]
    gone, other = models / "gone", put(models.parent / "other kind", "ml.onnx", "classes.json")
    note(models, [{"name": "a", "model_path": str(folder / FILES[0])} for folder in (*fetched, gone, other)])
    assert tagger.find() == "newer"
    monkeypatch.setattr(tagger, "find_spec", lambda name: None)  # without onnxruntime
    assert tagger.find() == "torch_deepdanbooru"


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[{}]", '[{"model_path": 5}]', "\udcff"])
def test_notes_of_another_kind_are_passed_over(models: Path, content: str) -> None:
    (models / "interrogators").mkdir()
    (models / "interrogators" / "model.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    put(models / "TaggerOnnx" / "by hand", *FILES)
    assert tagger.find() == "by hand"
