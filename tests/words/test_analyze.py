"""The analysis on a host whose words have known effects, and on the embedded model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import AnalysisOptions, RenderOptions, RunConfig
from prompt_pins.errors import HostInterrupted, OptionError, PromptError, TargetError
from prompt_pins.host import Batch, Recipe
from prompt_pins.store import Runs, events
from prompt_pins.store.folder import ANALYSIS
from prompt_pins.words.analyze import start as analyze
from prompt_pins.words.result import AnalysisDone, AnalysisStarted

from benchmarks.analysis import measure, tasks

SIZE = 16
PULL = {"strong": 60.0, "weak": 25.0, "none": 0.0, "bad": -30.0}
PROMPT, NEGATIVE = "strong none, weak", "bad"


def weights(recipe: Recipe) -> dict[str, float]:
    """Of the words that have an effect."""
    text = f"{recipe.prompt} | {recipe.negative_prompt}"
    found = {word: float(number) for word, number in re.findall(r"\((\w+)\s*:([\d.]+)\)", text)}
    return {word: found.get(word, 1.0) for word in PULL}


class Simulated:
    """Grey images whose level moves by a known amount for each word's weight, by chance for each seed."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.left = stop_after

    def describe(self) -> dict[str, Any]:
        return {"name": "simulated"}

    def embeddings(self) -> tuple[str, ...]:
        return ()

    def size(self, job: RenderOptions) -> tuple[int, int]:
        return SIZE, SIZE

    def settings(self, job: RenderOptions) -> dict[str, float]:
        return {}

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        return ((0,) * batch_size, tuple(range(batch_size)))

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        return batch_size

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise HostInterrupted("stopped")
        given = weights(recipe)
        images = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            shift = sum(pull * (given[word] - 1.0) * rng.uniform(0.5, 1.5) for word, pull in PULL.items())
            level = np.clip(128 + rng.normal(0, 20) + shift, 0, 255)
            images.append(np.full((SIZE, SIZE, 3), np.uint8(round(level))))
        return Batch(np.stack(images), ("",) * len(seeds), len(seeds))

    def tagger(self) -> None:
        return None

    def interrupted(self) -> bool:
        return False


def run(out: Path, seed: int = 1, seeds: int = 8, host: Any = None, **options: Any) -> Any:
    config = RunConfig(prompt=PROMPT, negative_prompt=NEGATIVE, seed=seed, **{"batch_size": 8, **options})
    given = AnalysisOptions(analysis_seeds=seeds)
    found = list(analyze(config, given, host or Simulated(), Runs(out)))
    assert isinstance(found[0], AnalysisStarted) and isinstance(found[-1], AnalysisDone)
    assert all(isinstance(event, events.WordMeasured) for event in found[1:-1])
    return found[-1].result


def numbers(result: Any) -> dict[str, tuple[Any, ...]]:
    return {
        word.label: (word.image, word.fit, word.lowered.fit, word.raised.fit, word.lowered.spread, word.raised.image)
        for word in result.words
    }


def test_words_are_ranked_by_what_they_do(tmp_path: Path) -> None:
    result = run(tmp_path, seeds=16)
    assert [word.label for word in result.words] == ["strong", "negative: bad", "weak", "none"]
    assert [word.side for word in result.words] == ["prompt", "negative", "prompt", "prompt"]
    none = result.words[-1]
    assert none.image.mean == none.fit.mean == none.raised.spread.mean == 0.0
    assert all(word.image.low > 0 for word in result.words[:-1])


def test_intervals_cover_the_truth(tmp_path: Path) -> None:
    truth = numbers(run(tmp_path / "many", seeds=200))
    hits = []
    for repeat in range(12):
        few = run(tmp_path / str(repeat), seed=1, host=Shifted(50_000 * (repeat + 1)))
        for label, row in numbers(few).items():
            if label != "none":
                hits += [one.low <= true.mean <= one.high for one, true in zip(row, truth[label])]
    assert len(hits) == 12 * 3 * 6
    assert 0.87 <= np.mean(hits) <= 0.995


class Shifted(Simulated):
    """The same host with other seeds for the measured images; the targets stay."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        return super().render(recipe, seeds if forked else [seed + self.by for seed in seeds], job, forked)


def test_the_same_twice_and_whole_on_disk(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert first.words == second.words
    folder = tmp_path / "00000001"
    value = json.loads((folder / ANALYSIS).read_bytes())
    assert value["state"] == "finished" and value["config"]["prompt"] == PROMPT
    assert value["words"][0]["raised"]["fit"]["mean"] == first.words[0].raised.fit.mean
    for name in [*value["images"], *value["target_images"], *value["words"][0]["lowered"]["images"]]:
        assert (folder / name).is_file()


def test_interruption_keeps_what_was_measured(tmp_path: Path) -> None:
    result = run(tmp_path, host=Simulated(stop_after=5))
    assert result.state == "stopped" and len(result.words) == 1
    assert json.loads((tmp_path / "00000000" / ANALYSIS).read_bytes())["words"]


def test_a_word_at_the_end_of_its_range_has_one_side(tmp_path: Path) -> None:
    config = RunConfig(prompt="(strong:1~1.4) weak", weight_high=1.2)
    *_, done = analyze(config, AnalysisOptions(), Simulated(), Runs(tmp_path))
    assert isinstance(done, AnalysisDone)
    words = sorted(done.result.words, key=lambda word: word.label)
    assert words[0].lowered is None and words[0].raised.weight == 1.4
    assert words[1].raised.weight == 1.2 and words[1].lowered.weight == 0.5
    assert words[0].image == words[0].raised.image or words[0].image.mean == words[0].raised.image.mean


def test_bad_input_leaves_no_folder(tmp_path: Path) -> None:
    for config, error in (
        (RunConfig(prompt=", ,"), PromptError),
        (RunConfig(prompt="a", target=("nowhere.png",)), TargetError),
    ):
        with pytest.raises(error):
            analyze(config, AnalysisOptions(), Simulated(), Runs(tmp_path / "out"))
    with pytest.raises(OptionError):
        AnalysisOptions(analysis_seeds=1)
    assert not (tmp_path / "out").exists()


def test_attribute_words_rank_above_fillers_on_the_embedded_model() -> None:
    from prompt_pins.headless.engine import HeadlessHost

    host = HeadlessHost(device="cpu")
    found = [measure(task, host, 8, 5) for task in list(tasks(3))[1:]]
    assert all(one["above"] for one in found)
    assert np.mean([one["pairs"] for one in found]) > 0.6
