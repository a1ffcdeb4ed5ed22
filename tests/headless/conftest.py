from __future__ import annotations

import dataclasses

import pytest
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.vocabulary import Vocabulary

from tests.headless.tiny import LAYOUTS, Tiny, make


@pytest.fixture(scope="session")
def tinies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tiny]:
    """One of each layout."""
    folder = tmp_path_factory.mktemp("tiny")
    return {name: make(name, folder) for name in LAYOUTS}


@pytest.fixture(scope="session", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    """What is tested with it is tested on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def tiny(tinies: dict[str, Tiny]) -> Tiny:
    """Of Stable Diffusion 1.x, for what does not differ."""
    return tinies["sd1"]


@pytest.fixture(scope="session")
def hosts(tinies: dict[str, Tiny]) -> dict[str, HeadlessHost]:
    """For tests that leave them as they are."""
    found = {name: HeadlessHost(load(tiny.file), device="cpu") for name, tiny in tinies.items()}
    for host in found.values():  # not SDXL's 1024
        host._model = dataclasses.replace(host.checkpoint, pixels=64)
    return found


@pytest.fixture(scope="session")
def host(hosts: dict[str, HeadlessHost], layout: str) -> HeadlessHost:
    """One of each layout, for tests that leave it as it is."""
    return hosts[layout]


@pytest.fixture
def fresh_host(tiny: Tiny) -> HeadlessHost:
    """For tests that interrupt it or change its weights."""
    return HeadlessHost(load(tiny.file), device="cpu")


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary()
