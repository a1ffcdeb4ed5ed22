"""What a word does to how likely the targets are: asked of the denoiser, with nothing rendered.  Imports numpy.

At some noise levels the misfit moves ten times as much as at others, and says no more: at each part of the sampling
changes are divided by their root mean square over all words, so that every part counts alike (`result`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import RunConfig
from ..errors import HostInterrupted, OptionError
from ..host import Host, Recipe
from ..loss import Target
from ..run import rendering
from ..run.likely import PARTS, misfits, views
from ..store import Measured, Unchanged, Wording
from .parts import Part
from .result import INTERRUPTED, pairs


def check_able(config: RunConfig, host: Host, original: Recipe) -> None:
    """One look at a grey image.  Raises `OptionError` where the host cannot tell how likely it is, `HostError`."""
    width, height = host.size(config)
    grey = np.full((height, width, 3), 128, np.uint8)
    if rendering.misfits(host, [original], [grey], [None], views(1, config.steps)[-1:], config) is None:
        raise _unable()


def _unable() -> OptionError:
    return OptionError("by", "likelihood", "'images': this host cannot tell how likely an image is")


class ByLikelihood:
    """Every wording looks at the same targets through the same noises.

    together: parts that are asked for in one call.
    """

    together = 8

    def __init__(self, config: RunConfig, host: Host, targets: Sequence[Target]) -> None:
        self.config, self.host, self.targets = config, host, targets
        self.pairs = pairs(len(targets))

    def begin(self, original: Recipe, known: Unchanged | None) -> Unchanged | None:
        """Nothing is known of the unchanged prompt alone."""
        self._original = original
        return None

    def measure(self, parts: Sequence[Part], place: int) -> list[Measured]:
        """All of them in one call."""
        if self.host.interrupted():
            raise HostInterrupted(INTERRUPTED)
        started = time.perf_counter()
        recipes = [self._original, *(there.recipe for part in parts for there in part.places.values())]
        found = misfits(self.config, self.host, recipes, self.targets, self.pairs)
        if found is None:
            raise _unable()
        values, evaluations = found
        shape = (len(recipes) - 1, self.pairs, len(PARTS), 2)  # opposites are averaged
        changes = iter((values[1:] - values[:1]).reshape(shape).mean(axis=-1).tolist())
        seconds = {"wall": (time.perf_counter() - started) / len(parts)}
        shares = np.diff(np.linspace(0, evaluations, len(parts) + 1).astype(int)).tolist()
        return [
            Measured(
                part.label, part.side, part.weight, share, phrase=part.phrase, seconds=seconds, **_sides(part, changes)
            )
            for part, share in zip(parts, shares)
        ]


def _sides(part: Part, changes: Any) -> dict[str, Any]:
    return {
        name: Wording(
            there.weight, there.recipe.prompt, there.recipe.negative_prompt,
            changes=tuple(map(tuple, next(changes))),
        )
        for name, there in part.places.items()
    }  # fmt: skip
