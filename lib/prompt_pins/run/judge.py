"""Judging a prompt by images that are independent of each other: in the contest, and on unseen seeds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import RunConfig
from ..errors import HostInterrupted
from ..host import Batch, Host, Request
from ..search import INTERRUPTED
from ..store import Candidate, Choice, Held
from . import contest, seeds
from .panel import Panel
from .rendering import ahead, chunks, render
from .scoring import Scorer, image_names


class Judge:
    """Renders candidates without forks and compares them, seed by seed."""

    def __init__(self, config: RunConfig, host: Host, scorer: Scorer) -> None:
        self.config, self.host, self.scorer, self.panel = config, host, scorer, scorer.panel

    def choice(self, contestants: Sequence[Candidate], simplest: int | None) -> Choice:
        """The contest.  contestants: the original first; simplest: the index of the simplest finalist."""
        started = time.perf_counter()
        rows = [seeds.contest_seeds(job.seed, self.config.contest_seeds) for job in self.panel.jobs]
        self.ahead(contestants, rows)
        tables: dict[int, tuple[contest.Fits, ...]] = {}
        for payload in self._order():
            tables[payload] = tuple(self.fits(candidate, rows[payload], payload)[0] for candidate in contestants)
        fits = tables[0]
        if self.panel.many:  # of the worst each contestant's own
            shares = self.panel.shares([tables[payload] for payload in range(self.panel.size)])
            fits = tuple(tuple(self.panel.pooled(shares[:, i]).tolist()) for i in range(len(contestants)))
        chosen = contestants[contest.winner(fits, simplest)].id
        cost = self.panel.size * len(rows[0]) * self.config.steps * len(contestants)
        seconds = {"wall": time.perf_counter() - started}
        return Choice(rows[0], tuple(c.id for c in contestants), fits, chosen, cost, seconds)

    def held(self, original: Candidate, pinned: Candidate) -> Held:
        """The check on unseen seeds; its images are kept."""
        started = time.perf_counter()
        rows = [seeds.held_out_seeds(job.seed, self.config.held_out) for job in self.panel.jobs]
        self.ahead([original, pinned], rows)
        found: dict[int, list[tuple[contest.Fits, tuple[str, ...]]]] = {}
        for payload in self._order():
            pairs = (("original", original), ("pinned", pinned))
            found[payload] = [self._unseen(role, one, rows[payload], payload) for role, one in pairs]
        each = [found[payload] for payload in range(self.panel.size)]
        old, new = (tuple(name for pair in each for name in pair[side][1]) for side in (0, 1))
        before, after = (pair[0] for pair in each[0])
        payloads: dict[str, Any] = {}
        if self.panel.many:
            fits = tuple(tuple(fits for fits, _ in pair) for pair in each)
            gains = tuple(contest.improvement(pair[0], pair[1], seed=self.config.cma_seed) for pair in fits)
            before, after = self._together(np.asarray(fits), self.panel)
            payloads = {"payload_fits": fits, "payload_gains": gains}
            passes = self.panel.passes()
            if len(passes) > 1:
                apart = [self._together(np.asarray(fits)[list(one)], self.panel.of_these(one)) for one in passes]
                told = (contest.improvement(old, new, seed=self.config.cma_seed) for old, new in apart)
                payloads["checkpoint_gains"] = tuple(told)
        gain, low, high = contest.improvement(before, after, seed=self.config.cma_seed)
        seconds = {"wall": time.perf_counter() - started}
        return Held(rows[0], before, after, gain, low, high, old, new, seconds, **payloads)

    def _together(self, fits: np.ndarray, panel: Panel) -> tuple[contest.Fits, contest.Fits]:
        """(S,) fits of the original and the pinned prompt over all payloads, of (P, 2, S); the worst is the pinned's.

        Resampled together, as payloads may share their seeds.
        """
        shares = panel.shares(fits)
        worst = panel.highest(shares[:, 1])
        before, after = shares[worst] if panel.worst else panel.pooled(shares)
        return tuple(before.tolist()), tuple(after.tolist())

    def _order(self) -> list[int]:
        """The payloads, those of one checkpoint one after the other."""
        return [payload for payloads in self.panel.passes() for payload in payloads]

    def ahead(self, candidates: Sequence[Candidate], rows: Sequence[Sequence[int]]) -> None:
        """These are rendered next, on each payload's row of seeds."""
        asked = ((payload, candidate) for payload in self._order() for candidate in candidates)
        ahead(self.host, lambda: (r for p, c in asked for r in self._chunks(c, rows[p], p)))

    def _chunks(self, candidate: Candidate, row: Sequence[int], payload: int) -> list[Request]:
        return chunks(contest.recipes(candidate)[payload], row, self.panel.jobs[payload])

    def _unseen(
        self, role: str, candidate: Candidate, row: Sequence[int], payload: int
    ) -> tuple[contest.Fits, tuple[str, ...]]:
        """A candidate's fits on unseen seeds, and the paths of its images."""
        fits, batch = self.fits(candidate, row, payload)
        return fits, self.kept(f"unseen/{role}", batch, row, payload)

    def kept(self, place: str, batch: Batch, row: Sequence[int], payload: int = 0) -> tuple[str, ...]:
        """The paths of a batch's images, which are in that folder of the run now."""
        names, folder = self._names(row, payload), self.scorer.folder
        folder.save_images(folder.path / place, batch.images, names, batch.infotexts)
        return self.paths(place, row, payload)

    def paths(self, place: str, row: Sequence[int], payload: int = 0) -> tuple[str, ...]:
        """Where the images of a batch lie, or will."""
        return tuple(f"{place}/{name}" for name in self._names(row, payload))

    def _names(self, row: Sequence[int], payload: int) -> tuple[str, ...]:
        return image_names(row, self.config.image_format, payload if self.panel.many else None)

    def fits(self, candidate: Candidate, row: Sequence[int], payload: int) -> tuple[contest.Fits, Batch]:
        """Mean loss to the payload's targets of each seed's independent image, and the images."""
        batch = self.batch(candidate, row, payload)
        return tuple(fit for fit, _ in self.scorer.score(batch.images, None, payload).per_image), batch

    def batch(self, candidate: Candidate, row: Sequence[int], payload: int = 0) -> Batch:
        """Each seed's independent image."""
        parts = []
        for part in self._chunks(candidate, row, payload):
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            parts.append(render(self.host, part.recipe, part.seeds, part.job, forked=False))
        return Batch(
            np.concatenate([part.images for part in parts]),
            tuple(text for part in parts for text in part.infotexts),
            sum(part.evaluations for part in parts),
        )
