"""The search for the lowest loss: ask, tell, stop, with restarts, injections and a size limit.

May import: numpy, deap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config.resolved import MOST_CANDIDATES
from ..config.search import SearchOptions
from ..errors import OptionError
from . import stopping
from .box import Box, Vector, start_point
from .exchange import Answer, Queue
from .individual import Individual, Loss
from .limiter import SizeLimiter
from .stopping import StopReason
from .strategy import ActiveStrategy
from .warm import WarmStart

LEVEL = 5
"""Centres whose mean loss tells how good a run of CMA-ES is, where each generation has image seeds of its own."""


class SingleSearch:
    """CMA-ES within a box.  The same options and the same tells give the same asks, bit for bit.

    Its distribution lives in an unbounded space that reflection folds into the box; its mean stays between the mirrors.
    """

    def __init__(self, box: Box, options: SearchOptions, warm: WarmStart | None = None) -> None:
        self.box = box
        self.options = options
        self.resolved = options.resolve(box.size)
        self.limiter = SizeLimiter.build(box, options, self.resolved)
        self.generation = 0
        self.evaluations = 0
        self.restart = 0
        self._rng = np.random.Generator(np.random.PCG64(options.cma_seed))
        self._best: tuple[Vector, float] | None = None
        self._to_beat = math.inf
        self._outlived: list[Vector] = []
        self._queue = Queue(box, self.limiter)
        self._rows: Vector | None = None
        self._population: list[Individual] = []
        self._longest = (box.high - box.low) / 3.0  # a wider distribution would fold onto itself
        self._ended: StopReason | None = None
        self._failed_generations = 0
        self._reason: StopReason | None = None
        self._begin(options.start, warm)
        self._tentative, self._fell_back = warm is not None and warm.tentative, False
        if self._tentative:
            self._queue.next(self._centre)

    def _begin(self, start: str, warm: WarmStart | None = None) -> None:
        """Start a CMA-ES run, the first one or a restart."""
        options, growth = self.options, self.options.restart_growth**self.restart
        params = options.given("cs", "damps", "ccum", "ccov1", "ccovmu")
        params |= {"weights": options.weights, "lambda_": min(int(self.resolved.lambda_ * growth), MOST_CANDIDATES)}
        params["mu"] = max(1, min(params["lambda_"], int(self.resolved.mu * growth)))
        step_size = options.initial_std
        if options.cmatrix:
            params["cmatrix"] = covariance(options.cmatrix, self.box.size)
        if warm is None:
            centroid = start_point(self.box, start, options.initial_radius, self._rng)
        else:
            centroid, step_size = self.box.clip(warm.mean), warm.step_size
            if warm.shape is not None:
                params["cmatrix"] = warm.shape
        chosen = options.active, options.rates, options.draws
        self._cma = ActiveStrategy(centroid, step_size, self._rng, *chosen, **params)
        self._cma.cap(self._longest)
        self._first_step = step_size
        self._run_best = math.inf
        self._run_generation = 0
        self._idle = 0
        self._centres: list[float] = []
        self._history: list[float] = []

    def inject(self, vectors: Iterable[ArrayLike]) -> None:
        """Queue candidates (N,) of the user's own; each takes the place of a drawn one in the coming generations."""
        self._queue.add(vectors)

    @property
    def remembered(self) -> list[Vector]:
        """Candidates (N,) to look at again in the end: the user's own, and the best at each restart."""
        return [*self._queue.added, *self._outlived]

    def ask(self) -> Vector:
        """Candidates (rows, N) to score, all within the bounds and the size limit; the same until `tell`.

        rows is lambda_; with rotated seeds, from the second generation on, one more, the first: the centre.
        """
        if self._rows is None:
            self._rows = self._draw()
        return self._rows.copy()

    @property
    def _scores_centre(self) -> bool:
        """Whether the coming generation scores the distribution's centre, too: where it has image seeds of its own."""
        return self.options.seed_policy == "rotated" and self.generation > 0

    def _draw(self) -> Vector:
        lambda_ = self._cma.lambda_
        injected = self._queue.take(lambda_)
        drawn = self.limiter.draw(self._cma.sample, lambda_ - len(injected))
        points = np.concatenate([np.reshape(injected, (len(injected), self.box.size)), drawn])
        first = [self._centre] if self._scores_centre else []
        self._population = [
            Individual(x, Loss(), len(first) + place, place < len(injected)) for place, x in enumerate(points.tolist())
        ]
        return self.limiter.closest(np.array([*first, *self.box.reflect(points)]))

    def tell(
        self,
        losses: Sequence[float | None],
        vectors: ArrayLike | None = None,
        partial: Sequence[bool] | None = None,
    ) -> None:
        """Losses of the rows of the last `ask`, in order; None, NaN or infinite for a candidate that failed.

        vectors: (rows, N) what was really scored, if rounded; only `best` remembers it, the distribution learns from
        its own draws (rounding steps are far below the step size, until the search stops for that).
        partial: rows whose loss is only an estimate (screened out early): they rank behind the others.
        """
        answer = Answer.read(self._rows, losses, vectors, partial)
        drawn = self._population[0].row
        self._keep_best(answer.rows, answer.full, drawn)
        self._learn(answer.ranked[drawn:])
        if self._tentative and self.generation == 0 and not _better(*answer.full[1::-1]):
            self._begin("original")
            self._fell_back = True
        self._rows = None
        self.generation += 1
        self._run_generation += 1
        self.evaluations += len(answer.rows)
        scored = [loss for loss in answer.full[drawn:] if loss is not None]
        self._failed_generations = 0 if scored else self._failed_generations + 1
        self._history.append(min(scored, default=math.inf))
        if self.generation in (self.resolved.quarter_generations, self.resolved.early_generations):
            # losses of batches of two sizes are only about alike
            self._centres, self._to_beat = [], math.inf
        self._conclude(scored)

    def _keep_best(self, rows: Vector, full: Sequence[float | None], drawn: int) -> None:
        """Update the best: the lowest loss or, where each generation has image seeds of its own, the latest centre.

        One row of seeds says little of a candidate; the centre is what many rows have led to.
        drawn: the first row that was drawn.
        """
        self._idle += 1
        if drawn:
            centre = full[0]
            if centre is not None:
                self._centres.append(centre)
                if self._level < self._to_beat:
                    self._best = (rows[0].copy(), centre)
            return
        ranked = sorted((value, row) for row, value in enumerate(full) if value is not None)
        if not ranked:
            return
        loss, row = ranked[0]
        if self._best is None or loss < self._best[1]:
            self._best = (rows[row].copy(), loss)
        if not math.isfinite(self._run_best) or loss < self._enough(self._run_best):
            self._run_best, self._idle = loss, 0

    @property
    def _level(self) -> float:
        """The mean loss of this run's last centres; infinite without one."""
        return float(np.mean(self._centres[-LEVEL:])) if self._centres else math.inf

    def _enough(self, loss: float) -> float:
        """What is lower than this is progress from `loss`."""
        return loss - self.options.min_progress * abs(loss)

    def _stagnant(self) -> bool:
        """Whether nothing was gained for as long as the user's patience.

        The best has not fallen or, where each generation has image seeds of its own, the centres of that many
        generations are in the mean no lower than those of as many before.
        """
        patience = self.options.patience
        if self.options.seed_policy == "fixed":
            return 0 < patience <= self._idle
        before, recent = self._centres[-2 * patience : -patience], self._centres[-patience:]
        return 0 < patience == len(before) and float(np.mean(recent)) >= self._enough(float(np.mean(before)))

    def _learn(self, ranked: Sequence[float | None]) -> None:
        assert self._rows is not None
        for individual, value in zip(self._population, ranked):
            if value is None:
                continue
            values: tuple[float, ...] = (value,)
            if self.limiter.limit and not self.limiter.hard:
                inside = Individual(self.box.reflect(np.array(individual)).tolist())
                values = self.limiter.penalised(inside, self._rows[individual.row].tolist(), values)
            individual.fitness.values = values
        self._cma.update(self._population)
        self._stay_inside()

    def _stay_inside(self) -> None:
        """Bring the mean back between the mirrors, and the rest of the distribution with it."""
        self._cma.mirror(*self.box.fold(self._cma.centroid))
        self._cma.cap(self._longest)

    def _conclude(self, scored: Sequence[float]) -> None:
        """Find out whether to stop, or to start again."""
        final = self._final_reason(scored)
        if final is None:
            ended = self._run_ended(scored)
            if ended is not None and self.restart < self.options.restarts:
                self.restart += 1
                self._to_beat = min(self._to_beat, self._level)
                self._outlived += [] if self._best is None else [self._best[0]]
                self._ended = ended
                self._begin(self.options.restart_start)
            else:
                final = ended
        budget = self.options.max_evaluations
        rows = self._cma.lambda_ + self._scores_centre
        if final is None and budget and self.evaluations + rows > budget:
            final = stopping.evaluations_used(self.evaluations, budget)
        self._reason = final

    def _final_reason(self, scored: Sequence[float]) -> StopReason | None:
        """A reason to stop for good."""
        target, best = self.options.target_loss, self.best
        if target is not None and best is not None and best[1] <= target:
            return stopping.target_reached(best[1], target)
        if self.generation == 1 and stopping.is_flat(scored):
            return stopping.NO_EFFECT
        if self._failed_generations >= stopping.FAILED_GENERATIONS:
            return stopping.all_failed(self._failed_generations)
        if self.generation >= self.resolved.generations:
            return stopping.generations_used(self.resolved.generations)
        return None

    def _run_ended(self, scored: Sequence[float]) -> StopReason | None:
        """A reason why this run of CMA-ES is over; a restart may follow."""
        options, cma = self.options, self._cma
        longest = float(cma.std.max())
        if longest < (options.resolution or self._first_step * stopping.MIN_STEP_SHRINK):
            return stopping.step_too_small(longest, options.resolution)
        if stopping.is_flat(scored):
            return stopping.flat_fitness()
        if cma.sigma > self._first_step * stopping.MAX_STEP_GROWTH and not np.isfinite(self.box.high).all():
            return stopping.step_too_large(cma.sigma)
        if cma.axis_ratio > stopping.MAX_AXIS_RATIO:
            return stopping.ill_conditioned(cma.axis_ratio)
        if self._stagnant():
            return stopping.stagnated(options.patience, options.min_progress)
        window = 10 + math.ceil(30 * self.box.size / cma.lambda_)
        recent = [*self._history[-window:], *scored]
        if self._run_generation >= window and max(recent) - min(recent) < stopping.LOSS_TOLERANCE:
            return stopping.converged(window)
        return None

    @property
    def best(self) -> tuple[Vector, float] | None:
        """The best as it was scored (N,), and its loss."""
        if self._best is None:
            return None
        vector, loss = self._best
        return vector.copy(), loss

    def stop(self) -> StopReason | None:
        """Why the search is over, in words; None: ask for another generation."""
        return self._reason

    @property
    def _centre(self) -> Vector:
        """The distribution's mean as a point of the box, within the size limit (N,)."""
        return self.limiter.closest(self.box.clip(self._cma.centroid))

    def state(self) -> dict[str, Any]:
        """Plain numbers for the journal and the plots."""
        best = self.best
        return {
            "generation": self.generation,
            "evaluations": self.evaluations,
            "restart": self.restart,
            "restarted_because": self._ended,
            "population": self._cma.lambda_,
            "step_size": float(self._cma.sigma),
            "axis_ratio": self._cma.axis_ratio,
            "mean": self._centre.tolist(),
            "std": self._cma.std.tolist(),
            "best": None if best is None else best[0].tolist(),
            "best_loss": None if best is None else best[1],
            **({"fell_back": self._fell_back} if self._tentative else {}),
        }


def _better(loss: float | None, than: float | None) -> bool:
    """Whether a loss is lower; a candidate that failed has none."""
    return loss is not None and (than is None or loss < than)


def covariance(values: Sequence[float], size: int) -> Vector:
    """(N, N) from N variances or N rows of N numbers.  Raises `OptionError`."""
    table = np.array(values, dtype=np.float64)
    if table.size not in (size, size**2):
        raise OptionError("cmatrix", f"{table.size} numbers", f"{size} or {size**2} numbers, for {size} weights")
    matrix = np.diag(table) if table.size == size else table.reshape(size, size)
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
        raise OptionError("cmatrix", list(values), "a symmetric, positive definite matrix")
    return np.asarray(matrix)
