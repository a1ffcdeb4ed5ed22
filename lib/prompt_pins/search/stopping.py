"""Why a search stops, in words; and the budgets that the run loop counts.

May import: the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import OptionError

LOSS_TOLERANCE = 1e-11  # losses of many generations that differ by less are the same loss
FLAT_TOLERANCE = 1e-12  # relative: losses of one generation that differ by less are equal
MAX_AXIS_RATIO = 1e7  # square root of the condition number that double precision can carry
MAX_STEP_GROWTH = 1e4
MIN_STEP_SHRINK = 1e-12
FAILED_GENERATIONS = 2


class StopReason(str):
    """A sentence for the user, and a short `code` for programs."""

    code: str

    def __new__(cls, code: str, words: str) -> StopReason:
        """`code` is one lower-case word or two; `words` is what the user reads."""
        reason = super().__new__(cls, words)
        reason.code = code
        return reason

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """What a copy is made from."""
        return self.code, str(self)


INTERRUPTED = StopReason("interrupted", "interrupted by the user")
NO_EFFECT = StopReason(
    "no effect",
    "all losses are equal: the weights have no effect on the images "
    "(is emphasis switched off, or does every weighted word lie outside what the model reads?)",
)


def generations_used(count: int) -> StopReason:
    """The budget of generations is used up."""
    return StopReason("generations", f"the budget of {count} generations is used up")


def evaluations_used(count: int, budget: int) -> StopReason:
    """The next generation would go beyond the budget of candidates."""
    return StopReason("candidates", f"{count} candidates of a budget of {budget}: not enough left for a generation")


def target_reached(loss: float, target: float) -> StopReason:
    """The target loss is reached."""
    return StopReason("target", f"the target loss is reached: {loss:.6g} is not above {target:.6g}")


def flat_fitness() -> StopReason:
    """All losses of a later generation are equal."""
    return StopReason("flat", "all losses of the last generation are equal: its candidates cannot be told apart")


def stagnated(patience: int, least: float) -> StopReason:
    """No progress for as long as the user's patience."""
    step = f" of more than {least:.3%}" if least else ""
    return StopReason("stagnation", f"no progress{step} in the last {patience} generations")


def converged(count: int) -> StopReason:
    """The losses have settled."""
    return StopReason("converged", f"converged: the losses of the last {count} generations are the same")


def step_too_small(std: float, resolution: float) -> StopReason:
    """The weights no longer change as printed."""
    if resolution:
        text = f"the weights change by {std:.2g}, less than their printed resolution of {resolution:g}"
        return StopReason("step size", "converged: " + text)
    return StopReason("step size", f"converged: the weights change by only {std:.2g}")


def step_too_large(step_size: float) -> StopReason:
    """The step size has run away."""
    return StopReason("divergence", f"the step size has grown to {step_size:.2g}: the search diverges")


def ill_conditioned(axis_ratio: float) -> StopReason:
    """The covariance matrix is beyond double precision."""
    return StopReason(
        "condition", f"the longest axis of the search is {axis_ratio:.2g} times the shortest: out of numerical range"
    )


def all_failed(count: int) -> StopReason:
    """No candidate could be scored."""
    last = "generation" if count == 1 else f"{count} generations"
    return StopReason("failed", f"no candidate of the last {last} could be scored")


def is_flat(losses: Sequence[float]) -> bool:
    """Whether two or more losses are all equal."""
    if len(losses) < 2:
        return False
    low, high = min(losses), max(losses)
    return high - low <= FLAT_TOLERANCE * abs(high)


@dataclass(frozen=True)
class Budget:
    """Limits that only the run loop can count; 0 is no limit.

    images: rendered, with the targets; minutes: of wall clock.
    """

    images: int = 0
    minutes: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.images, bool) or not isinstance(self.images, int) or self.images < 0:
            raise OptionError("images", self.images, "a whole number of at least 0")
        if not (isinstance(self.minutes, (int, float)) and math.isfinite(self.minutes) and self.minutes >= 0):
            raise OptionError("minutes", self.minutes, "a number of at least 0")

    def exceeded(self, images: int, seconds: float, next_images: int = 0) -> StopReason | None:
        """Whether the budget is spent, or would be by `next_images` more images."""
        if self.images and (images >= self.images or images + next_images > self.images):
            return StopReason("images", f"{images} images of a budget of {self.images} are rendered")
        if self.minutes and seconds >= self.minutes * 60.0:
            return StopReason("minutes", f"the budget of {self.minutes:g} minutes is used up")
        return None
