"""The analysis by likelihood on a host whose words have known effects, and on the embedded model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.config import AnalysisOptions, RenderOptions, RunConfig
from prompt_pins.errors import OptionError, PromptError
from prompt_pins.host import Batch, Misfits, Recipe, View
from prompt_pins.run.likely import FIRST_SEED
from prompt_pins.store import Runs, events
from prompt_pins.store.folder import ANALYSIS
from prompt_pins.words.analyze import resume
from prompt_pins.words.analyze import start as analyze
from prompt_pins.words.result import AnalysisDone, AnalysisStarted

from benchmarks.analysis import compared, measure, tasks
from tests.words.test_analyze import NEGATIVE, PROMPT, PULL, SIZE, Simulated, weights

OPTIONS = AnalysisOptions(by="likelihood")
LEVELS = (0.05, 1.0, 0.5, 0.1)
"""How much a misfit moves at each part of the sampling: what a part says has nothing to do with it."""


class Explained(Simulated):
    """Misfits that a word moves by a known amount, by chance for each noise; its opposite moves it the other way."""

    def __init__(
        self, chance: int = 0, able: bool = True, asked: int = 1000, levels: tuple[float, ...] = LEVELS
    ) -> None:
        super().__init__()
        self.chance, self.able, self.asked, self.used, self.rendered = chance, able, asked, levels, 0

    def settings(self, job: RenderOptions) -> dict[str, float]:
        return {"cfg_scale": job.cfg_scale}

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        self.rendered += 1
        return super().render(recipe, seeds, job, forked)

    def misfits(self, recipes: Sequence[Recipe], images: Any, masks: Any, views: Sequence[View], job: Any) -> Any:
        if not self.able:
            return None
        self.asked -= 1
        found = []
        for view in views:
            rng = np.random.default_rng([view.seed, self.chance])
            luck = {word: rng.normal(0.0, 0.7) * view.sign + rng.normal(0.0, 0.3) for word in PULL}
            level = self.used[(view.seed - FIRST_SEED) % len(LEVELS)]
            moved = [
                sum(PULL[word] / 60 * (1 + luck[word]) * (1 - weight) for word, weight in weights(recipe).items())
                for recipe in recipes
            ]
            found.append(0.5 + 0.2 * level * np.array(moved))
        return Misfits(np.array(found).T, len(recipes) * len(views))

    def interrupted(self) -> bool:
        return self.asked <= 0


@pytest.fixture
def target(tmp_path: Path) -> str:
    Image.fromarray(np.full((SIZE, SIZE, 3), 90, np.uint8)).save(tmp_path / "target.png")
    return str(tmp_path / "target.png")


def run(out: Path, target: str, host: Explained | None = None, **options: Any) -> Any:
    given = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "target": (target,) if target else (), **options}
    found = list(analyze(RunConfig(**given), OPTIONS, host or Explained(), Runs(out)))
    assert isinstance(found[0], AnalysisStarted) and isinstance(found[-1], AnalysisDone)
    assert all(isinstance(event, events.WordMeasured) for event in found[1:-1])
    return found[-1].result


def test_words_are_ranked_by_what_they_do_and_nothing_is_rendered(tmp_path: Path, target: str) -> None:
    host = Explained()
    result = run(tmp_path, target, host)
    assert [word.label for word in result.words] == ["strong", "negative: bad", "weak", "none"]
    assert host.rendered == 0 and result.images == () and result.target_source == "images"
    strong, bad, _, none = result.words
    assert strong.lowered.fit.low > 0 > strong.raised.fit.high
    assert bad.lowered.fit.high < 0 < bad.raised.fit.low and bad.raised.spread is None
    assert none.image.mean == none.fit.mean == 0.0 and not none.raised.fit.proven
    assert (strong.lowered.weight, strong.raised.weight) == (0.5, 1.5)
    assert weights(Recipe(strong.raised.prompt))["strong"] == 1.5
    assert result.evaluations == (1 + 2 * 4) * 32 and "hint" in result.hint
    value = json.loads((tmp_path / "00000000" / ANALYSIS).read_bytes())
    assert value["options"]["by"] == "likelihood" and value["hint"] == result.hint
    assert value["words"][0]["raised"]["fit"]["mean"] == strong.raised.fit.mean


def test_every_part_of_the_sampling_counts_alike(tmp_path: Path, target: str) -> None:
    """However much or little the misfit moves there."""
    uneven, even = (run(tmp_path, target, Explained(levels=levels)).words for levels in (LEVELS, (1.0,) * 4))
    for one, other in zip(uneven, even, strict=True):
        assert one.label == other.label
        assert one.raised.fit.mean == pytest.approx(other.raised.fit.mean)
        assert one.lowered.image.high == pytest.approx(other.lowered.image.high)


def test_intervals_cover_the_truth(tmp_path: Path, target: str) -> None:
    size = np.sqrt(np.mean([pull**2 for pull in PULL.values()]))
    hits = []
    for chance in range(12):
        for word in run(tmp_path / str(chance), target, Explained(chance)).words:
            truth = PULL[word.label.removeprefix("negative: ")] / size
            if truth:
                hits += [word.lowered.fit.low <= truth <= word.lowered.fit.high]
                hits += [word.raised.fit.low <= -truth <= word.raised.fit.high]
    assert len(hits) == 12 * 3 * 2
    assert np.mean(hits) >= 0.85


def test_the_first_batch_is_the_target_where_none_is_given(tmp_path: Path) -> None:
    host = Explained()
    result = run(tmp_path, "", host)
    assert host.rendered == 1 and result.target_source == "batch"
    assert all((tmp_path / "00000000" / name).is_file() for name in result.target_images)


def test_settings_have_no_part(tmp_path: Path, target: str) -> None:
    result = run(tmp_path, target, vary_settings=("cfg_scale:3~9",))
    assert len(result.words) == 4
    with pytest.raises(PromptError, match=r"no word .* by likelihood settings have no part"):
        run(tmp_path / "none", target, vary_settings=("cfg_scale:3~9",), vary_prompt=False, vary_negative=False)


def test_interruption_keeps_what_was_measured(tmp_path: Path, target: str) -> None:
    words = " ".join(f"word{index}" for index in range(20))
    result = run(tmp_path, target, Explained(asked=2), prompt=f"strong {words}")
    assert result.state == "stopped" and 0 < len(result.words) < 22
    nothing = run(tmp_path, target, Explained(asked=1))
    assert nothing.state == "stopped" and nothing.words == ()


def test_a_host_that_cannot_tell(tmp_path: Path, target: str) -> None:
    host = Explained(able=False)
    for given in (target, ""):
        with pytest.raises(OptionError, match=r"by.*likelihood.*images"):
            run(tmp_path / "none", given, host)
    assert host.rendered == 0 and not (tmp_path / "none").exists()
    assert run(tmp_path, target, Explained(asked=1)).state == "stopped"
    before = (tmp_path / "00000000" / "journal.jsonl").read_bytes()
    with pytest.raises(OptionError, match=r"by.*likelihood.*images"):
        resume(Runs(tmp_path).find("0"), host)
    assert (tmp_path / "00000000" / "journal.jsonl").read_bytes() == before
    with pytest.raises(OptionError, match="'images', 'likelihood'"):
        AnalysisOptions(by="guess")


def test_no_target_is_left_out(tmp_path: Path) -> None:
    seen: set[int] = set()

    class Seeing(Explained):
        def misfits(self, recipes: Any, images: Any, masks: Any, views: Any, job: Any) -> Any:
            seen.update(view.image for view in views if len(images) == 21)
            return super().misfits(recipes, images, masks, views, job)

    run(tmp_path, "", Seeing(), batch_size=21)
    assert seen == set(range(21))


def test_both_analyses_find_the_words_that_matter_on_the_embedded_model() -> None:
    from prompt_pins.headless.engine import HeadlessHost

    host = HeadlessHost(device="cpu")
    task = next(tasks(1))
    images, likelihood = (measure(task, host, 8, 5, by) for by in ("images", "likelihood"))
    assert images["above"] and likelihood["above"]
    assert compared(images, likelihood)["agree"] > 0.3
