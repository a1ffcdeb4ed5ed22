"""Plots of the whole search, drawn with matplotlib's object interface.  Imports matplotlib (on first use) and numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..store import Axis, Generation
from .canvas import BLUE, GREEN, INK, ORANGE, RED, canvas_of, label, plain, save_canvas
from .lettering import OWN, families

NAMED_LINES = 8  # words named in the plots of the search: those that moved most


def draw_search(path: Path, generations: Sequence[Generation], space: Sequence[Axis]) -> None:
    """`cma_plot.png`: losses, step size and axis ratio, and the mean and deviation of every axis by its scale."""
    figure, canvas = canvas_of(9.6, 6.4)
    panels = [figure.add_axes(box) for box in _QUARTERS]
    for axes in panels:
        plain(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
    x = np.array([g.generation for g in generations])
    if any(g.progress is not None for g in generations):
        _draw_progress(panels[0], x, generations)
    else:
        _draw_losses(panels[0], x, generations)
    _draw_steps(panels[1], x, generations)
    scale, labels = np.array([axis.scale for axis in space]), [axis.scaled_label for axis in space]
    for axes, key, title, unit in (
        (panels[2], "mean", "Centre of the search", "weight"),
        (panels[3], "std", "Looseness of every word", "std of the weight"),
    ):
        _draw_words(axes, x, _rows(generations, key, len(space)) / scale, labels)
        label(axes, title, "generation", unit)
    canvas.draw()
    save_canvas(canvas, path)


_QUARTERS = ((0.07, 0.57, 0.36, 0.37), (0.55, 0.57, 0.36, 0.37), (0.07, 0.08, 0.36, 0.37), (0.55, 0.08, 0.36, 0.37))


def _draw_progress(axes: Any, x: np.ndarray, generations: Sequence[Generation]) -> None:
    shares = np.array([_number(g.progress) for g in generations]) * 100.0
    axes.axhline(100.0, color=INK, linewidth=1.0, linestyle=":")
    axes.plot([0, *x], [100.0, *shares], color=RED, linewidth=1.6, marker="." if len(x) < 60 else "")
    axes.set_ylim(0.0, 1.05 * max(100.0, np.nanmax(shares)))
    label(axes, "Loss of the best so far", "generation", "% of the original's loss")


def _draw_losses(axes: Any, x: np.ndarray, generations: Sequence[Generation]) -> None:
    rows = [[v for v in g.losses if v is not None] for g in generations]
    best = np.array([min(row, default=np.nan) for row in rows])
    mean = np.array([np.mean(row) if row else np.nan for row in rows])
    std = np.array([np.std(row) if row else np.nan for row in rows])
    axes.fill_between(x, mean - std, mean + std, color=BLUE, alpha=0.2, linewidth=0, label="mean ± std")
    axes.plot(x, mean, color=BLUE, linewidth=1.4)
    axes.plot(x, best, color=RED, linewidth=1.6, marker="." if len(x) < 60 else "", label="best")
    label(axes, "Loss of the candidates", "generation", "loss")
    axes.legend(fontsize=8, frameon=False)


def _draw_steps(axes: Any, x: np.ndarray, generations: Sequence[Generation]) -> None:
    for key, colour, style, name in (
        ("step_size", GREEN, "-", "step size (weight)"),
        ("axis_ratio", ORANGE, "--", "axis ratio (no unit)"),
    ):
        values = np.array([_number(g.state.get(key)) for g in generations])
        axes.plot(x, values, style, color=colour, linewidth=1.5, label=name)
    axes.set_yscale("log")
    axes.yaxis.get_major_locator().set_params(subs=(1.0, 2.0, 5.0))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    label(axes, "Spread of the search", "generation", "logarithmic scale")
    axes.legend(fontsize=8, frameon=False)


def _draw_words(axes: Any, x: np.ndarray, rows: np.ndarray, labels: Sequence[str]) -> None:
    if not rows.size:
        return
    from matplotlib import colormaps

    colours = colormaps["viridis"](np.linspace(0.0, 0.9, max(rows.shape[1], 1)))
    for column, colour in enumerate(colours):
        axes.plot(x, rows[:, column], color=colour, linewidth=1.0)
    moved = np.argsort(-np.abs(rows[-1] - rows[0]), kind="stable")[:NAMED_LINES]
    named = sorted(moved, key=lambda c: rows[-1, c])
    for column, height in zip(named, _apart([rows[-1, c] for c in named], axes.get_ylim())):
        text, fonts = _readable(labels[column], column)
        axes.annotate(
            text,
            (1.01, height),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            fontfamily=fonts,
            va="center",
            color=INK,
            annotation_clip=False,
            parse_math=False,
        )


def _readable(text: str, column: int) -> tuple[str, list[str]]:
    """A word's short label and the fonts that have its characters; its number where there are none."""
    text = " ".join(text.split())
    text = text if len(text) <= 14 else text[:13] + "…"
    fonts = families(text)
    return (text, fonts) if fonts is not None else (f"word {column + 1}", [OWN])


def _apart(heights: Sequence[float], limits: tuple[float, float]) -> list[float]:
    """Rising heights moved until neighbours no longer touch, inside the limits where that is possible."""
    gap = (limits[1] - limits[0]) / 14
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    ceiling = limits[1]
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def _rows(generations: Sequence[Generation], key: str, size: int) -> np.ndarray:
    """(generations, size) values of a list in the state; nan where it is absent."""
    rows = [g.state.get(key) for g in generations]
    blank = [math.nan] * size
    return np.array([[_number(v) for v in row] if row and len(row) == size else blank for row in rows], dtype=float)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def draw_front(path: Path, points: np.ndarray, front: np.ndarray) -> None:
    """`cma_mo_plot.png`: loss against distance from the original weights; points: (n, 3) with the generation."""
    figure, canvas = canvas_of(6.4, 4.2)
    axes = figure.add_axes((0.1, 0.12, 0.78, 0.79))
    plain(axes)
    if points.size:
        dots = axes.scatter(points[:, 1], points[:, 0], c=points[:, 2], cmap="viridis", s=14, linewidths=0)
        bar = figure.colorbar(dots, cax=figure.add_axes((0.9, 0.12, 0.02, 0.79)))
        bar.set_label("generation", fontsize=9)
        bar.ax.tick_params(labelsize=8)
    if front.size:
        line = front[np.argsort(front[:, 1], kind="stable")]
        style = {"where": "post", "linewidth": 1.6, "marker": "o", "markersize": 4}
        axes.step(line[:, 1], line[:, 0], color=RED, label="front", **style)
        axes.legend(fontsize=8, frameon=False)
    label(axes, "Loss against change of the prompt", "distance from the original weights (L2)", "loss")
    canvas.draw()
    save_canvas(canvas, path)
