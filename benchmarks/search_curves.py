"""What the rows of parts two and three of the benchmark of the search add up to: medians, ratios, a table, a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from prompt_pins.run import contest

from .search_tasks import CAPTIONS, TASKS

Rows = Sequence[Mapping[str, Any]]

STYLES = {  # the colour-blind safe palette of Okabe and Ito
    "random": ("#999999", ":"),
    "deap": ("#000000", "--"),
    "Classic": ("#56B4E9", "-."),
    "Balanced": ("#D55E00", "-"),
    "start": ("#F0E442", ":"),
    "original": ("#E69F00", "--"),
    "even": ("#009E73", "-."),
    "whole": ("#CC79A7", "-."),
    "half": ("#CC79A7", ":"),
    "early": ("#009E73", "-"),
    "Quick": ("#0072B2", "-"),
}
GRID = 50


def value_at(curve: Sequence[Sequence[float]], spent: float) -> float:
    """The value of the best that a run had after `spent` evaluations."""
    return float([value for cost, value in curve if cost <= spent][-1])


def median_curve(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(evaluations (GRID,), median over seeds of the value then (GRID,)), to the end of the median run."""
    curves = [row["curve"] for row in rows]
    end = float(np.median([curve[-1][0] for curve in curves]))
    grid = np.linspace(0.0, end, GRID + 1)
    return grid, np.array([np.median([value_at(curve, spent) for curve in curves]) for spent in grid])


def reached(rows: Rows, value: float) -> float:
    """Evaluations after which the median over seeds is as low as `value`; infinite if it never is."""
    grid, medians = median_curve(rows)
    hits = np.flatnonzero(medians <= value)
    return float(grid[hits[0]]) if hits.size else float("inf")


def first_below(curve: Sequence[Sequence[float]], value: float) -> float:
    """What a run had spent when it first was as low as `value`; infinite if it never was."""
    return next((cost for cost, found in curve if found <= value), float("inf"))


def hit(rows: Rows, value: float) -> float:
    """The median over seeds of the evaluations after which a run is as low as `value`; infinite for most: never."""
    times = [first_below(row["curve"], value) for row in rows]
    return float(sorted(times)[(len(times) - 1) // 2])


def median(values: Iterable[float]) -> float:
    """The median of the runs' figures."""
    return float(np.median(list(values)))


def end(rows: Rows) -> float:
    """The median of the runs' last values."""
    return median(row["curve"][-1][1] for row in rows)


def spent(rows: Rows) -> float:
    """The median of the runs' evaluations."""
    return median(row["evaluations"] for row in rows)


def pooled(rows: Rows) -> tuple[float, float, float]:
    """Improvement on unseen seeds and its interval, of all seeds' images together."""
    before = np.concatenate([row["fits"]["original"] for row in rows])
    after = np.concatenate([row["fits"]["pinned"] for row in rows])
    return contest.improvement(before, after, seed=0)


def against(rows: Rows, others: Rows) -> tuple[float, float, float] | None:
    """How much nearer to the target `rows` end than `others`, as a share, and its 95 % interval; None: no common seed.

    On the unseen images of the seeds that both were run with, which are the same for both; runs are resampled, and
    then the images of each (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
    """
    mine, theirs = ({row["seed"]: row["fits"]["pinned"] for row in some} for some in (rows, others))
    pairs = np.array([[theirs[seed], mine[seed]] for seed in sorted(mine.keys() & theirs.keys())])
    if not pairs.size:
        return None
    runs, _, images = pairs.shape
    rng = np.random.Generator(np.random.PCG64(0))
    gains = []
    for _ in range(contest.RESAMPLES):
        drawn = pairs[rng.integers(runs, size=runs)]
        chosen = rng.integers(images, size=(runs, 1, images))
        before, after = np.take_along_axis(drawn, chosen, axis=2).mean(axis=(0, 2))
        gains.append(1.0 - after / before)
    before, after = pairs.mean(axis=(0, 2))
    return float(1.0 - after / before), *contest.interval(gains)


def summary(rows: Rows) -> list[dict[str, Any]]:
    """For each task and method that rows were measured of: its end, and what it needs to reach plain DEAP's end.

    Plain DEAP's end is that of the same seeds.  Reached by the median curve, and by the median run.  Half the gap: from
    the original to the end of Balanced from there.
    """
    found = []
    for task in (*TASKS, *CAPTIONS):
        mine = {method: [r for r in rows if r["task"] == task.name and r["method"] == method] for method in STYLES}
        for method, some in mine.items():
            if not some:
                continue
            cosines = [r["cosine"] for r in some if r["cosine"] is not None]
            gain, low, high = pooled(some)
            seeds = {r["seed"] for r in some}
            theirs = [r for r in mine["deap"] if r["seed"] in seeds]
            versus = None if method == "deap" else against(some, theirs)
            needed = [reached(some, end(theirs)), hit(some, end(theirs))] if theirs else []
            goal = mine["original"] or mine["Balanced"]
            half = (median(r["curve"][0][1] for r in goal) + end(goal)) / 2 if goal else -np.inf
            shares = [cost / spent(theirs) if np.isfinite(cost) else None for cost in needed] or [None, None]
            found.append(
                {
                    "task": task.name,
                    "method": method,
                    "seeds": len(some),
                    "original": median(r["curve"][0][1] for r in some),
                    "end": end(some),
                    "evaluations": spent(some),
                    "share_to_deaps_end": shares[0],
                    "share_of_the_median_run": shares[1],
                    "to_half_the_gap": hit(some, half) if np.isfinite(hit(some, half)) else None,
                    "better_than_deap": versus,
                    "improvement": gain,
                    "interval": [low, high],
                    "cosine": median(cosines) if cosines else None,
                }
            )
    return found


def shown(gain: float, low: float, high: float) -> str:
    """A share and its interval."""
    return f"{gain:.0%} ({low:.0%} to {high:.0%})"


def number(value: float | None) -> str:
    """A count, or a dash."""
    return "–" if value is None else f"{value:.0f}"


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a Markdown table."""
    head = "| task | method | seeds | loss before | loss at the end | evaluations | of DEAP's, to its end: the median "
    text = [
        head + "curve | the median run | to half the gap | better on unseen seeds | than DEAP's end | cosine |",
        "|---" * 12 + "|",
    ]
    for line in lines:
        shares = (line["share_to_deaps_end"], line["share_of_the_median_run"])
        share = " | ".join("–" if value is None else f"{value:.2f}" for value in shares)
        gain = shown(line["improvement"], *line["interval"])
        versus = "" if line["better_than_deap"] is None else shown(*line["better_than_deap"])
        cosine = "" if line["cosine"] is None else f"{line['cosine']:.2f}"
        text.append(
            f"| {line['task']} | {line['method']} | {line['seeds']} | {line['original']:.3f} | {line['end']:.3f} | "
            f"{line['evaluations']:.0f} | {share} | {number(line['to_half_the_gap'])} | {gain} | {versus} | {cosine} |"
        )
    return "\n".join(text)


def plot(rows: Rows, path: Path) -> None:
    """Median curves of every method, a panel for each task, and plain DEAP's end.  Rows of ends alone have no curve."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = [task for task in (*TASKS, *CAPTIONS) if any(row["task"] == task.name for row in rows)]
    lines = -(-len(tasks) // 4)
    figure = Figure(figsize=(11.0, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, task in enumerate(tasks, 1):
        axes = figure.add_subplot(lines, 4, place)
        axes.set_title(task.name, fontsize=10)
        for method, (colour, dashes) in STYLES.items():
            mine = [row for row in rows if row["task"] == task.name and row["method"] == method]
            if mine and method == "deap":
                axes.axhline(end(mine), color=colour, linestyle=":", label="plain DEAP's end", linewidth=1.2)
            mine = [row for row in mine if len(row["curve"]) > 2]
            if mine:
                axes.step(
                    *median_curve(mine), where="post", color=colour, linestyle=dashes, label=method, linewidth=1.6
                )
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    labels = {
        label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labels.values(), labels.keys(), loc="outside upper center", ncols=len(labels), frameon=False)
    figure.supxlabel("denoiser evaluations spent (images × steps)", fontsize=10)
    figure.supylabel("loss of the best so far, on unseen seeds (median over seeds)", fontsize=10)
    figure.savefig(path, dpi=110)
