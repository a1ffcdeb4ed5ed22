"""What a search tells of itself, as the journal has it: where it began, and where it stood after each generation.

Standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Generation:
    """One finished generation and the state of the search after it.

    best: id of its best candidate, None if all failed.
    state: step_size, axis_ratio, mean, std … as the strategy tells them.
    progress: the loss of the search's best so far as a share of the original's on the same seeds; None where that
    cannot be told, and in earlier versions.
    """

    generation: int
    best: str | None
    losses: tuple[float | None, ...]
    state: Mapping[str, Any]
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    progress: float | None = None


@dataclasses.dataclass(frozen=True)
class Likely:
    """What each weight does to how badly the targets are explained: asked of the denoiser, before the first image.

    misfits: (1 + N, looks) of the original and of each weight moved alone, as shares of the original's at each look.
    steps: (N,) how far each was moved, in the search's own units; 0 for a setting, of which nothing is known.
    evaluations: denoiser evaluations spent.
    mean: (N,) where the search of images begins, in its own units; () at the original.  step_size: of its first
    generation.  prompt, negative_prompt: the mean's; "" at the original.
    """

    misfits: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...]
    evaluations: int
    mean: tuple[float, ...] = ()
    step_size: float = 0.0
    prompt: str = ""
    negative_prompt: str = ""
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
