"""What a run will do and what it will cost, worked out before anything is rendered."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..config import RunConfig, SearchOptions
from ..host import Host
from ..space import Space, build_all
from . import likely
from .panel import Panel

LEAST = 2
"""Images that can be compared with each other: half and quarter batches have at least so many."""


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """size: images; levels: their tree; evaluations: of the denoiser, in images x steps; plain_evaluations: without
    the tree."""

    size: int
    levels: tuple[tuple[int, ...], ...]
    evaluations: int
    plain_evaluations: int

    @classmethod
    def build(cls, size: int, config: RunConfig, host: Host) -> BatchPlan:
        """A batch of `size` images as the host renders it."""
        forked, plain = (host.evaluations(size, config, forked=forked) for forked in (True, False))
        return cls(size, host.levels(size, config, forked=True), forked, plain)

    def deepened(self, count: int) -> BatchPlan:
        """With `count` levels, the last one repeated: losses are sums over levels, and are to be compared."""
        return dataclasses.replace(self, levels=self.levels + self.levels[-1:] * (count - len(self.levels)))

    @property
    def saved(self) -> float:
        """The share of denoiser evaluations that the tree saves, from 0 to below 1."""
        return 1.0 - self.evaluations / self.plain_evaluations


@dataclasses.dataclass(frozen=True)
class Plan:
    """population: candidates of a generation; generations: at most.

    rows: candidates that a generation renders at most, one more where the centre is scored in each (rotated seeds).
    batch: of a candidate's payload.  early, quarter: smaller ones of the first `early_generations`, and of the first
    `quarter_generations` among these.
    before: denoiser evaluations before the first image, at most.
    """

    panel: Panel
    population: int
    rows: int
    generations: int
    batch: BatchPlan
    early: BatchPlan
    early_generations: int
    quarter: BatchPlan
    quarter_generations: int
    before: int = 0

    @property
    def space(self) -> Space:
        """The axes, and the recipe of the only payload or of the first."""
        return self.panel.spaces[0]

    def of(self, generation: int) -> BatchPlan:
        """The batches of a generation, from 1."""
        if generation <= self.quarter_generations:
            return self.quarter
        return self.early if generation <= self.early_generations else self.batch

    def images_of(self, generation: int, rows: int) -> int:
        """What a whole generation of so many candidates renders at most."""
        return rows * self.panel.size * self.of(generation).size

    @property
    def images(self) -> int:
        """What the search renders at most, without the last centre."""
        return self._sum(self.quarter.size, self.early.size, self.batch.size)

    @property
    def evaluations(self) -> int:
        """Denoiser evaluations of the search at most, without the last centre."""
        return self.before + self._sum(self.quarter.evaluations, self.early.evaluations, self.batch.evaluations)

    def _sum(self, quarter: int, early: int, later: int) -> int:
        halved = self.early_generations - self.quarter_generations
        whole = self.generations - self.early_generations
        each = self.quarter_generations * quarter + halved * early + whole * later
        return self.panel.size * self.rows * each

    @property
    def in_words(self) -> str:
        """`11 candidates × 32 generations × 8 images (2 in the first 4, 4 in the next 4)`."""
        payloads = f"{self.panel.size} payloads × " if self.panel.size > 1 else ""
        quarter, early = self.quarter_generations, self.early_generations
        parts = (
            (self.quarter.size, "first", quarter),
            (self.early.size, "next" if quarter else "first", early - quarter),
        )
        smaller = ", ".join(f"{size} in the {which} {count}" for size, which, count in parts if count)
        candidates = f"{self.population} candidates × {self.generations} generations"
        return f"{candidates} × {payloads}{self.batch.size} images" + f" ({smaller})" * bool(smaller)

    @property
    def before_in_words(self) -> str:
        """` · 88 evaluations before the first image`, "" without."""
        return f" · {self.before} evaluations before the first image" if self.before else ""

    def to_json(self) -> dict[str, Any]:
        """Plain values for the journal, without the space."""
        names = ("population", "generations", "early_generations", "quarter_generations", "before")
        return {
            **{name: getattr(self, name) for name in names},
            "batch_size": self.batch.size,
            "early_batch_size": self.early.size,
            "quarter_batch_size": self.quarter.size,
            "evaluations": self.batch.evaluations,
            "plain_evaluations": self.batch.plain_evaluations,
            "levels": [list(level) for level in self.batch.levels],
            **({"payloads": self.panel.size} if self.panel.many else {}),
        }


def make_plan(config: RunConfig, host: Host) -> Plan:
    """The plan of a configuration on a host.  Raises `PromptError` if nothing may vary, `OptionError`."""
    panel = Panel.of(config, *build_all(config, host.embeddings(), host.settings(config)))
    space = panel.spaces[0]
    resolved = SearchOptions.resolve(config, space.size)
    batch = BatchPlan.build(config.batch_size, config, host)
    steps_named = config.fork_policy.lstrip()[:1].isdigit()  # one for each doubling of a whole batch

    def part(generations: int, share: int) -> tuple[BatchPlan, int]:
        """Batches of a share of the images, for so many generations; whole ones for none where that is too few."""
        if not generations or steps_named or config.batch_size < LEAST * share:
            return batch, 0
        size = (config.batch_size + share - 1) // share
        return BatchPlan.build(size, config, host).deepened(len(batch.levels)), generations

    return Plan(
        panel,
        resolved.lambda_,
        resolved.lambda_ + (config.seed_policy == "rotated"),
        resolved.generations,
        batch,
        *part(resolved.early_generations, 2),
        *part(resolved.quarter_generations, 4),
        panel.size * likely.planned(config, space),
    )
