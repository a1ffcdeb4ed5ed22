"""What a hyperbatch costs and what it is worth, as text and as numbers.  Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .schedule import ForkSchedule

MOST_LEAVES = 64
MOST_STEPS = 150


@dataclass(frozen=True)
class Meter:
    """One schedule and, where they were measured, its denoiser and its diversity.

    seconds: of one denoiser call at each batch size of the schedule.
    diversity: mean pairwise distance of the images of (the tree, an independent batch), in any one measure.
    """

    schedule: ForkSchedule
    seconds: Mapping[int, float] | None = None
    diversity: tuple[float, float] | None = None

    def text(self) -> str:
        """The tree and a line for each number."""
        return "\n".join([tree_text(self.schedule), "", *self.lines()])

    def lines(self) -> list[str]:
        """The numbers, in words."""
        schedule = self.schedule
        saved = schedule.plain_cost - schedule.cost
        lines = [
            f"evaluations: {schedule.cost} of {schedule.plain_cost}, {saved} saved",
            f"speed-up if time is proportional to evaluations: {schedule.speedup:.2f}",
        ]
        if self.seconds is not None:
            predicted = predicted_speedup(schedule, self.seconds)
            lines.append(f"speed-up predicted from the denoiser's own times: {predicted:.2f}")
        if self.diversity is not None:
            tree, independent = self.diversity
            ratio = f", ratio {tree / independent:.2f}" if independent > 0 else ""
            lines.append(f"diversity: {tree:.4f} against {independent:.4f} of an independent batch{ratio}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        schedule = self.schedule
        return {
            "batch_size": schedule.batch_size,
            "steps": schedule.steps,
            "sizes": list(schedule.sizes),
            "evaluations": schedule.cost,
            "plain_evaluations": schedule.plain_cost,
            "speedup": schedule.speedup,
            "predicted_speedup": None if self.seconds is None else predicted_speedup(schedule, self.seconds),
            "diversity": None if self.diversity is None else list(self.diversity),
        }


def predicted_speedup(schedule: ForkSchedule, seconds: Mapping[int, float]) -> float:
    """Wall-clock speed-up from the seconds that one denoiser call takes at each batch size of the schedule."""
    plain = seconds[schedule.batch_size] * schedule.steps
    return plain / sum(seconds[size] for size in schedule.sizes)


def tree_text(schedule: ForkSchedule) -> str:
    """The tree, drawn with one line for each leaf and one column for each step.

    Trees of more than 64 leaves or 150 steps are told as a list of batch sizes.
    """
    if schedule.batch_size > MOST_LEAVES or schedule.steps > MOST_STEPS:
        return _segments(schedule)
    births = [next(i for i, size in enumerate(schedule.sizes) if size > leaf) for leaf in range(schedule.batch_size)]
    order = [leaf for root in range(schedule.sizes[0]) for leaf in _below(root, schedule, births)]
    row_of = {leaf: row for row, leaf in enumerate(order)}
    grid = [[" "] * births[leaf] + ["─"] * (schedule.steps - births[leaf]) for leaf in order]
    for leaf, born in enumerate(births):
        if leaf < schedule.sizes[0]:
            continue
        top, bottom = row_of[leaf % schedule.sizes[born - 1]], row_of[leaf]
        grid[top][born] = "┬"
        for row in range(top + 1, bottom):
            grid[row][born] = "├" if grid[row][born] in "└├" else "│"
        grid[bottom][born] = "├" if grid[bottom][born] == "│" else "└"
    width = len(str(schedule.batch_size - 1))
    return "\n".join(f"leaf {leaf:>{width}} {''.join(grid[row_of[leaf]])}" for leaf in order)


def _below(node: int, schedule: ForkSchedule, births: list[int]) -> list[int]:
    """The leaves below a node in drawing order: its latest children first, so that no lines cross."""
    children = [
        leaf
        for leaf in range(schedule.sizes[0], schedule.batch_size)
        if leaf % schedule.sizes[births[leaf] - 1] == node
    ]
    children.sort(key=lambda leaf: (-births[leaf], leaf))
    return [node, *(leaf for child in children for leaf in _below(child, schedule, births))]


def _segments(schedule: ForkSchedule) -> str:
    """Batch sizes and the steps that run at each."""
    starts = [0, *(step for step, _, _ in schedule.forks)]
    ends = [*starts[1:], schedule.steps]
    return "\n".join(
        f"steps {start + 1} to {end}: {schedule.sizes[start]} images" for start, end in zip(starts, ends, strict=True)
    )
