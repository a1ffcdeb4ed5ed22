"""How far a search has come, in one figure that falls when the prompt gets better.

Where each generation has image seeds of its own, its losses rise and fall with them.  There the original was rendered
on the first generation's, and what the best so far would have on the same seeds is told by the surface that is fitted
to all candidates, each compared with those of its own generation.  It costs no image.  Imports numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..config import RunConfig
from ..search import Budget, StopReason, stopping
from ..search.surface import Surface
from ..store import Axis, Candidate

LATEST = 300
"""Candidates that are fitted besides the first generation's."""


def share(candidates: Sequence[Candidate], best: ArrayLike | None, axes: Sequence[Axis], rotated: bool) -> float | None:
    """The loss of the best so far (N,) as a share of the original's, on the same image seeds: 1 where they are alike.

    candidates: all so far, the original first.  None where one of the two has no loss, or the original's is 0, and
    where there are too few candidates to tell and the best is none of the original's generation.
    """
    scored = [candidate for candidate in candidates if candidate.loss is not None]
    original = candidates[0]
    if best is None or not original.loss:
        return None
    alike = scored if not rotated else [candidate for candidate in scored if candidate.generation == 1]
    losses = [candidate.loss or 0.0 for candidate in alike if np.allclose(candidate.weights, best)]
    told = losses[0] / original.loss if losses else None
    if not rotated:
        return told
    others = [candidate for candidate in scored if candidate.weights != original.weights]
    fitted = [*(candidate for candidate in others[:-LATEST] if candidate.generation == 1), *others[-LATEST:]]
    generations = np.array([candidate.generation for candidate in fitted])
    if len(fitted) < len(set(generations.tolist())) + 2 or not (generations == 1).any():
        return told
    scale = np.array([axis.scale for axis in axes])
    weights, found = np.array([c.weights for c in fitted]) / scale, np.array([c.loss or 0.0 for c in fitted])
    surface = Surface(weights, found, generations, np.asarray(best) / scale)
    there = found - surface.rises(weights)  # what the best would have in each one's place
    return max(float(there[generations == 1].mean()) / original.loss, 0.0)


def over_budget(config: RunConfig, told: Sequence[Candidate], seconds: float, ahead: int) -> StopReason | None:
    """Whether the budget is spent by what the search has been told, or would be by so many images more."""
    images = sum(len(candidate.images) for candidate in told if candidate.evaluations)
    return Budget(config.max_images, config.max_minutes).exceeded(images, seconds, ahead)


def lost(candidates: Sequence[Candidate], reason: StopReason, generations: int) -> str:
    """Why nothing can follow a search that has ended: its host fails, and another one may do better; "" if something
    can.  candidates: all of its generations."""
    if reason.code != "failed" and any(candidate.loss is not None for candidate in candidates):
        return ""
    words = reason if reason.code == "failed" else stopping.all_failed(generations)
    return f"{words} ({candidates[-1].error})"
