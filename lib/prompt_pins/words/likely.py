"""What a word does to how likely the targets are: asked of the denoiser, with nothing rendered.  Imports numpy.

At some noise levels the misfit moves ten times as much as at others, and says no more: at each part of the sampling
changes are divided by their root mean square over all words, so that every part counts alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..config import RunConfig
from ..errors import HostInterrupted, OptionError
from ..host import Host
from ..loss import Target
from ..run.likely import PARTS, misfits, views
from ..space import Space
from .effects import Array, effect
from .result import INTERRUPTED, Places, Side, Word

PAIRS = 4
"""Noises at each part of the sampling, each with its opposite: as few as an interval can be told from."""
TOGETHER = 8  # words that are asked for in one call
HINT = (
    "A hint: nothing was rendered. On the embedded model its order of the words correlates by 0.81 with that of "
    "rendered images, and 70 % of the changes that both prove have the same sign."
)
"""What `python -m benchmarks.analysis` measured."""


class ByLikelihood:
    """Every wording looks at the same targets through the same noises."""

    hint = HINT
    images: tuple[str, ...] = ()
    fit, spread = 0.0, 0.0  # nothing is known of the unchanged prompt alone

    def __init__(self, config: RunConfig, host: Host, space: Space, targets: Sequence[Target]) -> None:
        self.config, self.host, self.space, self.targets = config, host, space, targets
        self.pairs = max(PAIRS, -(-len(targets) // len(PARTS)))  # no target is left out
        looks = views(len(targets), config.steps, self.pairs)
        self.seeds = tuple(dict.fromkeys(look.seed for look in looks))
        self.rng = np.random.Generator(np.random.PCG64(config.seed))
        self.evaluations = 0
        self._found: dict[int, tuple[Places, Array]] = {}

    def measured(self, movable: Mapping[int, Places]) -> Iterator[str]:
        """A few at a time.  movable: the axes, and the vectors of their sides."""
        indices = list(movable)
        for start in range(0, len(indices), TOGETHER):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            chosen = {index: movable[index] for index in indices[start : start + TOGETHER]}
            changes = iter(self._changes([vector for places in chosen.values() for vector in places.values()]))
            for index, places in chosen.items():
                self._found[index] = places, np.array([next(changes) for _ in places])
                yield self.space.axes[index].label

    def words(self) -> Sequence[Word]:
        """Those that were measured, every part of the sampling counting alike."""
        if not self._found:
            return ()
        sizes = np.concatenate([changes for _, changes in self._found.values()])
        unit = np.sqrt((sizes**2).mean(axis=(0, 1)))
        unit[unit == 0.0] = 1.0
        return [self._word(index, places, changes / unit) for index, (places, changes) in self._found.items()]

    def _changes(self, vectors: Sequence[Sequence[float]]) -> Array:
        """(vectors, pairs, parts) changes of the misfit, in shares of the unchanged prompt's, opposites averaged."""
        recipes = [self.space.recipe(vector) for vector in (self.space.original, *vectors)]
        found = misfits(self.config, self.host, recipes, self.targets, self.pairs)
        if found is None:
            raise OptionError("by", "likelihood", "'images': this host cannot tell how likely an image is")
        values, evaluations = found
        self.evaluations += evaluations
        shape = (len(vectors), self.pairs, len(PARTS), 2)
        return np.asarray((values[1:] - values[:1]).reshape(shape).mean(axis=-1))

    def _word(self, index: int, places: Places, changes: Array) -> Word:
        """changes: (sides, pairs, parts)."""
        axis = self.space.axes[index]
        sides = {name: self._side(index, vector, row) for (name, vector), row in zip(places.items(), changes)}
        moved, fit = (effect(rows, self.rng) for rows in (np.abs(changes).mean(axis=0), changes.mean(axis=0)))
        return Word(axis.label, axis.side, axis.original, moved, fit, sides.get("lowered"), sides.get("raised"))

    def _side(self, index: int, vector: Sequence[float], changes: Array) -> Side:
        recipe = self.space.recipe(vector)
        fit, moved = (effect(rows, self.rng) for rows in (changes, np.abs(changes)))
        return Side(vector[index], recipe.prompt, recipe.negative_prompt, fit, None, moved, ())
