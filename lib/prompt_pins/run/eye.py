"""By eye: what the user sees in the place of a loss, and what is made of the answers.

The run asks, waits without working until the answer lies in its folder, and goes on.  Imports numpy.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import HostInterrupted
from ..search import INTERRUPTED
from ..search.stopping import StopReason
from ..store import Candidate, Choice, Held, Journal, Question, Record, RunFolder, Verdict, events, questions, to_json
from . import contest, seeds
from .judge import Judge

POLL = 0.3
"""Seconds between two looks at the run's folder."""
ENOUGH = StopReason("enough", "the user has seen enough")
CONTEST, UNSEEN = 1, 2  # of the orders in which things are shown; generations count on from there
FITS = {questions.ALIKE: (0.5, 0.5), questions.LEFT: (0.0, 1.0), questions.RIGHT: (1.0, 0.0)}

Asking = Generator[events.Event, None, Any]


class Eye:
    """Asks the user of one run.  record: what was asked and answered before; judge: renders without scoring."""

    def __init__(self, folder: RunFolder, journal: Journal, record: Record, judge: Judge) -> None:
        self.config, self.host, self.folder, self.journal, self.judge = judge.config, judge.host, folder, journal, judge
        self._questions, self._verdicts = list(record.questions), {v.number: v for v in record.verdicts}
        self.reason: StopReason | None = None
        self.waited = 0.0

    def ranked(self, number: int, done: Sequence[Candidate]) -> Asking:
        """A generation's candidates, each with its loss; what failed is not shown.

        Candidates of the same recipe are shown once.  Where fewer than two are left, nobody is asked.
        """
        shown = {c.id: tuple(f"{c.folder}/{name}" for name in c.images) for c in done if not c.error}
        order = self._order(UNSEEN + number).permutation(len(shown))
        ids = [list(shown)[place] for place in order]
        found = dict.fromkeys(ids, 0.5)
        if len(ids) > 1:
            verdict = yield from self._answer("generation", ids, [shown[name] for name in ids])
            found = dict(zip(ids, questions.losses(verdict.answers)))
            self.reason = ENOUGH if verdict.enough else None
        return [c if c.error else dataclasses.replace(c, loss=found[c.id]) for c in done]

    def choice(self, contestants: Sequence[Candidate], simplest: int | None) -> Asking:
        """The contest, as `Judge.choice`: each finalist's one value is its loss by its place."""
        started, fresh = time.perf_counter(), seeds.contest_seeds(self.config.seed, self.config.contest_seeds)
        ids = [contestants[place].id for place in self._order(CONTEST).permutation(len(contestants))]
        images = {c.id: self.judge.paths(f"contest/{c.id}", fresh) for c in contestants}
        before, losses = self.waited, dict.fromkeys(ids, 0.0)
        if len(ids) > 1:
            if self._known("contest", ids) is None:
                self.judge.ahead(contestants, [fresh])
                for one in contestants:
                    self.judge.kept(f"contest/{one.id}", self.judge.batch(one, fresh), fresh)
            verdict = yield from self._answer("contest", ids, [images[name] for name in ids])
            losses = dict(zip(ids, questions.losses(verdict.answers)))
        fits = tuple((losses[one.id],) for one in contestants)
        chosen = contestants[contest.winner(fits, simplest)].id
        cost = len(fresh) * self.config.steps * len(contestants)
        seconds = {"wall": time.perf_counter() - started - (self.waited - before)}
        return Choice(fresh, tuple(one.id for one in contestants), fits, chosen, cost, seconds)

    def held(self, original: Candidate, pinned: Candidate) -> Asking:
        """One of two on each unseen seed, without telling which is which."""
        started, before = time.perf_counter(), self.waited
        unseen = seeds.held_out_seeds(self.config.seed, self.config.held_out)
        swapped = self._order(UNSEEN).integers(2, size=len(unseen)).astype(bool).tolist()
        sides = {"original": original, "pinned": pinned}
        old, new = (self.judge.paths(f"unseen/{role}", unseen) for role in sides)
        pairs = [(two, one) if swap else (one, two) for one, two, swap in zip(old, new, swapped)]
        if self._known("unseen", [original.id, pinned.id]) is None:
            self.judge.ahead([original, pinned], [unseen])
            for role, one in sides.items():
                self.judge.kept(f"unseen/{role}", self.judge.batch(one, unseen), unseen)
        verdict = yield from self._answer("unseen", [original.id, pinned.id], pairs)
        fits = [FITS[said][::-1] if swap else FITS[said] for said, swap in zip(verdict.answers, swapped)]
        gain, low, high = preference(sum(one > two for one, two in fits), sum(two > one for one, two in fits))
        seconds = {"wall": time.perf_counter() - started - (self.waited - before)}
        before_it, after_it = (tuple(row[side] for row in fits) for side in (0, 1))
        return Held(unseen, before_it, after_it, gain, low, high, old, new, seconds, by_eye=True)

    def _order(self, of: int) -> np.random.Generator:
        """The random numbers by which one question is shown."""
        return np.random.Generator(np.random.PCG64([self.config.cma_seed, of]))

    def _known(self, part: str, ids: Sequence[str]) -> Question | None:
        """That question, if it was asked: the last one, or one that was answered."""
        alike = [one for one in self._questions if (one.part, one.ids) == (part, tuple(ids))]
        return next((one for one in alike if one is self._questions[-1] or one.number in self._verdicts), None)

    def _answer(self, part: str, ids: Sequence[str], images: Iterable[Sequence[str]]) -> Asking:
        """The verdict on a question, which is asked if it was not."""
        question = self._known(part, ids)
        if question is None:
            question = Question(len(self._questions) + 1, part, tuple(ids), tuple(map(tuple, images)))
            self.journal.append(to_json(question), sync=True)
            self._questions.append(question)
        if question.number not in self._verdicts:
            yield events.Asked(question)
            started = time.monotonic()
            said = self._wait(question)
            taken = time.monotonic() - started
            self.waited += taken
            verdict = self._verdicts[question.number] = dataclasses.replace(said, seconds={"waited": taken})
            self.journal.append(to_json(verdict), sync=True)
            yield events.Answered(verdict, taken)
        return self._verdicts[question.number]

    def _wait(self, question: Question) -> Verdict:
        """As long as it takes.  Raises `HostInterrupted`, and `MovedError` where the folder goes away."""
        while True:
            found = questions.read(self.folder.path, question)
            if found is not None:
                return found
            if self.host.interrupted():
                raise HostInterrupted(INTERRUPTED)
            self.journal.check_place()
            time.sleep(POLL)


def preference(pinned: int, original: int) -> tuple[float, float, float]:
    """By how much more often the pinned one was chosen, as a share from -1 to 1, and the 95 % interval of that.

    pinned, original: seeds on which each was chosen; those without a difference tell nothing.  The interval is exact
    (Clopper and Pearson, Biometrika 26, 1934), the one of a sign test.
    """
    decided, tail = pinned + original, (1 - contest.CONFIDENCE) / 2
    if not decided:
        return 0.0, -1.0, 1.0
    low = 0.0 if pinned == 0 else 1.0 - _share(original, decided, tail)
    high = 1.0 if original == 0 else _share(pinned, decided, tail)
    return 2 * pinned / decided - 1, 2 * low - 1, 2 * high - 1


def _share(count: int, of: int, tail: float) -> float:
    """The share p at which so many or fewer of `of` are as unlikely as `tail`, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        likely = math.fsum(
            math.exp(
                math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
                + k * math.log(p) + (of - k) * math.log1p(-p)
            )
            for k in range(count + 1)
        )  # fmt: skip
        low, high = (p, high) if likely > tail else (low, p)
    return (low + high) / 2
