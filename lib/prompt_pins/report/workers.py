"""What each worker of a run has rendered.  Standard library only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ..store import Candidate


def workers(candidates: Sequence[Candidate]) -> list[tuple[str, int, int, float | None]]:
    """(name, candidates, images, images a second of its own time) of a run's workers; [] where it had none.

    Of a candidate whose payloads several have rendered each counts its own; the time that each took is not known.
    """
    counts, images, alone = Counter[str](), Counter[str](), dict[str, list[Candidate]]()
    for candidate in candidates:
        if not candidate.worker or not candidate.evaluations:
            continue
        names = candidate.worker.split(", ") if candidate.prompts else [candidate.worker]
        if len(names) == 1:
            alone.setdefault(names[0], []).append(candidate)
        for name in names:
            images[name] += len(candidate.images) // len(names)
        counts.update(set(names))
    rows = list[tuple[str, int, int, float | None]]()
    for name in sorted(counts):
        done = alone.get(name, [])
        seconds = math.fsum(one.seconds.get("render", 0.0) for one in done)
        speed = sum(len(one.images) for one in done) / seconds if seconds > 0 else None
        rows.append((name, counts[name], images[name], speed))
    return rows
