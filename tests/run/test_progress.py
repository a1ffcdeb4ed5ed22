"""The figure of progress: the best so far against the original, on the same image seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from prompt_pins.run.progress import share
from prompt_pins.store import Axis, Candidate

AXES = tuple(Axis(name, 1.0, 0.0, 2.0) for name in "abcd")
LOWEST = np.array([0.5, 1.5, 1.0, 1.2])


def candidate(generation: int, index: int, weights: Any, loss: float | None) -> Candidate:
    vector = tuple(map(float, weights))
    return Candidate(generation, index, f"{generation}.{index}", vector, "", "", loss, None, None, "x", (), 0)


def loss_of(weights: Any) -> float:
    return 0.4 + float(((np.asarray(weights) - LOWEST) ** 2).sum())


def searched(generations: int, seeds: float, noise: float = 0.0) -> tuple[list[Candidate], list[np.ndarray]]:
    """(candidates, the best of each generation) of a search that walks to the lowest point.

    seeds: how much what a generation's seeds add differs.
    """
    rng, original = np.random.default_rng(5), np.ones(4)
    found, bests = [], []
    for generation in range(1, generations + 1):
        centre = original + (LOWEST - original) * (1.0 - 0.7**generation)
        rows = np.vstack([centre, centre + rng.normal(0.0, 0.2, (8, 4))])
        rows = np.vstack([original, rows]) if generation == 1 else rows
        lift = 0.0 if generation == 1 else rng.normal(0.0, seeds)
        for index, row in enumerate(rows):
            found.append(candidate(generation, index, row, loss_of(row) + lift + rng.normal(0.0, noise)))
        bests.append(centre)
    return found, bests


def figures(found: list[Candidate], bests: list[np.ndarray], rotated: bool = True) -> list[float]:
    told = [
        share([c for c in found if c.generation <= number], best, AXES, rotated) for number, best in enumerate(bests, 1)
    ]
    assert None not in told
    return told  # type: ignore[return-value]


def test_it_is_the_share_of_the_loss_whatever_the_seeds_of_a_generation_do() -> None:
    found, bests = searched(8, seeds=0.8, noise=0.002)
    raw = [next(c.loss for c in found if c.generation == number) for number in range(1, 9)]
    assert raw != sorted(raw, reverse=True)
    told, truth = figures(found, bests), [loss_of(best) / loss_of(np.ones(4)) for best in bests]
    np.testing.assert_allclose(told[:1], truth[:1], atol=0.15)  # nine candidates cannot tell more
    np.testing.assert_allclose(told[1:], truth[1:], atol=0.03)
    assert told == sorted(told, reverse=True)


def test_on_fixed_seeds_it_is_the_losses_ratio() -> None:
    found, bests = searched(3, seeds=0.0)
    assert figures(found, bests, rotated=False) == pytest.approx([loss_of(b) / loss_of(np.ones(4)) for b in bests])
    assert share(found, np.ones(4), AXES, rotated=False) == 1.0


@pytest.mark.parametrize("rotated", [True, False])
def test_where_it_cannot_be_told(rotated: bool) -> None:
    found, bests = searched(2, seeds=0.1)
    assert share(found, None, AXES, rotated) is None
    failed = [candidate(1, 0, np.ones(4), None), *found[1:]]
    assert share(failed, bests[-1], AXES, rotated) is None
    perfect = [candidate(1, 0, np.ones(4), 0.0), *found[1:]]
    assert share(perfect, bests[-1], AXES, rotated) is None


def test_of_a_long_run_the_first_generation_and_the_latest_candidates_are_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, bests = searched(12, seeds=0.5, noise=0.002)
    monkeypatch.setattr("prompt_pins.run.progress.LATEST", 40)
    assert share(found, bests[-1], AXES, True) == pytest.approx(loss_of(bests[-1]) / loss_of(np.ones(4)), abs=0.06)


def test_few_candidates_are_compared_as_they_were_scored() -> None:
    found = [candidate(1, 0, np.ones(4), 0.8), candidate(1, 1, LOWEST, 0.6)]
    assert share(found, LOWEST, AXES, True) == pytest.approx(0.75)
    assert share(found, np.ones(4), AXES, True) == 1.0
    assert share([*found, candidate(2, 0, LOWEST * 0.9, 0.1)], LOWEST * 0.9, AXES, True) is None
