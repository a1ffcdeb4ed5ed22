"""Judging a prompt by images that are independent of each other: in the contest, and on unseen seeds."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ..config import RunConfig
from ..errors import HostInterrupted
from ..host import Batch, Host
from ..search import INTERRUPTED
from ..store import Candidate, Choice, Held
from . import contest, seeds
from .rendering import ahead, chunks, render
from .scoring import Scorer, image_names


class Judge:
    """Renders candidates without forks and compares them, seed by seed."""

    def __init__(self, config: RunConfig, host: Host, scorer: Scorer) -> None:
        self.config, self.host, self.scorer = config, host, scorer

    def choice(self, contestants: Sequence[Candidate], simplest: int | None) -> Choice:
        """The contest.  contestants: the original first; simplest: the index of the simplest finalist."""
        started = time.perf_counter()
        fresh = seeds.contest_seeds(self.config.seed, self.config.contest_seeds)
        self.ahead(contestants, fresh)
        fits = tuple(self._fits(candidate, fresh)[0] for candidate in contestants)
        chosen = contestants[contest.winner(fits, simplest)].id
        cost = len(fresh) * self.config.steps * len(contestants)
        seconds = {"wall": time.perf_counter() - started}
        return Choice(fresh, tuple(c.id for c in contestants), fits, chosen, cost, seconds)

    def held(self, original: Candidate, pinned: Candidate) -> Held:
        """The check on unseen seeds; its images are kept."""
        started = time.perf_counter()
        unseen = seeds.held_out_seeds(self.config.seed, self.config.held_out)
        self.ahead([original, pinned], unseen)
        before, old = self._unseen("original", original, unseen)
        after, new = self._unseen("pinned", pinned, unseen)
        gain, low, high = contest.improvement(before, after, seed=self.config.cma_seed)
        return Held(unseen, before, after, gain, low, high, old, new, {"wall": time.perf_counter() - started})

    def ahead(self, candidates: Sequence[Candidate], row: Sequence[int]) -> None:
        ahead(self.host, lambda: (r for c in candidates for r in chunks(contest.recipe(c), row, self.config)))

    def _unseen(self, role: str, candidate: Candidate, row: Sequence[int]) -> tuple[contest.Fits, tuple[str, ...]]:
        """A candidate's fits on unseen seeds, and the paths of its images."""
        fits, batch = self._fits(candidate, row)
        return fits, self.kept(f"unseen/{role}", batch, row)

    def kept(self, place: str, batch: Batch, row: Sequence[int]) -> tuple[str, ...]:
        """The paths of a batch's images, which are in that folder of the run now."""
        self.scorer.folder.save_images(
            self.scorer.folder.path / place, batch.images, image_names(row, self.config.image_format), batch.infotexts
        )
        return self.paths(place, row)

    def paths(self, place: str, row: Sequence[int]) -> tuple[str, ...]:
        """Where the images of a batch lie, or will."""
        return tuple(f"{place}/{name}" for name in image_names(row, self.config.image_format))

    def _fits(self, candidate: Candidate, row: Sequence[int]) -> tuple[contest.Fits, Batch]:
        """Mean loss to the targets of each seed's independent image, and the images."""
        batch = self.batch(candidate, row)
        return tuple(fit for fit, _ in self.scorer.score(batch.images, None).per_image), batch

    def batch(self, candidate: Candidate, row: Sequence[int]) -> Batch:
        """Each seed's independent image."""
        recipe = contest.recipe(candidate)
        parts = []
        for part in chunks(recipe, row, self.config):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            parts.append(render(self.host, recipe, part.seeds, self.config, forked=False))
        return Batch(
            np.concatenate([part.images for part in parts]),
            tuple(text for part in parts for text in part.infotexts),
            sum(part.evaluations for part in parts),
        )
