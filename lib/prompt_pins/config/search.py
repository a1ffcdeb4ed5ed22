"""The parameters of the search, with the names, defaults and meanings of the seed's tables.

Standard library only.

A field of the preset is `None` until the preset has filled it in, which is done at once.  Another whose default is
0 or `None` is worked out from N, the number of variables; `resolve` does that.
Lengths (steps, radii, distances, resolution) are in units of emphasis weight.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ..errors import OptionError
from ..options import checked, option
from .presets import LIKELY, PRESETS, STARTS, limits
from .resolved import MOST_CANDIDATES, Resolved, resolve

RECOMBINATION = ("superlinear", "linear", "equal")
RATES = ("deap", "tutorial")
DRAWS = ("independent", "pairs")
LIMITERS = ("penalty", "constraint")
SEED_POLICIES = ("fixed", "rotated")
GENERATIONS: Any = {"low": 0, "high": 10**6, "by_preset": True}


@dataclass(frozen=True)
class SearchOptions:
    """What the user may choose about the search.  Raises `OptionError` when a value is not allowed."""

    GROUP: ClassVar[str] = "Search"

    preset: str = option(
        "Balanced",
        label="Preset",
        choices=tuple(PRESETS),
        help="What the options have that are left empty. Classic: the seed project's defaults, a random start, small "
        "steps, the whole budget (at most 320 candidates for 8 weights). Balanced: from where the targets are likely, "
        "larger steps, new image seeds in each generation, an end when nothing is gained any more (at most 351). "
        "Quick: generations of 6 and little patience (at most 192).",
    )
    cma_seed: int = option(0, label="CMA seed", low=0, high=2**63 - 1, help="Seed of the search's own random numbers.")
    generations: int = option(
        0,
        label="Number of generations",
        low=0,
        high=10**6,
        help="Budget of generations. 0: int(16 * floor(log(N))), at least 16.",
    )
    max_evaluations: int = option(
        0,
        label="Number of candidates",
        low=0,
        high=10**9,
        help="Budget of candidates, over all restarts. 0: no such budget.",
    )
    initial_std: float = option(
        None,
        label="Initial population STD",
        low=1e-6,
        high=100.0,
        by_preset=True,
        help="Step size of the first generation. Empty: the preset's (Classic 0.05, Balanced and Quick 0.2).",
    )
    initial_radius: float = option(
        0.25, label="Initial population radius", low=0.0, high=100.0,
        help="Half width of the uniform distribution of a random start around the original weights.",
    )  # fmt: skip
    start: str = option(
        None,
        label="Start",
        choices=(*STARTS, LIKELY),
        by_preset=True,
        help="Centre of the first generation: the original weights, random within the initial radius, anywhere in the "
        "bounds, or where the denoiser finds the targets likely. Empty: the preset's (Classic random, Balanced and "
        "Quick likely).",
    )

    warm_start: str = option(
        "",
        label="Warm start",
        help="An earlier run, whose best candidates the search begins at, or a map's cluster: 12, 5/2. Empty: none.",
    )
    inject: tuple[str, ...] = option(
        (),
        label="Own candidates",
        help="The prompt with weights of your own, tried in the first generations; the negative prompt's after ###.",
    )

    lambda_: int = option(
        None,
        label="lambda_",
        low=0,
        high=MOST_CANDIDATES,
        by_preset=True,
        help="Candidates a generation, at least 2. 0: int(4 + 3 * log(N)). Empty: the preset's (Classic and "
        "Balanced 0, Quick 6).",
    )
    mu: int = option(
        0,
        label="mu",
        low=0,
        high=MOST_CANDIDATES,
        help="Parents kept from the lambda_ candidates. 0: int(lambda_ / 2).",
    )
    cmatrix: tuple[float, ...] = option(
        (),
        label="cmatrix",
        low=-1e6,
        high=1e6,
        help="Initial covariance matrix: N variances, or N rows of N numbers, one after the other. Empty: identity(N).",
    )
    weights: str = option(
        "superlinear", label="weights", choices=RECOMBINATION, help="How the weights of the parents decrease."
    )
    cs: float | None = option(
        None,
        label="cs",
        low=0.0,
        high=1.0,
        help="Cumulation constant for step-size. Empty: (mueff + 2) / (N + mueff + 3).",
    )
    damps: float | None = option(
        None,
        label="damps",
        low=1e-3,
        high=1e6,
        help="Damping for step-size. Empty: 1 + 2 * max(0, sqrt((mueff - 1) / (N + 1)) - 1) + cs.",
    )
    ccum: float | None = option(
        None, label="ccum", low=0.0, high=1.0, help="Cumulation constant for covariance matrix. Empty: 4 / (N + 4)."
    )
    ccov1: float | None = option(
        None, label="ccov1", low=0.0, high=1.0,
        help="Learning rate for rank-one update. Empty: 2 / ((N + 1.3)^2 + mueff).",
    )  # fmt: skip
    ccovmu: float | None = option(
        None, label="ccovmu", low=0.0, high=1.0,
        help="Learning rate for rank-mu update. Empty: 2 * (mueff - 2 + 1 / mueff) / ((N + 2)^2 + mueff).",
    )  # fmt: skip
    rates: str = option(
        None,
        label="Learning rates",
        choices=RATES,
        by_preset=True,
        help="What ccum and ccovmu are when empty: DEAP's formulas as above, or the newer ones of Hansen's tutorial, "
        "which learn the shape of the loss faster. Empty: the preset's (Classic deap, Balanced and Quick tutorial).",
    )
    active: bool = option(
        None,
        label="Active update",
        by_preset=True,
        help="Let the worst candidates shrink the covariance matrix (negative weights). Empty: the preset's (Classic "
        "no, Balanced and Quick yes).",
    )
    draws: str = option(
        None, label="Draws", choices=DRAWS, by_preset=True,
        help="A generation's candidates: independent, or pairs opposite each other around the centre, at right angles "
        "to other pairs; with one objective. Empty: the preset's (Classic independent, Balanced and Quick pairs).",
    )  # fmt: skip

    size_limit: float = option(
        0.0,
        label="Multi-objective size limiter",
        low=0.0,
        high=1e4,
        help="Largest L2 distance from the original weights. 0: no limit.",
    )
    size_limit_error: float | None = option(
        None,
        label="Size limit error",
        low=0.0,
        high=1e4,
        help="Distances up to the limit plus this are close enough. Empty: size limiter / 100.",
    )
    size_limit_weight: float | None = option(
        None,
        label="Size limit weight",
        low=0.0,
        high=1e6,
        help="Loss added for each unit of distance beyond the limit (penalty). Empty: size limiter * 10.",
    )
    size_limiter: str = option(
        "penalty",
        label="Size limiter as",
        choices=LIMITERS,
        help="Beyond the limit: score the closest valid weights and add a penalty, or never go there.",
    )

    objectives: int = option(
        1,
        label="Objectives",
        low=1,
        high=2,
        help="1: the loss. 2: the loss and the L2 distance from the original weights.",
    )
    mo_mu: int = option(
        0,
        label="mu (two objectives)",
        low=0,
        high=1000,
        help="Parents. 0: the size of the population, int(4 + 3 * log(N)).",
    )
    mo_lambda_: int = option(
        1,
        label="lambda_ (two objectives)",
        low=0,
        high=MOST_CANDIDATES,
        help="Children a generation. 0: as many as parents.",
    )
    d: float | None = option(None, label="d", low=1e-3, high=1e6, help="Damping for step-size. Empty: 1.0 + N / 2.0.")
    ptarg: float | None = option(
        None, label="ptarg", low=1e-3, high=0.999, help="Target success rate. Empty: 1.0 / (5 + 1.0 / 2.0)."
    )
    cp: float | None = option(
        None, label="cp", low=0.0, high=1.0, help="Step size learning rate. Empty: ptarg / (2.0 + ptarg)."
    )
    cc: float | None = option(
        None, label="cc", low=0.0, high=1.0, help="Cumulation time horizon. Empty: 2.0 / (N + 2.0)."
    )
    ccov: float | None = option(
        None, label="ccov", low=0.0, high=0.999, help="Covariance matrix learning rate. Empty: 2.0 / (N**2 + 6.0)."
    )
    pthresh: float | None = option(
        None, label="pthresh", low=0.0, high=1.0, help="Threshold success rate. Empty: 0.44."
    )
    target_loss: float | None = option(
        None, label="Target loss", low=-1e9, high=1e9, help="Stop at a loss as low as this."
    )
    patience: int = option(
        None,
        label="Patience",
        **GENERATIONS,
        help="Stop after this many generations without progress. 0: never. Empty: the preset's (Classic 0, Balanced "
        "12, Quick 6).",
    )
    min_progress: float = option(
        None,
        label="Least progress",
        low=0.0,
        high=1.0,
        by_preset=True,
        help="The share by which the best loss must fall to count as progress. Empty: the preset's (Classic 0, "
        "Balanced 0.002, Quick 0.01).",
    )
    resolution: float = option(
        0.001,
        label="Resolution",
        low=0.0,
        high=10.0,
        help="Weights are printed in steps of this; a search that moves by less is over. 0: not rounded.",
    )
    restarts: int = option(
        0,
        label="Restarts",
        low=0,
        high=100,
        help="How often a search that has converged starts again with a larger population, within its budget; with one "
        "objective only.",
    )
    restart_growth: float = option(
        2.0, label="Growth at a restart", low=1.0, high=10.0, help="Factor of the population at each restart (IPOP)."
    )
    restart_start: str = option("random", label="Start of a restart", choices=STARTS, help="Its centre, as Start.")
    seed_policy: str = option(
        None,
        label="Image seeds",
        choices=SEED_POLICIES,
        by_preset=True,
        help="The same image seeds in every generation, or new ones; then each generation scores the search's centre, "
        "too, which is the best so far. Empty: the preset's (Classic and Quick fixed, Balanced rotated; fixed with two "
        "objectives).",
    )
    early_generations: int = option(
        None,
        label="Generations of half batches",
        **GENERATIONS,
        help="With new image seeds in each generation, the candidates of so many of the first generations, at most "
        "half of all, have half of the images (of 4 and more; not where Fork policy names steps). 0: none. Empty: the "
        "preset's (Classic and Quick 0, Balanced 8).",
    )
    quarter_generations: int = option(
        None,
        label="Generations of quarter batches",
        **GENERATIONS,
        help="Of those of half batches the first so many, at most half, have a quarter of the images (of 8 and more). "
        "0: none. Empty: the preset's (Classic and Quick 0, Balanced 4).",
    )

    def __post_init__(self) -> None:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in checked(type(self), values).items():
            object.__setattr__(self, name, value)
        restricted, when = limits(self)
        for name, value in PRESETS[self.preset].items():
            if getattr(self, name) is None:
                allowed = restricted.get(name, ())
                object.__setattr__(self, name, value if value in allowed or not allowed else allowed[0])
        if self.lambda_ == 1:
            raise OptionError("lambda_", 1, "0 (worked out from the number of weights), or at least 2")
        if self.lambda_ and self.mu > self.lambda_:
            raise OptionError("mu", self.mu, f"at most lambda_, which is {self.lambda_}")
        if self.initial_std < self.resolution:
            raise OptionError("initial_std", self.initial_std, f"at least the resolution, which is {self.resolution:g}")
        if self.objectives == 2 and self.restarts:
            raise OptionError("restarts", self.restarts, "0 with two objectives")
        for name, allowed in restricted.items():
            if getattr(self, name) not in allowed:
                raise OptionError(name, getattr(self, name), f"{' or '.join(map(repr, allowed))} {when}")
        if self.ccov1 is not None and self.ccovmu is not None and self.ccov1 + self.ccovmu > 1.0:
            raise OptionError("ccovmu", self.ccovmu, f"at most 1 - ccov1, which is {1.0 - self.ccov1:g}")

    def resolve(self, size: int) -> Resolved:
        """The numbers that depend on N = `size` >= 1 variables.  Raises `OptionError`, as `resolve` does."""
        return resolve(self, size)

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the named fields that the user chose: the rest keeps DEAP's formula."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
