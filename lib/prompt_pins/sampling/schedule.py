"""When a hyperbatch forks: the tree of a batch in integers.  Standard library only.

A batch of B leaves over S steps is a list of batch sizes, one for each step, that never shrinks and ends
at B.  Node i of a batch of size b carries leaf i's seed; a fork appends nodes b .. b'-1 and node j is copied
from node j mod b (which is j - b as long as the batch at most doubles).

The fork at step s lies between the denoiser's call of step s - 1, which the siblings still share, and the
arrival at step s, where they already differ.  So no denoiser call is ever spent on two equal images, and
every boundary from 1 to S - 1 is a fork that parts its siblings.  A fork at step 0 means that the images
start apart, each from its own initial noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..config import RenderOptions
from ..errors import OptionError

POLICIES = ("even", "twin", "early", "late", "none")
DEFAULT_POLICY: str = RenderOptions.fork_policy
DEFAULT_STRENGTH: float = RenderOptions.fork_strength

Policy = str | tuple[int, ...]
Levels = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ForkOptions:
    """How a batch forks.

    policy: "even" (equal segments), "twin" (two even trees of half the batch each), "early" or "late" (forks in the
        first or the last half), "none" (every image on its own from the start), or the fork steps themselves, one
        for each doubling (as a tuple, or as text: "5, 10, 15").
    strength: rho > 0, for deterministic samplers; the k-th step of a new node after its fork is ancestral with
        eta = min(1, rho - k).  Up to 1 it is the eta of the one ancestral step that leaves the fork.

    Raises `OptionError`.
    """

    policy: Policy = DEFAULT_POLICY
    strength: float = DEFAULT_STRENGTH

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", as_policy(self.policy))
        if not 0.0 < self.strength < math.inf:
            raise OptionError("fork_strength", self.strength, "a number above 0")


def as_policy(policy: Policy | Sequence[int]) -> Policy:
    """A policy's name, or its fork steps as a tuple, also from text such as "5, 10, 15".  Raises `OptionError`."""
    if not isinstance(policy, str):
        return tuple(policy)
    if policy in POLICIES:
        return policy
    try:
        return tuple(int(step) for step in policy.split(","))
    except ValueError:
        allowed = f"{', '.join(POLICIES)}, or fork steps such as 5,10,15"
        raise OptionError("fork_policy", policy, allowed) from None


@dataclass(frozen=True)
class ForkSchedule:
    """The batch size at every step: `sizes[i]` images go through the denoiser in step i."""

    sizes: tuple[int, ...]

    @property
    def batch_size(self) -> int:
        """B, the number of leaves."""
        return self.sizes[-1]

    @property
    def steps(self) -> int:
        """S."""
        return len(self.sizes)

    @property
    def cost(self) -> int:
        """Denoiser evaluations of the tree, in images x steps."""
        return sum(self.sizes)

    @property
    def plain_cost(self) -> int:
        """Denoiser evaluations of B independent images, in images x steps."""
        return self.batch_size * self.steps

    @property
    def speedup(self) -> float:
        """plain_cost / cost: the speed-up if time is proportional to evaluations."""
        return self.plain_cost / self.cost

    @property
    def forks(self) -> tuple[tuple[int, int, int], ...]:
        """(step, size before, size from that step on) of every fork after the start."""
        return tuple((i + 1, a, b) for i, (a, b) in enumerate(pairwise(self.sizes)) if a != b)

    def parents(self, step: int) -> tuple[int, ...]:
        """For each node of `step` the node of `step - 1` that it comes from; at step 0 the nodes themselves."""
        before = self.sizes[max(step - 1, 0)]
        return tuple(j % before for j in range(self.sizes[step]))

    @property
    def levels(self) -> Levels:
        """levels[K - 1][leaf]: the node of level K above that leaf; level 1 is the root, the last the leaves.

        Doublings that share one boundary make one level: a level is a batch size that was really sampled.
        Batches that start apart have a root that stands above all of them.
        """
        sizes = sorted({1, *self.sizes})
        nodes = tuple(range(self.batch_size))
        found = [nodes]
        for size in reversed(sizes[:-1]):
            nodes = tuple(node % size for node in nodes)
            found.append(nodes)
        return tuple(reversed(found))


def doublings(batch_size: int) -> int:
    """D = ceil(log2 B): how often a batch has to double to reach B."""
    return (batch_size - 1).bit_length()


def fork_schedule(batch_size: int, steps: int, policy: Policy | Sequence[int] = DEFAULT_POLICY) -> ForkSchedule:
    """The batch sizes of `batch_size` >= 1 leaves over `steps` >= 1 steps.

    With D doublings, "even" forks every d = S // (D + 1) steps, "early" and "late" every half of that, counted
    from the start or from the end; "twin" starts with two images, and forks at step ceil(k S / D) for k = 1 .. D - 1.
    Where S is too small for a boundary of its own for each doubling, several share one.  An explicit policy names
    the step that first runs at each doubled size, in ascending order; 0 means that the images start apart.

    Raises `OptionError`.
    """
    if batch_size < 1:
        raise OptionError("batch_size", batch_size, "a whole number of at least 1")
    if steps < 1:
        raise OptionError("steps", steps, "a whole number of at least 1")
    doubling = doublings(batch_size)
    read = as_policy(policy)
    forks = _forks(doubling, steps, read) if isinstance(read, str) else _explicit(read, doubling, steps)
    return ForkSchedule(tuple(min(batch_size, 1 << sum(fork <= i for fork in forks)) for i in range(steps)))


def _forks(doubling: int, steps: int, policy: str) -> tuple[int, ...]:
    """The fork steps of a named policy, each in 1 .. S - 1, but 0 where images start apart."""
    if policy == "none" or steps == 1:
        return (0,) * doubling
    if policy == "twin":
        return (0, *(min(math.ceil(k * steps / doubling), steps - 1) for k in range(1, doubling)))[:doubling]
    segments = doubling + 1
    half = max(1, steps // (2 * segments))
    wanted = [k * (steps // segments) or k * steps // segments for k in range(1, segments)]
    if policy == "early":
        wanted = [min(even, k * half) for k, even in enumerate(wanted, 1)]
    elif policy == "late":
        wanted = [max(even, steps - (segments - k) * half) for k, even in enumerate(wanted, 1)]
    return tuple(min(max(fork, 1), steps - 1) for fork in wanted)


def _explicit(forks: tuple[int, ...], doubling: int, steps: int) -> tuple[int, ...]:
    in_range = all(isinstance(fork, int) and 0 <= fork < steps for fork in forks)
    if len(forks) != doubling or not in_range or list(forks) != sorted(forks):
        allowed = f"{doubling} ascending steps from 0 to {steps - 1}, one for each doubling of the batch"
        raise OptionError("fork_policy", forks, allowed)
    return forks


def independent_levels(batch_size: int) -> Levels:
    """The levels of a plain batch: one root, and every image its own branch.  Raises `OptionError`."""
    return fork_schedule(batch_size, 1, "none").levels
