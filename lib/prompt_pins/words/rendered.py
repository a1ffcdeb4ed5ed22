"""What a word does to the images: each wording is rendered on the same seeds.  Imports numpy."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..config import AnalysisOptions, RunConfig
from ..errors import StoreError
from ..host import Host, Recipe
from ..loss import Target, load_target
from ..run import seeds
from ..run.weighing import Comparison
from ..store import Measured, RunFolder, Unchanged
from ..store.folder import save_image
from .parts import Part
from .result import KEPT


class ByImages:
    """Each image independent of the others (no tree)."""

    together = 1

    def __init__(
        self, config: RunConfig, options: AnalysisOptions, host: Host, targets: Sequence[Target], folder: RunFolder
    ) -> None:
        self.config, self.host, self.targets, self.folder = config, host, targets, folder
        self.seeds = seeds.analysis_seeds(config.seed, options.analysis_seeds)

    def begin(self, original: Recipe, known: Unchanged | None) -> Unchanged | None:
        """The unchanged prompt; known: as it was measured before.  What is new is to be written down."""
        started = time.perf_counter()
        images = None if known is None else np.stack([self._read(name) for name in known.images])
        self._unchanged = found = Comparison(self.config, self.host, self.targets, original, self.seeds, images)
        if known is not None:
            return None
        names = tuple(f"original/{index:05d}.png" for index in range(len(found.images)))
        for name, image, text in zip(names, found.images, found.infotexts):
            save_image(self.folder.path / name, image, text)
        return found.unchanged(names, started)

    def measure(self, parts: Sequence[Part], place: int) -> list[Measured]:
        """Each at its sides.  place: of the first one in the order of measuring, which names its images."""
        return [self._measured(part, place + index) for index, part in enumerate(parts)]

    def _measured(self, part: Part, place: int) -> Measured:
        started, before = time.perf_counter(), self._unchanged.evaluations
        sides: dict[str, Any] = {}
        self._unchanged.ahead([(there.recipe, part.seeds) for there in part.places.values()])
        for name, there in part.places.items():
            change = self._unchanged.change(there.recipe, part.seeds)
            images = kept(self.folder, f"{place:03d}-{name}", list(change.images), self.config.image_format)
            sides[name] = change.wording(there.weight, there.recipe, images)
        seconds = {"wall": time.perf_counter() - started}
        spent = self._unchanged.evaluations - before
        return Measured(part.label, part.side, part.weight, spent, phrase=part.phrase, seconds=seconds, **sides)

    def _read(self, name: str) -> np.ndarray:
        path = self.folder.inside(name)
        if not path.is_file():
            raise StoreError(f"{path}: is missing, so this analysis cannot go on")
        return load_target(path).pixels


def kept(folder: RunFolder, name: str, images: Collection[np.ndarray], image_format: str) -> tuple[str, ...]:
    """The first few of some images, saved as `name`: their paths relative to the folder."""
    files = [f"{name}/{index:05d}.{image_format}" for index in range(min(len(images), KEPT))]
    for file, image in zip(files, images):
        save_image(folder.path / file, image)
    return tuple(files)
