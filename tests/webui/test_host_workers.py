"""WebUIs as workers, by the API that they have anyway: the contract of every host, and a run on two of them."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.run import pin
from prompt_pins.store import Runs, read_journal
from prompt_pins.workers.pool import Pool
from prompt_pins.workers.webuis import open_webuis

from tests.headless.host_contract import PROMPT, HostContract
from tests.webui.client import Webui
from tests.webui.conftest import stand_in

SMALL: dict[str, Any] = {
    "prompt": "a red blue circle", "steps": 4, "batch_size": 4, "width": 64, "height": 64, "lambda_": 3,
    "generations": 2, "held_out": 2, "contest_seeds": 2, "finalists": 1, "gifs": False, "plots": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def second(webui: Webui, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webui]:
    """One more WebUI like the first; `PROMPT_PINS_WEBUI_SECOND` names a real one that runs."""
    with _another(webui, "PROMPT_PINS_WEBUI_SECOND", tmp_path_factory.mktemp("second"), {}) as host:
        yield host


@pytest.fixture(scope="module")
def bare(webui: Webui, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webui]:
    """One without this extension; `PROMPT_PINS_WEBUI_BARE` names a real one that runs."""
    settings = {"STAND_IN_BARE": "1"}
    with _another(webui, "PROMPT_PINS_WEBUI_BARE", tmp_path_factory.mktemp("bare"), settings) as host:
        yield host


@contextlib.contextmanager
def _another(webui: Webui, name: str, folder: Path, settings: dict[str, str]) -> Iterator[Webui]:
    if webui.real and not os.environ.get(name):
        pytest.skip(f"{name} names no WebUI beside the real one")
    if webui.real:
        yield Webui(os.environ[name].rstrip("/"))
    elif importlib.util.find_spec("gradio") is None:
        pytest.skip("there is no gradio for the stand-in")
    else:
        with stand_in(folder, settings) as host:
            yield host


def opened(hosts: list[Webui], **options: Any) -> tuple[Pool, RunConfig, list[str]]:
    size = {"width": hosts[0].pixels, "height": hosts[0].pixels}
    config = RunConfig(**{**SMALL, **size, **options})
    pool, lines = open_webuis([host.url for host in hosts], (), config)
    return pool, config, lines


class OnWebuis(HostContract):
    """A pool of WebUIs.  A WebUI counts seeds up, so those of a tree follow one by one."""

    job = dataclasses.replace(HostContract.job, width=64, height=64)
    seeds = (7, 8, 9, 10)


class TestTrees(OnWebuis):
    @pytest.fixture
    def host(self, webui: Webui, second: Webui) -> Iterator[Pool]:
        pool, _, lines = opened([webui, second])
        assert not lines
        yield pool
        pool.close()


class TestPlainBatches(OnWebuis):
    @pytest.fixture
    def host(self, bare: Webui) -> Iterator[Pool]:
        pool, _, lines = opened([bare])
        assert lines and lines[0].startswith("plain batches, no trees: ")
        yield pool
        pool.close()

    def test_forking_saves_evaluations_and_plain_batches_cost_all(self, host: Any) -> None:
        job = dataclasses.replace(self.job, steps=10)
        assert host.evaluations(8, job, False) == 80 == host.evaluations(8, job, True)

    test_an_unknown_sampler_is_refused_with_near_names = None  # it has no forms that fork


def test_seeds_that_do_not_follow_one_another_are_independent_images(webui: Webui) -> None:
    pool, config, _ = opened([webui])
    images = pool.render(PROMPT, (9, 7, 8), config, False).images
    assert np.array_equal(images[0], pool.render(PROMPT, (9,), config, False).images[0])
    pool.close()


def test_a_webui_with_and_one_without_the_extension_render_plain_batches(webui: Webui, bare: Webui) -> None:
    pool, config, lines = opened([webui, bare])
    job: RenderOptions = config
    images = [worker.host.render(PROMPT, (7, 8), job, True).images.astype(int) for worker in pool.workers]
    assert abs(images[0] - images[1]).max() <= 1 and "plain batches" in lines[0]
    pool.close()


def test_a_run_on_two_is_the_run_on_one(webui: Webui, second: Webui, tmp_path: Path) -> None:
    journals = []
    before = webui.call("/sdapi/v1/options")[1]
    for hosts in ([webui], [webui, second]):
        pool, config, _ = opened(hosts, fork_policy="even")
        list(pin.start(config, pool, Runs(tmp_path)))
        pool.close()
        lines = read_journal(tmp_path / f"{len(journals):08d}" / "journal.jsonl")
        assert lines[-1]["kind"] == "finished"
        journals.append([{k: v for k, v in line.items() if k not in ("time", "seconds", "worker")} for line in lines])
    assert journals[0] == journals[1]
    assert webui.call("/sdapi/v1/options")[1] == before
