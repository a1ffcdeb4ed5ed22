"""The search for low loss near the original prompt: two objectives, and their Pareto front.

May import: numpy, deap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config.search import SearchOptions
from . import stopping
from .box import Box, Vector, start_point
from .exchange import Answer, Queue
from .individual import Individual, LossAndDistance
from .limiter import SizeLimiter
from .pareto import FrontPoint, ParetoStrategy, hypervolume, with_point
from .stopping import StopReason
from .warm import WarmStart


class TwoObjectiveSearch:
    """MO-CMA-ES within a box on (loss, L2 distance from the original).  Replays exactly, as `SingleSearch` does.

    The first generation is the population of parents, the original among them.
    """

    def __init__(self, box: Box, options: SearchOptions, warm: WarmStart | None = None) -> None:
        self.box = box
        self.options = options
        self.resolved = options.resolve(box.size)
        self.limiter = SizeLimiter.build(box, options, self.resolved)
        self.generation = 0
        self.evaluations = 0
        self.front: tuple[FrontPoint, ...] = ()
        self._rng = np.random.Generator(np.random.PCG64(options.cma_seed))
        self._warm = warm
        self._step = options.initial_std if warm is None else warm.step_size
        self._strategy: ParetoStrategy | None = None
        self._queue = Queue(box, self.limiter)
        self._population: list[Individual] = []
        self._rows: Vector | None = None
        self._reference: tuple[float, float] | None = None
        self._area = 0.0
        self._idle = 0
        self._failed_generations = 0
        self._reason: StopReason | None = None

    def inject(self, vectors: Iterable[ArrayLike]) -> None:
        """Queue candidates (N,) of the user's own; each takes the place of a drawn one in the coming generations."""
        self._queue.add(vectors)

    @property
    def remembered(self) -> list[Vector]:
        """The user's own candidates (N,), to look at again in the end."""
        return self._queue.added

    def ask(self) -> Vector:
        """Candidates (rows, N) to score, all within the bounds and the size limit; the same until `tell`.

        rows is mo_mu in the first generation (and until one of it is scored), then mo_lambda_.
        """
        if self._rows is None:
            self._population = self._founders() if self._strategy is None else self._children(self._strategy)
            points = np.array(self._population, dtype=np.float64)
            self._rows = self.limiter.closest(points)
        return self._rows.copy()

    def _individual(self, point: Vector) -> Individual:
        return Individual(point.tolist(), LossAndDistance())

    def _draw(self, sample: Callable[[int], Vector]) -> Vector:
        point: Vector = self.box.reflect(self.limiter.draw(sample, 1))[0]
        return point

    def _founders(self) -> list[Individual]:
        count = self.resolved.mo_mu
        founders = [self._individual(point) for point in self._queue.take(count)]
        return founders + [self._individual(self._draw(self._scattered)) for _ in range(count - len(founders))]

    def _scattered(self, count: int) -> Vector:
        options, size = self.options, self.box.size
        if self._warm is None and options.start != "original":
            starts = (start_point(self.box, options.start, options.initial_radius, self._rng) for _ in range(count))
            return np.array(list(starts))
        centre = self.box.original if self._warm is None else self._warm.mean
        shape = np.eye(size) if self._warm is None or self._warm.shape is None else self._warm.shape
        z = self._rng.standard_normal((count, size))
        return np.asarray(centre + self._step * z @ np.linalg.cholesky(shape).T)

    def _children(self, strategy: ParetoStrategy) -> list[Individual]:
        children = strategy.generate(self._individual)
        for place, point in enumerate(self._queue.take(len(children))):
            children[place] = self._individual(point)
            strategy.adopt(children[place])
        return children

    def tell(
        self,
        losses: Sequence[float | None],
        vectors: ArrayLike | None = None,
        partial: Sequence[bool] | None = None,
    ) -> None:
        """Losses of the rows of the last `ask`, in order; None, NaN or infinite for a candidate that failed.

        vectors: (rows, N) what was really scored, if rounded; its distances and the front are of these.
        partial: rows whose loss is only an estimate (screened out early): they never become parents.
        """
        answer = Answer.read(self._rows, losses, vectors, partial)
        self._score(answer.rows, answer.full)
        self._learn()
        self._rows = None
        self.generation += 1
        self.evaluations += len(answer.rows)
        self._conclude([loss for loss in answer.full if loss is not None])

    def _score(self, rows: Vector, values: Sequence[float | None]) -> None:
        for individual, row, loss in zip(self._population, rows, values, strict=True):
            if loss is None:
                continue
            distance = float(self.box.distance(row))
            scores: tuple[float, ...] = (loss, distance)
            if self.limiter.limit and not self.limiter.hard:
                scores = self.limiter.penalised(individual, row.tolist(), scores)
            individual.fitness.values = scores
            self.front = with_point(self.front, FrontPoint(tuple(row.tolist()), loss, distance))

    def _learn(self) -> None:
        if self._strategy is not None:
            self._strategy.update(self._population)
            return
        parents = [individual for individual in self._population if individual.fitness.valid]
        if not parents:
            return
        params = self.options.given("d", "ptarg", "cp", "cc", "ccov", "pthresh")
        params |= {"mu": self.resolved.mo_mu, "lambda_": self.resolved.mo_lambda_}
        self._strategy = ParetoStrategy(parents, self._step, self._rng, self._draw, **params)

    def _conclude(self, scored: Sequence[float]) -> None:
        self._failed_generations = 0 if scored else self._failed_generations + 1
        if self._reference is None and scored:
            self._reference = max(scored), self._reach()
        area = 0.0 if self._reference is None else hypervolume(self.front, *self._reference)
        progress = area > self._area * (1.0 + self.options.min_progress)
        if progress:
            self._area = area
        self._idle = 0 if progress else self._idle + 1
        self._reason = self._found_reason(scored)

    def _reach(self) -> float:
        """How far from the original a candidate can be."""
        if self.limiter.limit:
            return self.limiter.limit + self.limiter.error
        corner = np.maximum(self.box.high - self.box.original, self.box.original - self.box.low)
        far = float(np.linalg.norm(corner))
        return far if np.isfinite(far) else 100.0 * self._step * float(np.sqrt(self.box.size))

    def _found_reason(self, scored: Sequence[float]) -> StopReason | None:
        options, best = self.options, self.best
        if options.target_loss is not None and best is not None and best[1] <= options.target_loss:
            return stopping.target_reached(best[1], options.target_loss)
        if self.generation == 1 and stopping.is_flat(scored):
            return stopping.NO_EFFECT
        if self._failed_generations >= stopping.FAILED_GENERATIONS:
            return stopping.all_failed(self._failed_generations)
        if self.generation >= self.resolved.generations:
            return stopping.generations_used(self.resolved.generations)
        following = self.resolved.mo_mu if self._strategy is None else self.resolved.mo_lambda_
        if options.max_evaluations and self.evaluations + following > options.max_evaluations:
            return stopping.evaluations_used(self.evaluations, options.max_evaluations)
        if self._strategy is not None:
            longest = float(self._strategy.std().max())
            if longest < (options.resolution or self._step * stopping.MIN_STEP_SHRINK):
                return stopping.step_too_small(longest, options.resolution)
            if self._strategy.axis_ratio() > stopping.MAX_AXIS_RATIO:
                return stopping.ill_conditioned(self._strategy.axis_ratio())
        if options.patience and self._idle >= options.patience:
            return stopping.stagnated(options.patience, options.min_progress)
        return None

    @property
    def best(self) -> tuple[Vector, float] | None:
        """The candidate of the lowest loss as it was scored (N,), and its loss."""
        if not self.front:
            return None
        point = min(self.front, key=lambda p: p.loss)
        return np.array(point.vector), point.loss

    def stop(self) -> StopReason | None:
        """Why the search is over, in words; None: ask for another generation."""
        return self._reason

    def state(self) -> dict[str, Any]:
        """Plain numbers for the journal and the plots; step size, mean and std are means over the parents."""
        strategy, best = self._strategy, self.best
        std = np.full(self.box.size, self._step) if strategy is None else strategy.std().mean(axis=0)
        mean = self.box.original if strategy is None else np.mean(np.array(strategy.parents), axis=0)
        mean = self.limiter.closest(self.box.clip(mean))  # a mean of equal numbers may be rounded past them
        return {
            "generation": self.generation,
            "evaluations": self.evaluations,
            "restart": 0,
            "restarted_because": None,
            "population": self.resolved.mo_lambda_,
            "step_size": self._step if strategy is None else float(np.mean(strategy.sigmas)),
            "axis_ratio": 1.0 if strategy is None else strategy.axis_ratio(),
            "mean": mean.tolist(),
            "std": std.tolist(),
            "best": None if best is None else best[0].tolist(),
            "best_loss": None if best is None else best[1],
            "front": [[point.loss, point.distance] for point in self.front],
        }
