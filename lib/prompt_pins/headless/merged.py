"""The headless host on a merge of checkpoints, whose block weights a recipe may set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import RenderOptions
from ..errors import CheckpointError, OptionError
from ..host import Batch, Misfits, Recipe, View
from ..merge.blocks import as_list, weights_of
from ..merge.sources import FIELDS, Sources, check_unlike
from .blend import Blend
from .checkpoint import EMBEDDED
from .engine import HeadlessHost


def open_sources(a: str, b: str, c: str = "") -> Sources:
    """The checkpoints of a merge.  a: "" is the embedded model.  Raises `CheckpointError`."""
    first, *others = (Path(path).expanduser() if path else EMBEDDED for path in (a, b, *([c] if c else [])))
    sources = Sources(first, *others)
    check_unlike(sources.paths, sources.hashes)
    return sources


class MergedHost(HeadlessHost):
    """Renders with A and B, or with A + (B - C); a recipe's settings hold a weight for each block.

    Blocks that a recipe does not set have the job's `merge_start`.  LoRAs lie on top of the merge.
    """

    def __init__(self, sources: Sources, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sources = sources
        self._gram = sources.gram().tolist()
        self._blend = Blend(self.checkpoint, sources)
        self._weights: Mapping[str, float] = {}

    def describe(self) -> dict[str, Any]:
        """With the other checkpoints' names and hashes, and how far apart the blocks are (`Sources.gram`)."""
        others = zip(FIELDS[1:], self.sources.paths[1:], self.sources.hashes[1:])
        told = {name: value for field, path, digest in others
                for name, value in ((f"{field}_name", path.name), (f"{field}_sha256", digest))}  # fmt: skip
        return {**super().describe(), **told, "merge": {"blocks": list(self.sources.names), "gram": self._gram}}

    def settings(self, job: RenderOptions) -> dict[str, float]:
        """With each block's weight."""
        return {**super().settings(job), **dict.fromkeys(self.sources.names, job.merge_start)}

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """With the recipe's merge."""
        return super().render(self._put(recipe, job), seeds, job, forked)

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits:
        """As the merge of the first recipe explains them.  Raises `OptionError` for recipes with unlike merges."""
        plain = [self._put(recipe, job) for recipe in recipes[:1]]
        mine = dict(recipes[0].settings)
        for recipe in recipes[1:]:
            if weights_of(dict(recipe.settings)) != weights_of(mine):
                raise OptionError("recipes", recipe.settings, "the block weights of the first")
            plain.append(dataclasses.replace(recipe, settings=()))
        return super().misfits(plain, images, masks, views, job)

    def restore(self) -> None:
        """Give the loaded model A's own weights again, to the bit."""
        self.checkpoint.merge.clear()
        self._blend.clear()

    def _put(self, recipe: Recipe, job: RenderOptions) -> Recipe:
        """Bring a recipe's merge into the weights; the recipe without it."""
        set_ = weights_of(dict(recipe.settings))
        unknown = [name for name in set_ if name not in self.sources.names]
        if unknown:
            raise OptionError("settings", unknown[0], f"the blocks of this model: {', '.join(self.sources.names)}")
        self._weights = {name: set_.get(name, job.merge_start) for name in self.sources.names}
        if self._blend.differs(self._weights, job.merge_precision):
            self.checkpoint.merge.clear()  # LoRAs keep what they changed, so they go first
            self._blend.put(self._weights, job.merge_precision)
        rest = tuple((name, value) for name, value in recipe.settings if name not in set_)
        return dataclasses.replace(recipe, settings=rest)

    def _parameters(self, *args: Any) -> dict[str, object]:
        names = ("Merge with", "Merge minus")
        others = {name: path.stem for name, path in zip(names, self.sources.paths[1:])}
        return {**super()._parameters(*args), **others, "Merge weights": as_list(self._weights)}


def check_recorded(known: Mapping[str, Any], found: Mapping[str, Any], paths: Sequence[Path]) -> None:
    """Raises `CheckpointError` where another checkpoint lies in the place of one that a run was rendered with."""
    for field, path in zip(FIELDS[1:], paths[1:]):
        key = f"{field}_sha256"
        if key in known and known[key] != found.get(key):
            raise CheckpointError(
                f"{field}: {path} is not the one that this run was rendered with ({known.get(f'{field}_name')}, whose "
                f"sha256 is {str(known[key])[:10]}, not {str(found.get(key))[:10]})"
            )
