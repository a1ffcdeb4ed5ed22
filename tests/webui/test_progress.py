"""What the host's progress bar is told while a run asks before its first image."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prompt_pins.config import RunConfig
from prompt_pins.run import likely
from prompt_pins.run.plan import make_plan
from prompt_pins.store import Candidate, Generation, Likely, Measured, Runs, Wording, axes_json, events, to_json

from tests.webui.standing import importable

LIKELY = Likely(
    ((1.0, 1.0), (1.1, 1.1), (1.0, 1.0), (1.0, 1.0)), (0.3, 0.3, 0.3), 32, (0.4, 1.0, 1.0), 0.2, "(a:0.4) red cat"
)
DONE = Candidate(1, 0, "a" * 16, (1.0, 1.0, 1.0), "a red cat", "", 0.5, 0.5, 0.0, "00000001/x", (), 8)


@pytest.fixture(scope="module")
def webui() -> Iterator[Any]:
    """The stand-in's modules, and the parts of the extension that run on them; neither is left to other tests."""
    names = {"shared": "modules.shared", **{part: f"prompt_pins.webui.{part}" for part in ("progress", "outlook")}}
    with importable():
        yield SimpleNamespace(**{name: importlib.import_module(module) for name, module in names.items()})


@pytest.fixture
def state(webui: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The host's; `steps` is what its console counts."""
    found = SimpleNamespace(textinfo="", job_count=0, steps=0)
    tqdm = SimpleNamespace(updateTotal=lambda total: setattr(found, "steps", total))
    monkeypatch.setattr(webui.shared, "state", found)
    monkeypatch.setattr(webui.shared, "total_tqdm", tqdm)
    monkeypatch.setattr(webui.progress, "_thumbnail", lambda path: None)
    monkeypatch.setattr(webui.progress.Progress, "_picture", lambda listener: None)
    return found


def begun(webui: Any, **changes: Any) -> tuple[Any, RunConfig, int]:
    """(the listener, its configuration, batches that render)."""
    config = RunConfig(**{"prompt": "a red cat", "batch_size": 2, "steps": 5, "held_out": 2, **changes})
    plan = make_plan(config, webui.outlook._Paper(None))
    listener = webui.progress.Progress(plan, config, SimpleNamespace(images=0))
    return listener, config, webui.progress.planned_batches(plan, config)


def started(listener: Any, config: RunConfig, root: Path, *lines: dict[str, Any]) -> None:
    """A run of whose journal these lines are known."""
    folder = Runs(root).claim()
    journal = folder.open()
    head = {"kind": "run", "version": 2, "config": config.to_dict(), "host": {}, "plan": {}, "time": ""}
    journal.append({**head, "space": axes_json(listener.plan.space.axes)})
    for line in lines:
        journal.append(line)
    journal.close()
    folder.close()
    listener.handle(events.RunStarted(folder, folder.record()))


def test_looks_are_batches_that_show_no_image(webui: Any, state: Any, tmp_path: Path) -> None:
    listener, config, renders = begun(webui)
    assert (state.job_count, state.steps) == (renders + 2, 5 * renders)  # 4 recipes, 2 a batch
    assert state.textinfo.endswith(" · 32 evaluations before the first image")
    started(listener, config, tmp_path)
    listener.handle(events.TargetReady("images", ("00000000/target-00000.png",)))
    assert state.textinfo == likely.ASKING
    before = listener.started
    listener.handle(events.LikelyDone(Likely(**{**vars(LIKELY), "seconds": {"wall": 7.0}})))
    assert listener.started == before + 7.0  # the speed is that of images
    assert state.textinfo == "before the first image: 1 of 3 words tells; starting at '(a:0.4) red cat'"
    listener.handle(events.CandidateDone(DONE, None))
    assert state.job_count == renders + 2 and state.textinfo.startswith("generation 1/")


def test_a_host_that_cannot_tell_has_no_looks_ahead(webui: Any, state: Any, tmp_path: Path) -> None:
    listener, config, renders = begun(webui)
    started(listener, config, tmp_path)
    listener.handle(events.CandidateDone(DONE, None))
    assert (state.job_count, state.steps) == (renders, 5 * renders)


@pytest.mark.parametrize("known", ["nothing", "the target", "the looks", "a candidate"])
def test_a_run_that_goes_on(webui: Any, state: Any, tmp_path: Path, known: str) -> None:
    listener, config, renders = begun(webui)
    target = {"kind": "target", "source": "images", "images": ["00000000/target-00000.png"]}
    lines = [target, to_json(LIKELY), to_json(DONE)]
    count = ["nothing", "the target", "the looks", "a candidate"].index(known)
    started(listener, config, tmp_path, *lines[:count])
    assert state.job_count == renders + (2 if count < 2 else 0) - (1 if count == 3 else 0)
    assert (state.textinfo == likely.ASKING) == (known == "the target")


def test_other_starts_and_loras(webui: Any, state: Any) -> None:
    _, _, renders = begun(webui, start="original")
    assert state.job_count == renders and "before" not in state.textinfo
    listener, _, renders = begun(webui, prompt="a red cat <lora:one:0.5> <lora:two:1>", vary_loras=True)
    loras = [axis for axis in listener.plan.space.axes if axis.group == "loras"]
    assert len(loras) == 2 and state.job_count == renders + 2 + 2  # each multiplier of its own alone


def test_the_outlook_counts_it(webui: Any) -> None:
    question = {"prompt": "a red cat", "steps": 5, "batch_size": 2, "width": 64, "height": 64, "sampler": "Euler"}
    told = {
        start: webui.outlook.outlook({**question, "options": {"start": start}}, lambda _: 1.0)[0]
        for start in ("likely", "original")
    }
    assert "32 evaluations before the first image" in told["likely"] and "before" not in told["original"]


def test_it_tells_how_far_the_search_has_come(webui: Any, state: Any, tmp_path: Path) -> None:
    listener, config, _ = begun(webui)
    started(listener, config, tmp_path)
    listener.handle(events.CandidateDone(DONE, None))
    assert " · 100 % of the original's loss · " in state.textinfo
    listener.handle(events.GenerationDone(Generation(1, DONE.id, (0.5,), {"best": list(DONE.weights)}, {}, 0.53)))
    listener.handle(events.CandidateDone(DONE, None))
    assert " · 53 % of the original's loss · " in state.textinfo and listener.curve == [0.53]
    listener.handle(events.GenerationDone(Generation(2, DONE.id, (0.5,), {"best": list(DONE.weights)}, {}, None)))
    listener.handle(events.CandidateDone(DONE, None))
    assert " · best loss 0.5000 · " in state.textinfo and listener.curve == [0.53]


def test_what_a_narrow_bar_cuts_off_comes_last(webui: Any, state: Any, tmp_path: Path) -> None:
    listener, config, _ = begun(webui)
    started(listener, config, tmp_path)
    listener.host.images = 4
    listener.handle(events.CandidateDone(DONE, None))
    parts = state.textinfo.split(" · ")
    assert parts[0].startswith("generation 1/") and parts[2].endswith(" left")
    assert parts[3] == "Interrupt keeps everything" and parts[4].endswith(" img/s")


def test_measuring_the_words_is_ahead_and_is_told(webui: Any, state: Any, tmp_path: Path) -> None:
    _, _, without = begun(webui)
    listener, config, renders = begun(webui, words=True)
    assert renders - without == 7 * 4  # 3 words, both sides, and the prompt itself; 8 seeds, 2 a batch
    started(listener, config, tmp_path)
    word = Measured("red", "prompt", 1.0, 160, Wording(0.5, "", "", *[(0.1, 0.2, 0.3)] * 3))
    listener.handle(events.WordMeasured(word, 2, 3))
    assert state.textinfo == "measuring the pinned prompt's words: 2 of 3"
