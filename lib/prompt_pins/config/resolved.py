"""The search's parameters that depend on the number of weights, and how large a search may be.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError

MOST_WEIGHTS = 2000
"""Weights that may vary: a covariance matrix of so many takes 32 MB, and a search keeps about ten such."""
MOST_CANDIDATES = 10_000
"""Candidates of a generation, also after restarts."""
MOST_NUMBERS = 2**27
"""Numbers in the matrices of all parents of a search with two objectives: 1 GiB."""


@dataclass(frozen=True)
class Resolved:
    """The parameters whose defaults depend on the number of variables or on the size limit."""

    generations: int
    early_generations: int
    quarter_generations: int
    lambda_: int
    mu: int
    mo_mu: int
    mo_lambda_: int
    size_limit_error: float
    size_limit_weight: float


def resolve(options: Any, size: int) -> Resolved:
    """The numbers of `SearchOptions` that depend on N = `size` >= 1 variables.

    Raises `OptionError`: mu > lambda_, or more weights than a search has room for.
    """
    if size > MOST_WEIGHTS:
        raise OptionError(
            "prompt", f"{size} weights", f"at most {MOST_WEIGHTS}; vary phrases or groups, or fewer words"
        )
    population = int(4 + 3 * math.log(size))
    lambda_ = options.lambda_ or population
    mu = options.mu or lambda_ // 2
    if mu > lambda_:
        raise OptionError("mu", mu, f"at most lambda_, which is {lambda_} for {size} weights")
    mo_mu = options.mo_mu or population
    if options.objectives == 2 and mo_mu * size**2 > MOST_NUMBERS:
        raise OptionError("mo_mu", mo_mu, f"at most {MOST_NUMBERS // size**2} for {size} weights")
    limit = options.size_limit
    generations = options.generations or max(16, int(16 * math.floor(math.log(size))))
    early = min(options.early_generations, generations // 2) if options.seed_policy == "rotated" else 0
    return Resolved(
        generations=generations,
        early_generations=early,
        quarter_generations=min(options.quarter_generations, early // 2),
        lambda_=lambda_,
        mu=mu,
        mo_mu=mo_mu,
        mo_lambda_=options.mo_lambda_ or mo_mu,
        size_limit_error=limit / 100 if options.size_limit_error is None else options.size_limit_error,
        size_limit_weight=limit * 10 if options.size_limit_weight is None else options.size_limit_weight,
    )
