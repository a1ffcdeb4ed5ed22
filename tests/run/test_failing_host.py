"""A host that fails in any way: a candidate ranks last, the run goes on, stops after a patience, and can be resumed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import AnalysisOptions, RenderOptions, RunConfig
from prompt_pins.errors import HostError, MovedError, StoreError
from prompt_pins.host import Batch, Recipe
from prompt_pins.run import pin
from prompt_pins.space import Space
from prompt_pins.store import RunFolder, Runs
from prompt_pins.words import analyze

from tests.run.painter import Painter
from tests.run.test_cut import BASE, nothing_is_flushed, ran, target
from tests.run.test_pin import finish

__all__ = ["nothing_is_flushed", "target"]

FAULTS = [
    RuntimeError("CUDA out of memory.\n Tried to allocate 2 GiB"), MemoryError(), OSError(5, "Input/output error"),
    AttributeError("'NoneType' object has no attribute 'x'"), StopIteration(), AssertionError("no"),
]  # fmt: skip


def raising(fault: BaseException, calls: Callable[[int], bool]) -> Painter:
    def fail(call: int) -> None:
        if calls(call):
            raise fault

    return Painter(fail)


def told(folder: RunFolder) -> dict[str, Any]:
    """A run's record, times aside."""
    record = folder.record()
    parts = {name: getattr(record, name) for name in ("state", "reason", "target_images", "choice", "held")}
    parts |= {"candidates": record.candidates, "generations": record.generations}
    for name, value in parts.items():
        if isinstance(value, tuple):
            parts[name] = tuple(dataclasses.replace(v, seconds={}) if hasattr(v, "seconds") else v for v in value)
        elif hasattr(value, "seconds"):
            parts[name] = dataclasses.replace(value, seconds={})
    return parts


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_candidate_that_fails_ranks_last_and_the_run_goes_on(fault: Exception, target: str, tmp_path: Path) -> None:
    folder = ran({}, target, Runs(tmp_path), raising(fault, lambda call: call == 3))
    record = folder.record()
    failed = [c for c in record.candidates if c.loss is None]
    assert [(c.generation, c.index) for c in failed] == [(1, 2)] and record.state == "finished"
    assert failed[0].error.startswith(f"the host could not render: {type(fault).__name__}")
    assert "\n" not in failed[0].error and len(failed[0].error) < 400


@pytest.mark.parametrize("wrong", ["fewer images", "no infotexts", "floats", "grey", "a list of them", "nothing"])
def test_a_batch_that_is_not_whole_is_a_failed_candidate(wrong: str, target: str, tmp_path: Path) -> None:
    class Sloppy(Painter):
        def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
            batch = super().render(recipe, seeds, job, forked)
            images: Any = batch.images
            if self.calls != 2:
                return batch
            if wrong == "nothing":
                return None  # type: ignore[return-value]
            if wrong == "no infotexts":
                return dataclasses.replace(batch, infotexts=())
            images = {
                "fewer images": images[:1], "floats": images / 255, "grey": images[..., 0], "a list of them": [3, "x"]
            }[wrong]  # fmt: skip
            return dataclasses.replace(batch, images=images)

    record = ran({}, target, Runs(tmp_path), Sloppy()).record()
    assert [(c.generation, c.index) for c in record.candidates if c.loss is None] == [(1, 1)]
    assert record.state == "finished" and record.candidates[1].error.startswith("the host ")


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("healthy", [0, 3, 5, 7])
def test_where_all_fail_the_run_stops_and_another_host_ends_it_as_if_none_had(
    healthy: int, objectives: int, target: str, tmp_path: Path
) -> None:
    """healthy: calls before the host breaks: none, a generation, more."""
    changes = {"generations": 5, "objectives": objectives, "mo_mu": 3, "mo_lambda_": 3, "seed_policy": "fixed"}
    whole = ran(changes, target, Runs(tmp_path / "whole"))
    runs = Runs(tmp_path / "broken")
    folder = ran(changes, target, runs, raising(RuntimeError("CUDA out of memory"), lambda call: call > healthy))
    record = folder.record()
    assert record.state == "stopped" and record.choice is None
    words = "no candidate of the last 2 generations could be scored"
    assert record.reason == f"{words} (the host could not render: RuntimeError: CUDA out of memory)"
    finish(pin.resume(folder, raising(MemoryError(), lambda call: True)))  # still ill
    assert folder.record().reason == f"{words} (the host could not render: MemoryError)"
    assert len(folder.record().generations) == len(record.generations)
    finish(pin.resume(folder, Painter()))
    assert told(folder) == told(whole)


@pytest.mark.parametrize("policy", ["fixed", "rotated"])
def test_where_the_only_generation_fails_nothing_is_left_to_compare(target: str, tmp_path: Path, policy: str) -> None:
    changes = {"generations": 1, "seed_policy": policy}
    whole = ran(changes, target, Runs(tmp_path / "whole"))
    folder = ran(changes, target, Runs(tmp_path), raising(OSError(28, "full"), lambda call: True))
    assert folder.record().reason.startswith("no candidate of the last generation could be scored (the host could not")
    finish(pin.resume(folder, Painter()))
    assert told(folder) == told(whole)


@pytest.mark.parametrize(
    ("changes", "call"),
    [({"target": ()}, 1), ({}, 7), ({}, 8), ({}, 9), ({}, 12), ({"contest_seeds": 4}, 13)],
    ids=["first batch", "centre", "simplest", "contest", "check", "second part of a contestant"],
)
def test_what_fails_outside_the_search_is_a_sentence_and_can_be_done_again(
    changes: dict[str, Any], call: int, target: str, tmp_path: Path
) -> None:
    changes = {**changes, "seed_policy": "fixed"}
    whole = ran(changes, target, Runs(tmp_path / "whole"))
    runs = Runs(tmp_path / "broken")
    with pytest.raises(HostError, match="the host could not render: RuntimeError: no"):
        ran(changes, target, runs, raising(RuntimeError("no"), lambda number: number >= call))
    folder = runs.find("0")
    assert folder.record().state == "stopped"
    assert folder.record().reason == "failed: the host could not render: RuntimeError: no"
    finish(pin.resume(folder, Painter()))
    assert told(folder) == told(whole)


def test_an_original_that_fails_does_not_take_the_run_with_it(target: str, tmp_path: Path) -> None:
    changes = {"loss_objectives": ("flip:1", "colour:1"), "generations": 3}
    folder = ran(changes, target, Runs(tmp_path), raising(RuntimeError("no"), lambda call: call == 1))
    record = folder.record()
    assert record.state == "finished" and record.choice is not None and record.held is not None
    assert record.original is not None and record.original.loss is None


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_who_wants_to_end_the_program_may(fault: BaseException, target: str, tmp_path: Path) -> None:
    with pytest.raises(type(fault)):
        ran({}, target, Runs(tmp_path), raising(fault, lambda call: call == 3))
    assert Runs(tmp_path).find("0").record().state == "interrupted"


def test_a_fault_of_our_own_is_not_the_hosts(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, calls = Space.recipe, [0]

    def broken(space: Space, vector: Sequence[float]) -> Recipe:
        calls[0] += 1
        if calls[0] == 4:
            raise AttributeError("a defect")
        return kept(space, vector)

    monkeypatch.setattr(Space, "recipe", broken)
    with pytest.raises(AttributeError, match="a defect"):
        ran({}, target, Runs(tmp_path))
    record = Runs(tmp_path).find("0").record()
    assert (record.state, record.reason) == ("stopped", "failed: AttributeError: a defect")


def test_a_host_whose_interrogator_fails(target: str, tmp_path: Path) -> None:
    class Blind(Painter):
        asked = 0

        def tagger(self) -> Any:
            return self._tags

        def _tags(self, images: np.ndarray) -> list[dict[str, float]]:
            self.asked += 1
            if self.asked == 3:  # the first is the check before the run
                raise RuntimeError("CUDA out of memory")
            return [{"red": float(image.mean()) / 255} for image in images]

    record = ran({"loss_objectives": ("tags:1",), "tags_wanted": ("red",)}, target, Runs(tmp_path), Blind()).record()
    assert [c.index for c in record.candidates if c.loss is None] == [1] and record.state == "finished"
    assert record.candidates[1].error == "the host could not tag images: RuntimeError: CUDA out of memory"


def test_an_analysis_says_what_the_host_said(target: str, tmp_path: Path) -> None:
    config = RunConfig(**{**BASE, "target": (target,)})
    with pytest.raises(HostError, match="the host could not render: MemoryError"):
        list(analyze.start(config, AnalysisOptions(), raising(MemoryError(), lambda call: call == 3), Runs(tmp_path)))


def test_a_file_that_cannot_be_written_as_the_folder_is_gone_is_not_what_is_said(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = RunFolder.save_images

    def gone(folder: RunFolder, *words: Any) -> None:
        kept(folder, *words)
        os.rename(folder.path, tmp_path / "kept")
        raise StoreError("cannot be written (No such file or directory)")

    monkeypatch.setattr(RunFolder, "save_images", gone)
    with pytest.raises(MovedError):
        ran({}, target, Runs(tmp_path / "runs"))
