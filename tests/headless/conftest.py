from __future__ import annotations

import pytest
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.vocabulary import Vocabulary

from tests.headless.tiny import Tiny, make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def host(tiny: Tiny) -> HeadlessHost:
    """For tests that leave it as it is."""
    return HeadlessHost(str(tiny.folder), device="cpu")


@pytest.fixture
def fresh_host(tiny: Tiny) -> HeadlessHost:
    """For tests that interrupt it or change its weights."""
    return HeadlessHost(load(tiny.folder), device="cpu")


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary()
