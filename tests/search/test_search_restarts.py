"""Restarts: what a run writes down of them, and where there are none."""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
from prompt_pins.config import RunConfig, SearchOptions
from prompt_pins.config.resolved import MOST_CANDIDATES, MOST_WEIGHTS
from prompt_pins.errors import OptionError
from prompt_pins.search import create, stopping
from prompt_pins.store import Generation, to_json


@pytest.mark.parametrize("preset", ["Classic", "Balanced", "Quick"])
def test_the_state_of_a_search_that_started_again_can_be_written_down(preset: str) -> None:
    options = SearchOptions(preset=preset, restarts=1, patience=1, min_progress=1.0, generations=12)
    search = create(np.ones(3), 0.0, 2.0, options)
    while search.stop() is None and search.restart == 0:
        search.tell([float(row @ row) for row in search.ask()])
    assert search.restart == 1
    line = to_json(Generation(1, None, (), search.state()))
    assert json.loads(json.dumps(line))["state"]["restarted_because"].startswith("no progress")


def test_a_reason_to_stop_can_be_copied() -> None:
    reason = stopping.stagnated(3, 0.0)
    for other in (copy.copy(reason), copy.deepcopy(reason)):
        assert other == reason and other.code == "stagnation"
    assert dataclasses.replace(stopping.Budget(), images=3).exceeded(3, 0.0) is not None


def test_two_objectives_have_no_restarts() -> None:
    with pytest.raises(OptionError, match="restarts: 1 is not allowed; allowed: 0 with two objectives"):
        RunConfig(prompt="a cat", objectives=2, restarts=1)
    earlier = {**RunConfig(prompt="a cat", objectives=2).to_dict(), "restarts": 1}
    assert RunConfig.from_record(earlier).restarts == 0


def test_the_population_stops_growing() -> None:
    options = SearchOptions(preset="Quick", restarts=100, restart_growth=10.0, patience=1, min_progress=1.0)
    search = create(np.ones(1), 0.0, 2.0, options)
    while search.restart < 5:
        search.tell([float(row @ row) for row in search.ask()])
    assert len(search.ask()) == MOST_CANDIDATES


def test_more_weights_than_a_search_has_room_for_are_refused() -> None:
    options = SearchOptions()
    assert options.resolve(MOST_WEIGHTS).lambda_ > 20
    with pytest.raises(OptionError, match="prompt: '20000 weights' is not allowed; allowed: at most 2000"):
        options.resolve(20_000)
    with pytest.raises(OptionError, match="mo_mu: 1000 is not allowed; allowed: at most 33 for 2000 weights"):
        SearchOptions(objectives=2, mo_mu=1000, seed_policy="fixed").resolve(2000)
