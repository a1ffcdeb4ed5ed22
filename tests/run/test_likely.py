"""The start where the targets are likely: the step downhill, and what a run makes of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.errors import HostError, HostInterrupted, OptionError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Misfits, Recipe, View
from prompt_pins.loss import Target
from prompt_pins.run import likely, pin
from prompt_pins.run.panel import Panel
from prompt_pins.run.plan import make_plan
from prompt_pins.search.downhill import downhill, effects, told
from prompt_pins.space import Space, build
from prompt_pins.store import Journal, Likely, RunFolder, Runs, events, read_journal, replay, to_json
from prompt_pins.store.checks import Checker

TIMES = ("time", "seconds")
LOOKS = 8


class Told:
    """A host that tells what a function of the prompts says.  Without one it is the real host, asked and counted."""

    def __init__(self, model: Any = None, tell: Callable[[Recipe, View], float] | None = None) -> None:
        self.model, self.tell = model, tell
        self.asked: list[tuple[Recipe, ...]] = []
        self.images: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        self.asked.append(tuple(recipes))
        self.images = [images, masks, views]
        if self.tell is None:
            return self.model.misfits(recipes, images, masks, views, job)  # type: ignore[no-any-return]
        values = np.array([[self.tell(recipe, view) for view in views] for recipe in recipes])
        return Misfits(values, values.size)


class Lying(Told):
    """It says the opposite of what the model finds, and much more of it."""

    def misfits(self, *question: Any) -> Misfits | None:
        found = super().misfits(*question)
        assert found is not None
        return dataclasses.replace(found, values=2.0 * found.values[:1] - found.values)


class Blind(Told):
    """It cannot tell."""

    def misfits(self, *question: Any) -> None:
        self.asked.append(tuple(question[0]))


class Killed(BaseException):
    """Stands for a process that dies: nothing below catches it."""


def settings(**changes: Any) -> RunConfig:
    return RunConfig(**{"prompt": "a red cat", "steps": 10, "batch_size": 3, **changes})


def target(weight: float = 1.0, mask: np.ndarray | None = None) -> Target:
    return Target(np.zeros((8, 8, 3), np.uint8), mask, weight)


def weight_of(recipe: Recipe, word: str) -> float:
    """The printed weight of a word."""
    text = f"{recipe.prompt} {recipe.negative_prompt}"
    _, found, rest = text.partition(f"({word}")
    return float(rest.partition(":")[2].partition(")")[0]) if found else 1.0


def measured(config: RunConfig, tell: Callable[[Recipe, View], float], *targets: Target) -> tuple[Likely, Space, Told]:
    space, host = build(config, (), {"cfg_scale": 7.0}), Told(tell=tell)
    found = likely.measured(config, host, Panel((config,), (space,)), [targets or (target(),)])
    assert found is not None
    return found, space, host


# the numbers


def test_the_step_goes_down_and_words_of_which_nothing_is_told_stay() -> None:
    slopes, noise = np.array([0.4, -0.2, 0.0]), np.array([0.0, 0.0, 0.3])
    alternating = np.array([1.0, -1.0, 1.0, -1.0])
    values = np.vstack([np.ones(4), 1.0 + 0.3 * (slopes[:, None] + noise[:, None] * alternating)])
    mean, error = effects(values, [0.3, 0.3, 0.3])
    assert mean == pytest.approx(slopes, abs=1e-12) and error == pytest.approx(noise / 3**0.5, abs=1e-12)
    assert downhill(values, [0.3] * 3, [1.0, 1.0, 1.0], 0.6) == pytest.approx(
        [1 - 0.6 * 0.4 / 0.2**0.5, 1 + 0.6 * 0.2 / 0.2**0.5, 1.0]
    )


def test_a_weight_moved_down_tells_the_same_slope() -> None:
    values = np.array([[1.0, 1.0], [0.97, 0.97]])  # less of it explains better
    assert told(values, [-0.3]) == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        (np.ones((3, 4)), (0.3, 0.3)),
        (np.array([[1.0, 1.0], [1.3, 0.7], [1.1, 0.9]]), (0.3, 0.3)),
        (np.array([[1.0, 1.0], [1.3, 1.3]]), (0.0,)),
        (np.ones((1, 8)), ()),
    ],
    ids=["no effect", "all noise", "not moved", "no axis"],
)
def test_where_nothing_can_be_told_there_is_no_step(values: np.ndarray, steps: tuple[float, ...]) -> None:
    assert downhill(values, steps, np.ones(len(steps)), 0.6).size == 0
    found = Likely(tuple(map(tuple, values.tolist())), steps, 8)
    assert likely.start(found) is None


# what is asked


def test_each_word_alone_on_common_looks_with_opposite_noises() -> None:
    found, space, host = measured(settings(), lambda recipe, view: 1.0 - 0.1 * (weight_of(recipe, "red") - 1.0))
    assert [[weight_of(recipe, word) for word in ("a", "red", "cat")] for recipe in host.asked[0]] == [
        [1.0, 1.0, 1.0], [1.3, 1.0, 1.0], [1.0, 1.3, 1.0], [1.0, 1.0, 1.3],
    ]  # fmt: skip
    views = host.images[2]
    assert [view.step for view in views] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert [(one.seed, one.sign) for one in views[::2]] == [(two.seed, -two.sign) for two in views[1::2]]
    assert len({view.seed for view in views}) == 4
    assert found.evaluations == 32 == likely.planned(settings(), space)
    assert found.mean == pytest.approx([1.0, 1.6, 1.0]) and found.prompt == "a (red :1.6)cat"


def test_a_weight_at_the_top_is_moved_down_and_one_near_it_to_the_roomier_side() -> None:
    def tell(recipe: Recipe, view: View) -> float:
        return 1.0 + 0.1 * weight_of(recipe, "red") + 0.2 * weight_of(recipe, "cat")

    found, _, _ = measured(settings(weight_high=1.1), tell)
    assert found.steps == pytest.approx([-0.3, -0.3, -0.3])
    assert found.mean[2] < found.mean[1] < 1.0 == found.mean[0]
    found, _, _ = measured(settings(weight_high=1.1, weight_low=0.95), tell)
    assert found.steps == pytest.approx([0.1, 0.1, 0.1]) and found.mean == pytest.approx([1.0, 0.95, 0.95])


def test_the_start_lies_within_the_bounds_and_the_size_limit() -> None:
    def tell(recipe: Recipe, view: View) -> float:
        return 3.0 - weight_of(recipe, "red")

    found, _, _ = measured(settings(weight_high=1.2), tell)
    assert found.mean == pytest.approx([1.0, 1.2, 1.0])
    found, _, _ = measured(settings(size_limit=0.25), tell)
    assert found.mean == pytest.approx([1.0, 1.25, 1.0])
    found, _, _ = measured(settings(weight_high=1.0), tell)  # more of it is not allowed
    assert found.mean == () and found.prompt == "" and likely.start(found) is None


def test_settings_are_not_asked_for_and_stay() -> None:
    config = settings(vary_settings=("cfg_scale:3~9",))
    found, space, host = measured(config, lambda recipe, view: 1.0 + 0.1 * weight_of(recipe, "cat"))
    assert [axis.side for axis in space.axes] == ["prompt"] * 3 + ["settings"]
    assert len(host.asked[0]) == 4 and not any(recipe.settings for recipe in host.asked[0])
    assert found.evaluations == 32 == likely.planned(config, space)
    assert found.steps[3] == 0.0 and found.misfits[4] == found.misfits[0]
    assert found.mean[3] * space.scale[3] == 7.0 and found.mean[2] < 1.0
    config = settings(vary_settings=("cfg_scale:3~9",), vary_prompt=False)
    space, alone = build(config, (), {"cfg_scale": 7.0}), Told(tell=lambda recipe, view: 1.0)
    assert likely.measured(config, alone, Panel((config,), (space,)), [(target(),)]) is None and not alone.asked
    assert likely.planned(config, space) == 0


def test_targets_count_by_their_weights_each_with_its_mask() -> None:
    mask = np.full((8, 8), 255, np.uint8)

    def tell(recipe: Recipe, view: View) -> float:  # the first wants red, the second does not
        red = weight_of(recipe, "red") - 1.0
        return (1.0 - 0.1 * red) if view.image == 0 else 2.0 * (1.0 + 0.1 * red)

    for weights, up in (((3.0, 1.0), True), ((1.0, 3.0), False)):
        found, _, host = measured(settings(), tell, target(weights[0], mask), target(weights[1]))
        images, masks, views = host.images
        assert len(images) == 2 and masks[0] is mask and masks[1] is None
        assert [view.image for view in views] == [0, 0, 1, 1, 0, 0, 1, 1]
        assert (effects(found.misfits, found.steps)[0][1] < 0) == up
        changes = np.array(found.misfits[2]) - 1.0
        assert changes == pytest.approx(0.03 * np.array([-1, -1, 1, 1] * 2) * np.repeat(weights * 2, 2) / 2)


def test_numbers_of_a_host_that_fails_are_no_reason_to_fail(caplog: pytest.LogCaptureFixture) -> None:
    def fail(recipe: Recipe, view: View) -> float:
        raise HostError("the memory is too small for this")

    panel = Panel((settings(),), (build(settings(), (), {}),))
    assert likely.measured(settings(), Told(tell=fail), panel, [[target()]]) is None
    assert "begins at the original prompt" in caplog.text and "the memory is too small" in caplog.text

    def stop(recipe: Recipe, view: View) -> float:
        raise HostInterrupted("stopped")

    with pytest.raises(HostInterrupted):
        likely.measured(settings(), Told(tell=stop), panel, [[target()]])


def test_in_words() -> None:
    rows = ((1.0, 1.0), (1.1, 1.1), (1.1, 0.9), (1.0, 1.0))
    found = Likely(rows, (0.3, 0.3, 0.0), 8, (0.8, 1.0, 1.0), 0.2, "a (red:0.8) cat")
    assert likely.in_words(found) == "1 of 2 words tells; starting at 'a (red:0.8) cat'"
    assert (
        likely.in_words(Likely(rows[:1] * 3, (0.3, 0.3), 8)) == "none of 2 words tells; starting at the original prompt"
    )
    long = dataclasses.replace(found, prompt="a cat " * 400)
    assert len(likely.in_words(long)) < 200


# which runs ask


def test_two_objectives_begin_at_the_original_and_may_not_be_told_otherwise() -> None:
    assert settings(objectives=2).start == "original"
    with pytest.raises(OptionError, match=r"^start: 'likely' is not allowed; allowed: 'original' or .* with two obj"):
        settings(objectives=2, start="likely")


@pytest.mark.parametrize(
    "changes", [{"preset": "Classic"}, {"start": "original"}, {"objectives": 2}, {"warm_start": "3"}]
)
def test_other_starts_ask_nothing(model: HeadlessHost, small: dict[str, Any], changes: dict[str, Any]) -> None:
    lines = make_plan(RunConfig(**{**small, **changes}), model)
    assert lines.before == 0 and lines.before_in_words == "" and lines.to_json()["before"] == 0


def test_the_plan_counts_it(model: HeadlessHost, small: dict[str, Any]) -> None:
    with_it, without = (make_plan(RunConfig(**{**small, "start": start}), model) for start in ("likely", "original"))
    assert with_it.before == (with_it.space.size + 1) * LOOKS == 56
    assert with_it.evaluations - without.evaluations == 56 and with_it.images == without.images
    assert with_it.before_in_words == " · 56 evaluations before the first image"


# a run


def timeless(folder: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in TIMES} for line in read_journal(folder.journal_path)]


@pytest.fixture(scope="module")
def tiny(red: str) -> RunConfig:
    """A run of two generations."""
    return RunConfig(
        prompt="a red blue circle, white background", target=(red,), steps=2, batch_size=2, generations=2, lambda_=3,
        width=64, height=64, held_out=0, finalists=0, simplify=False, gifs=False, plots=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: HeadlessHost, tiny: RunConfig) -> RunFolder:
    """A run that nothing disturbed."""
    runs = Runs(tmp_path_factory.mktemp("likely"))
    happened = list(pin.start(tiny, model, runs))
    kinds = [type(event) for event in happened]
    assert kinds.index(events.TargetReady) < kinds.index(events.LikelyDone) < kinds.index(events.CandidateDone)
    assert kinds.count(events.LikelyDone) == 1
    return runs.find("0")


def test_the_first_generation_begins_with_the_original_and_the_start(whole: RunFolder) -> None:
    record = whole.record()
    kinds = [line["kind"] for line in read_journal(whole.journal_path)]
    assert kinds.count("likely") == 1 and kinds[:3] == ["run", "target", "likely"]
    found = record.likely
    assert found is not None and len(found.misfits) == 7 and found.mean
    original, start = record.candidates[:2]
    assert set(original.weights) == {1.0} and (original.generation, start.generation, start.index) == (1, 1, 1)
    assert start.weights == pytest.approx(found.mean, abs=6e-4)
    assert (start.prompt, start.negative_prompt) == (found.prompt, found.negative_prompt)
    assert np.linalg.norm(np.subtract(found.mean, 1.0)) <= likely.REACH + 1e-9
    assert found.evaluations == 56 == record.plan["before"]
    assert record.evaluations == 56 + sum(candidate.evaluations for candidate in record.candidates)
    assert found.seconds["wall"] > 0


@pytest.mark.parametrize("after", [False, True], ids=["right before", "right after"])
def test_killed_at_the_line_and_resumed(
    tmp_path: Path, model: HeadlessHost, tiny: RunConfig, whole: RunFolder, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    host, append = Told(model), Journal.append

    def dying(journal: Journal, line: Any, **options: Any) -> None:
        if line["kind"] != "likely":
            return append(journal, line, **options)
        if after:
            append(journal, line, **options)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Journal, "append", dying)
        list(pin.start(tiny, host, Runs(tmp_path)))
    folder = Runs(tmp_path).find("0")
    assert (folder.record().likely is not None) == after
    list(pin.resume(folder, host))
    assert len(host.asked) == (1 if after else 2)
    assert [line for line in timeless(folder) if line["kind"] != "resumed"] == timeless(whole)


def test_a_host_that_cannot_tell_starts_at_the_original(tmp_path: Path, model: HeadlessHost, tiny: RunConfig) -> None:
    host = Blind(model)
    happened = list(pin.start(tiny, host, Runs(tmp_path)))
    folder = Runs(tmp_path).find("0")
    record = folder.record()
    assert len(host.asked) == 1 and not any(isinstance(event, events.LikelyDone) for event in happened)
    assert record.likely is None and record.state == "finished"
    assert "fell_back" not in record.generations[0].state
    plain = dataclasses.replace(tiny, start="original")
    list(pin.start(plain, model, Runs(tmp_path)))
    other = Runs(tmp_path).find("1").record()
    assert [c.weights for c in record.candidates] == [c.weights for c in other.candidates]


def test_a_start_that_is_no_better_is_left(tmp_path: Path, model: HeadlessHost, tiny: RunConfig) -> None:
    config = dataclasses.replace(tiny, seed_policy="fixed", early_generations=0, steps=6, width=0, height=0)
    folders = []
    for number, host in enumerate((Lying(model), model)):
        list(pin.start(config, host, Runs(tmp_path)))
        folders.append(Runs(tmp_path).find(str(number)))
    lied, true = (folder.record() for folder in folders)
    assert lied.likely is not None and true.likely is not None
    towards, away = (np.subtract(record.likely.mean, 1.0) for record in (true, lied))  # type: ignore[union-attr]
    assert towards @ away == pytest.approx(-(likely.REACH**2))
    original, start = lied.candidates[:2]
    assert original.loss is not None and start.loss is not None and start.loss >= original.loss
    assert [generation.state["fell_back"] for generation in lied.generations] == [True, True]
    assert lied.generations[0].state["mean"] == [1.0] * 6
    second = np.array([c.weights for c in lied.candidates if c.generation == 2])
    assert np.abs(second - 1.0).max() < 1.0 and np.abs(second.mean(axis=0) - 1.0).max() < 0.6
    better = true.candidates[1].loss < true.candidates[0].loss  # type: ignore[operator]
    assert true.generations[0].state["fell_back"] is not better


def test_a_warm_start_that_was_asked_for_wins(
    tmp_path: Path, model: HeadlessHost, tiny: RunConfig, whole: RunFolder
) -> None:
    host = Told(model)
    config = dataclasses.replace(tiny, warm_start=str(whole.path))
    for event in pin.start(config, host, Runs(tmp_path)):
        if isinstance(event, events.GenerationDone):
            break
    record = Runs(tmp_path).find("0").record()
    assert not host.asked and record.likely is None and record.plan["before"] == 0
    assert "fell_back" not in record.generations[0].state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"misfits": [[1.0, 1.0]]}, "misfits has not one row"),
        ({"misfits": [[1.0, 1.0], [1.0], [1.0, 1.0]]}, "misfits has not one row"),
        ({"mean": [1.0]}, "mean has 1 values for 2 steps"),
        ({"misfits": "many"}, "misfits is 'many'"),
    ],
)
def test_a_line_that_does_not_fit_together_is_refused(change: dict[str, Any], said: str) -> None:
    found = Likely(((1.0, 1.0), (1.1, 1.2), (1.0, 0.9)), (0.3, 0.3), 6, (1.0, 0.5))
    line = json.loads(json.dumps(to_json(found)))
    assert Checker().fault(line) == ""
    assert said in Checker().fault({**line, **change})
    assert replay([line]).likely == found
