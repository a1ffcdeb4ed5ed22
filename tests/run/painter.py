"""A host of a few hundred microseconds: it paints discs whose colours and places come of the prompt's words.

The same recipe and seeds give the same images, and every weight shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from prompt_pins.config import RenderOptions
from prompt_pins.host import Batch, Misfits, Recipe, Tagger, View
from prompt_pins.prompt import parse
from prompt_pins.prompt.units import units

SIDE = 16


class Painter:
    """fault: called with the number of each call of `render`, from 1, to raise what it likes."""

    def __init__(self, fault: Callable[[int], None] = lambda call: None) -> None:
        self.fault, self.calls = fault, 0

    def describe(self) -> dict[str, Any]:
        return {"name": "painter", "version": "1", "checkpoint": "none"}

    def embeddings(self) -> tuple[str, ...]:
        return ()

    def settings(self, job: RenderOptions) -> dict[str, float]:
        return {"cfg_scale": job.cfg_scale}

    def size(self, job: RenderOptions) -> tuple[int, int]:
        return SIDE, SIDE

    def levels(self, batch_size: int, job: RenderOptions, forked: bool) -> tuple[tuple[int, ...], ...]:
        return ((0,) * batch_size, tuple(range(batch_size)))

    def evaluations(self, batch_size: int, job: RenderOptions, forked: bool) -> int:
        return batch_size * job.steps

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        self.calls += 1
        self.fault(self.calls)
        images = np.stack([self._paint(recipe, seed) for seed in seeds])
        return Batch(images, tuple(f"{recipe.prompt}\nSeed: {seed}" for seed in seeds), len(seeds) * job.steps)

    def _paint(self, recipe: Recipe, seed: int) -> np.ndarray:
        words = [(u.text, u.weight) for text in (recipe.prompt, recipe.negative_prompt) for u in units(parse(text))]
        words += list(recipe.settings)
        y, x = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j][..., None]
        rng = np.random.default_rng(seed)
        image = np.full((SIDE, SIDE, 3), 0.5) + rng.normal(0, 0.02, (SIDE, SIDE, 3))
        for text, weight in words:
            own = np.frombuffer(hashlib.sha256(text.encode()).digest()[:5], np.uint8) / 255
            middle = own[:2] + rng.normal(0, 0.03, 2)
            disc = np.exp(-(((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 0.05))
            image += 0.3 * weight * disc * (own[2:] - 0.5)
        return np.asarray((np.clip(image, 0, 1) * 255).round(), dtype=np.uint8)

    def misfits(
        self,
        recipes: Sequence[Recipe],
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        views: Sequence[View],
        job: RenderOptions,
    ) -> Misfits | None:
        far = [
            [np.abs(self._paint(one, v.seed) - 1.0 * images[v.image]).mean() / 255 for v in views] for one in recipes
        ]
        return Misfits(np.array(far), len(recipes) * len(views))

    def tagger(self) -> Tagger | None:
        return None

    def interrupted(self) -> bool:
        return False
