"""CMA-ES: DEAP's `cma.Strategy` with its own random numbers, the active update and an eigenvalue guard.

May import: numpy, deap.

Equation numbers are those of N. Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772 (2016).
Names are DEAP's: sigma is the step size, cc is ccum, ccov1 is c_1, ccovmu is c_mu.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log, sqrt
from typing import Any

import numpy as np
from deap import cma

from .box import Vector
from .individual import Individual

MAX_CONDITION = 1e14  # largest over smallest eigenvalue of C that double precision can carry


class ActiveStrategy(cma.Strategy):  # type: ignore[misc]
    """One CMA-ES run in an unbounded space of N variables.

    centroid: (N,); step_size > 0; rng: owned by the caller; rates, draws: as in `SearchOptions`;
    params: as for `deap.cma.Strategy`.
    """

    def __init__(
        self,
        centroid: Vector,
        step_size: float,
        rng: np.random.Generator,
        active: bool = True,
        rates: str = "deap",
        draws: str = "independent",
        **params: Any,
    ) -> None:
        self.rng = rng
        self.active = active
        self.rates = rates
        self.draws = draws
        self.repaired = 0
        self.centroid: Vector
        self.C: Vector
        self.B: Vector
        self.BD: Vector
        self.diagD: Vector
        self.ps: Vector
        self.pc: Vector
        super().__init__(np.array(centroid, dtype=np.float64), step_size, **params)
        self._decomposed_at = 0
        # B and D may lag behind C for this many updates without harm (tutorial, B.2)
        self._lag = 1.0 / (self.ccov1 + self.ccovmu + 1e-23) / self.dim / 10.0

    def computeParams(self, params: dict[str, Any]) -> None:  # noqa: N802 (DEAP's name)
        """DEAP's parameters, and `ranks`: the lambda_ recombination weights, the negative ones among them."""
        super().computeParams(params)
        if self.rates == "tutorial":
            super().computeParams(self._tutorial_rates() | params)
        self.ranks = np.zeros(self.lambda_)
        self.ranks[: self.mu] = self.weights
        if self.active and self.ccovmu > 0.0:
            self.ranks[self.mu :] = self._negative_weights(params.get("weights", "superlinear"))

    def _tutorial_rates(self) -> dict[str, float]:
        """c_c and c_mu of the tutorial's table 1, eqs. (56) and (58); DEAP's are of an older version of it."""
        n, mueff = self.dim, self.mueff
        return {
            "ccum": (4.0 + mueff / n) / (n + 4.0 + 2.0 * mueff / n),
            "ccovmu": 2.0 * (0.25 + mueff - 2.0 + 1.0 / mueff) / ((n + 2.0) ** 2 + mueff),
        }

    def _negative_weights(self, kind: str) -> Vector:
        """(lambda_ - mu,) weights <= 0 for the worse half, eqs. (49) to (53)."""
        rank = np.arange(1, self.lambda_ + 1, dtype=np.float64)
        middle = (self.lambda_ + 1) / 2
        raw = {
            "superlinear": log(middle) - np.log(rank),  # (49)
            "linear": middle - rank,
            "equal": -1.0 * (rank > middle),
        }[kind][self.mu :]
        raw = np.minimum(raw, 0.0)
        total = -raw.sum()
        if total == 0.0:
            return np.zeros(self.lambda_ - self.mu)
        mueff_minus = total**2 / (raw**2).sum()
        alpha_mu = 1.0 + self.ccov1 / self.ccovmu  # (50)
        alpha_mueff = 1.0 + 2.0 * mueff_minus / (self.mueff + 2.0)  # (51)
        alpha_posdef = (1.0 - self.ccov1 - self.ccovmu) / (self.dim * self.ccovmu)  # (52)
        return np.asarray(raw * (max(0.0, min(alpha_mu, alpha_mueff, alpha_posdef)) / total))  # (53)

    def generate(self, ind_init: Callable[[Vector], Individual]) -> list[Individual]:
        """lambda_ individuals drawn from N(m, sigma^2 C)."""
        return [ind_init(x) for x in self.sample(self.lambda_)]

    def sample(self, count: int) -> Vector:
        """(count, N) points drawn from N(m, sigma^2 C)."""
        self._decompose(late=True)
        z = self._pairs(count) if self.draws == "pairs" else self.rng.standard_normal((count, self.dim))  # (38)
        return np.asarray(self.centroid + self.sigma * z @ self.BD.T)  # ~ N(m, sigma^2 C), (39), (40)

    def _pairs(self, count: int) -> Vector:
        """(count, N) points, each ~ N(0, I), row 2k + 1 opposite to row 2k, up to N pairs at right angles.

        The last one of an odd count has no opposite (Wang, Emmerich and Baeck 2019, Evolutionary Computation 27(4)).
        """
        found: list[Vector] = []
        while 2 * len(found) < count:
            normal = self.rng.standard_normal((self.dim, min(self.dim, -(-count // 2) - len(found))))
            directions, along = np.linalg.qr(normal)
            lengths = np.linalg.norm(normal, axis=0)
            found += list((directions * np.copysign(lengths, np.diag(along))).T)  # LAPACK's signs are not by chance
        half = np.reshape(found, (len(found), self.dim))
        return np.stack([half, -half], axis=1).reshape(-1, self.dim)[:count]

    def whiten(self, steps: Vector) -> Vector:
        """C^(-1/2) y of steps (..., N)."""
        return np.asarray(((steps @ self.B) / self.diagD) @ self.B.T)

    def update(self, population: list[Individual]) -> None:
        """Learn from evaluated individuals, in any order; one without a valid fitness failed and ranks last.

        With fewer than mu valid individuals the recombination weights are those of the valid ones, scaled
        to sum to 1; with none, only the count of updates rises.  An injected individual at the mean itself is
        left out: it shows no direction, and would only shorten the step.
        """
        moved = [i for i in population if not i.injected or (np.array(i) != self.centroid).any()]
        valid = sorted((i for i in moved if i.fitness.valid), key=lambda i: i.fitness, reverse=True)
        failed = [i for i in moved if not i.fitness.valid]
        if not valid:
            self.update_count += 1
            return
        ranks, mueff = self._ranks_for(valid, failed)
        steps = (np.array(valid + failed) - self.centroid) / self.sigma  # y_i ~ N(0, C)
        steps[:] = self._shortened(steps, valid + failed)
        best = np.where(ranks > 0.0, ranks, 0.0)
        mean_step = best @ steps  # <y>_w, (41)
        self.centroid = self.centroid + self.sigma * mean_step  # (42)
        hsig = self._cumulate(mean_step, self._independent(mueff))
        self._adapt_covariance(steps, ranks, hsig)
        excess = float(np.linalg.norm(self.ps)) / self.chiN - 1.0
        self.sigma *= exp(min(1.0, excess * self.cs / self.damps))  # (44), at most e in one generation

    def _ranks_for(self, valid: Sequence[Individual], failed: Sequence[Individual]) -> tuple[Vector, float]:
        count = len(valid) + len(failed)
        ranks = np.zeros(count)
        parents = min(self.mu, len(valid))
        ranks[:parents] = self.weights[:parents] / self.weights[:parents].sum()
        worst = min(self.lambda_ - self.mu, count - parents)
        if worst:
            ranks[count - worst :] = self.ranks[self.lambda_ - worst :]
        for place, individual in enumerate([*valid, *failed]):
            if individual.injected:
                ranks[place] = max(0.0, ranks[place])
        return ranks, float(1.0 / (ranks[:parents] ** 2).sum())

    def _independent(self, mueff: float) -> float:
        """How many independent steps the mean step is worth, ranked at random.

        Two of a pair cancel each other out where both are parents, by which the paths would be too short and the step
        size would fall without a reason.
        """
        if self.draws != "pairs":
            return mueff
        mates = 2 * (self.lambda_ // 2) / (self.lambda_ * (self.lambda_ - 1))  # the chance that two are a pair
        return float(1.0 / max(1.0 / mueff - mates * (1.0 - 1.0 / mueff), 1e-6))

    def _shortened(self, steps: Vector, population: Sequence[Individual]) -> Vector:
        """Injected steps cut to a length that N(0, C) could have drawn (Hansen 2011, arXiv:1110.4181)."""
        chosen = np.array([individual.injected for individual in population])
        if not chosen.any():
            return steps
        longest = sqrt(self.dim) + 2.0 * self.dim / (self.dim + 2.0)
        lengths = np.linalg.norm(self.whiten(steps[chosen]), axis=1)
        shortened = steps.copy()
        shortened[chosen] *= np.minimum(1.0, longest / np.maximum(lengths, 1e-300))[:, None]
        return shortened

    def _cumulate(self, mean_step: Vector, mueff: float) -> float:
        """Both evolution paths; returns h_sigma."""
        cs, cc = self.cs, self.cc
        self.ps = (1.0 - cs) * self.ps + sqrt(cs * (2.0 - cs) * mueff) * self.whiten(mean_step)  # ~ N(0, I), (43)
        self.update_count += 1
        settled = sqrt(1.0 - (1.0 - cs) ** (2.0 * self.update_count)) if cs > 0.0 else 1.0
        length = float(np.linalg.norm(self.ps)) / settled / self.chiN
        hsig = float(length < 1.4 + 2.0 / (self.dim + 1.0))
        self.pc = (1.0 - cc) * self.pc + hsig * sqrt(cc * (2.0 - cc) * mueff) * mean_step  # ~ N(0, C), (45)
        return hsig

    def _adapt_covariance(self, steps: Vector, ranks: Vector, hsig: float) -> None:
        scaled = ranks.copy()
        negative = ranks < 0.0
        if negative.any():
            lengths = (self.whiten(steps[negative]) ** 2).sum(axis=1)
            scaled[negative] *= self.dim / np.maximum(lengths, 1e-300)  # (46)
        lost = (1.0 - hsig) * self.cc * (2.0 - self.cc)
        decay = 1.0 + self.ccov1 * (lost - 1.0) - self.ccovmu * ranks.sum()
        self.C = (
            decay * self.C + self.ccov1 * np.outer(self.pc, self.pc) + self.ccovmu * (steps.T * scaled) @ steps
        )  # (47)

    def mirror(self, centroid: Vector, sign: Vector) -> None:
        """Carry the state over into the mirrored image: centroid (N,), sign (N,) of +1 or -1."""
        self.centroid = centroid
        self.pc = self.pc * sign
        self.ps = self.ps * sign
        self.C = self.C * np.outer(sign, sign)
        self.B = self.B * sign[:, None]
        self.BD = self.BD * sign[:, None]

    def cap(self, longest: Vector) -> None:
        """Hold every variable's standard deviation below `longest` (N,)."""
        scale = np.minimum(1.0, longest / self.std)
        if (scale < 1.0).any():
            self.C = self.C * np.outer(scale, scale)
            self.pc = self.pc * scale
            self._decompose(late=False)

    @property
    def std(self) -> Vector:
        """(N,) standard deviation of each variable."""
        return np.asarray(self.sigma * np.sqrt(np.maximum(np.diag(self.C), 0.0)))

    @property
    def axis_ratio(self) -> float:
        """Longest over shortest axis of the distribution, as of the last decomposition."""
        return float(self.diagD.max() / self.diagD.min())

    def _decompose(self, late: bool) -> None:
        """C = B D^2 B^T; with `late`, only when C has moved on enough since the last time."""
        behind = self.update_count - self._decomposed_at
        if late and (behind == 0 or behind < self._lag):
            return
        self._decomposed_at = self.update_count
        self.C = (self.C + self.C.T) / 2.0
        values, self.B = np.linalg.eigh(self.C)
        floor = values[-1] / MAX_CONDITION
        if values[0] < floor:
            values = np.maximum(values, floor)
            self.C = (self.B * values) @ self.B.T
            self.repaired += 1
        self.diagD = np.sqrt(values)
        self.BD = self.B * self.diagD
        self.cond = values[-1] / values[0]
