"""The table of a run's workers."""

from __future__ import annotations

import dataclasses

from prompt_pins.report.workers import workers
from prompt_pins.store import Candidate

PROMPTS = (("a", ""), ("b", ""), ("c", ""))


def candidate(worker: str, seconds: float, prompts: tuple[tuple[str, str], ...] = ()) -> Candidate:
    images = tuple(f"{index}.png" for index in range(2 * max(len(prompts), 1)))
    found = Candidate(1, 0, "0" * 16, (1.0,), "a", "", 0.5, 0.5, 0.0, "x", images, 6, seconds={"render": seconds})
    return dataclasses.replace(found, worker=worker, prompts=prompts)


def test_a_candidate_of_several_payloads_counts_for_each_that_had_a_part_in_it() -> None:
    plain = (candidate("box, left", 2.0), candidate("box, left", 2.0), candidate("far", 4.0))
    assert workers(plain) == [("box, left", 2, 4, 1.0), ("far", 1, 2, 0.5)]
    mixed = (candidate("w1, w0, w1", 9.0, PROMPTS), candidate("w0", 3.0, PROMPTS))
    assert workers(mixed) == [("w0", 2, 8, 2.0), ("w1", 1, 4, None)]
    assert workers((candidate("", 1.0),)) == []
