"""The plots of every candidate and generation, which must cost little: `loss_plot.png`, `generation_loss_plot.png`.

matplotlib draws each frame (axes, labels, legend) once and it is kept; a plot then is that frame with the data and a
title painted on it.  Axes end at round numbers, so there are few frames and plots can be compared by eye.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..store import Candidate
from ..store.files import write_bytes
from .canvas import BLUE, GREY, GRID, INK, ORANGE, PALE, RED, canvas_of, label, package, pixels, plain
from .stats import BatchStats

BINS = 25
Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels, downwards


class QuickPlotter:
    """Draws many plots on kept frames.  Not for two threads at once."""

    def __init__(self) -> None:
        self._frames: dict[tuple[int, float], tuple[Any, Box, Box]] = {}
        self._histograms: dict[tuple[float, float], tuple[Any, Box]] = {}
        self._palette: Any = None
        self._fonts: dict[int, Any] = {}

    def candidate(self, path: Path, candidate: Candidate, stats: BatchStats) -> None:
        """The histogram of the losses of a candidate's pairs."""
        total = max(len(stats.fits) + len(stats.spreads), 1)
        right = _next(max([0.01, *stats.fits, *stats.spreads]), 0.25)
        edges = np.linspace(0.0, right, BINS + 1)
        fits, spreads = (np.histogram(values, edges)[0] * (100.0 / total) for values in (stats.fits, stats.spreads))
        top = _next(float((fits + spreads).max()), 25.0)
        empty, box = self._histogram(right, top)
        image = empty.copy()
        _paint_bars(image, box, 0.0 * fits, fits / top, BLUE)
        _paint_bars(image, box, fits / top, (fits + spreads) / top, ORANGE)
        loss = "failed" if candidate.loss is None else f"loss {candidate.loss:.4f}"
        self._save(path, image, f"Generation {candidate.generation}, candidate {candidate.index + 1}: {loss}")

    def generation(self, path: Path, number: int, losses: Sequence[float | None], stats: Sequence[BatchStats]) -> None:
        """The loss of every candidate, and under it range and quartiles of the losses of its pairs."""
        pairs = [(i, np.array([*s.fits, *s.spreads])) for i, s in enumerate(stats) if s.fits or s.spreads]
        done = [loss for loss in losses if loss is not None]
        top = _next(max([0.01, *(float(v.max()) for _, v in pairs)]), 0.1)
        empty, upper, lower = self._panels(len(losses), top)
        image = empty.copy()
        low, high = min(done, default=0.0), max(done, default=1.0)
        room = max(0.15 * (high - low), 0.005 * high, 1e-6)
        self._paint_losses(image, upper, losses, (low - room, high + room))
        for place, values in pairs:
            _paint_spans(image, lower, _x(lower, place, len(losses)), np.sort(values) / top)
        self._save(path, image, f"Generation {number}: loss of every candidate")

    def _paint_losses(self, image: Any, box: Box, losses: Sequence[float | None], limits: tuple[float, float]) -> None:
        """Ticks, and a mark for every candidate."""
        from PIL import ImageDraw

        brush, (left, bottom, right, top), (low, high) = ImageDraw.Draw(image), box, limits
        scale = (top - bottom) / (high - low)
        for value, text in ticks(low, high):
            y = float(round(bottom + (value - low) * scale))
            brush.line((left + 1, y, right, y), fill=GRID)
            brush.line((left - 4, y, left, y), fill=INK)
            brush.text((left - 7, y), text, fill=INK, font=self._type(11), anchor="rm")
        best = min((loss for loss in losses if loss is not None), default=None)
        for place, loss in enumerate(losses):
            mark, colour, size = ("✕", GREY, 12) if loss is None else ("●", INK, 11) if loss != best else ("★", RED, 22)
            y = bottom - 10 if loss is None else bottom + (loss - low) * scale
            brush.text((_x(box, place, len(losses)), y), mark, fill=colour, font=self._type(size), anchor="mm")

    def _histogram(self, right: float, top: float) -> tuple[Any, Box]:
        """The empty histogram with axes to `right` and `top`, and where its axes lie."""
        if (right, top) not in self._histograms:
            axes, canvas = _candidate_frame(right, top)
            canvas.draw()
            image = pixels(canvas)
            self._histograms[right, top] = (image, _box(axes, image.height))
        return self._histograms[right, top]

    def _panels(self, size: int, top: float) -> tuple[Any, Box, Box]:
        """The empty plot of a generation of `size` candidates with pairs up to `top`, and where its two axes lie."""
        if (size, top) not in self._frames:
            panels, canvas = _generation_frame(size, top)
            canvas.draw()
            image = pixels(canvas)
            self._frames[size, top] = (image, *(_box(axes, image.height) for axes in panels))
        return self._frames[size, top]

    def _type(self, size: int) -> Any:
        """The font of matplotlib's plots in a size in pixels."""
        if size not in self._fonts:
            from PIL import ImageFont

            path = Path(package().get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
            self._fonts[size] = ImageFont.truetype(str(path), size)
        return self._fonts[size]

    def _save(self, path: Path, image: Any, title: str) -> None:
        from PIL import Image, ImageDraw

        if self._palette is None:
            self._palette = _palette()
        ImageDraw.Draw(image).text((56, 8), title, fill=INK, font=self._type(13))
        small = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        small.save(buffer, format="PNG", compress_level=2)
        write_bytes(path, buffer.getvalue())


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Two to six round numbers between the limits, each with its text."""
    step = 10.0 ** math.floor(math.log10(high - low))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if (high - low) / (step * part) <= 5)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [
        (place * step, f"{place * step:.{digits}f}")
        for place in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]


def _x(box: Box, place: int, size: int) -> float:
    """The pixel column of a candidate."""
    return box[0] + (place + 0.7) / (max(size, 1) + 0.4) * (box[2] - box[0])


def _paint_spans(image: Any, box: Box, x: float, values: np.ndarray) -> None:
    """Range, quartiles and median of rising values, which are shares of the box's height."""
    from PIL import ImageDraw

    brush, (_, bottom, _, top) = ImageDraw.Draw(image), box
    quarters = np.interp(np.linspace(0, len(values) - 1, 5), np.arange(len(values)), values)
    least, first, middle, third, most = (bottom + quarters * (top - bottom)).round().astype(int).tolist()
    column = round(x)
    brush.rectangle((column - 1, most, column, max(least - 1, most)), fill=PALE)
    brush.rectangle((column - 5, third, column + 4, max(first - 1, third)), fill=BLUE)
    brush.rectangle((column - 5, middle - 1, column + 4, middle - 1), fill="white")


def _box(axes: Any, height: int) -> Box:
    """Where axes lie in a picture of that height."""
    area = axes.bbox
    return area.x0, height - area.y0, area.x1, height - area.y1


def _paint_bars(image: Any, box: Box, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Bars of equal width from `low` to `high`, shares of the box's height, on whole pixels."""
    from PIL import ImageDraw

    left, bottom, right, top = box
    brush, edges = ImageDraw.Draw(image), np.linspace(left, right, len(high) + 1).round().astype(int).tolist()
    ends = [(bottom + shares * (top - bottom)).round().astype(int).tolist() for shares in (low, high)]
    for x, after, below, above in zip(edges, edges[1:], *ends):
        if above < below:
            brush.rectangle((x, above, after - 2, below - 1), fill=colour)


def _palette() -> Any:
    """A palette image of the plots' colours, each blended with white."""
    from PIL import Image, ImageColor

    palette = Image.new("P", (1, 1))
    steps = {INK: 24, BLUE: 24, ORANGE: 24, RED: 24, GREY: 24, "#000000": 24, PALE: 4, GRID: 4}
    ramps = []
    for colour, count in steps.items():  # few steps where they are small: a colour next to white would pass for it
        blends = np.linspace(0.0, 1.0, count)[:, None]
        ramps.append(np.array(ImageColor.getrgb(colour)) * blends + 255 * (1 - blends))
    palette.putpalette([int(value) for value in np.concatenate(ramps).round().ravel()])
    return palette


def _next(value: float, step: float) -> float:
    """The next multiple of a step, at least one."""
    return round(max(1, math.ceil(value / step - 1e-9)) * step, 6)


def _candidate_frame(right: float, top: float) -> tuple[Any, Any]:
    package()
    from matplotlib.patches import Patch

    figure, canvas = canvas_of(4.8, 2.7)
    axes = figure.add_axes((0.12, 0.19, 0.85, 0.68))
    plain(axes)
    axes.set(xlim=(0, right), ylim=(0, top))
    label(axes, "", "ꟻLIP loss of a pair (0 alike, 1 unlike)", "share of pairs, %")
    names = ("image and target", "two images")
    handles = [Patch(color=colour, label=name) for colour, name in zip((BLUE, ORANGE), names)]
    axes.legend(handles=handles, fontsize=8, loc="upper right", frameon=False)
    return axes, canvas


def _generation_frame(size: int, top: float) -> tuple[Any, Any]:
    """Two panels, as the loss is a weighted sum and need not be near the losses of the pairs.

    The upper y axis has no ticks; they are painted with the data.
    """
    package()
    from matplotlib.lines import Line2D

    figure, canvas = canvas_of(max(6.0, min(12.0, 1.6 + 0.32 * size)), 4.2)
    panels = [figure.add_axes(box) for box in ((0.12, 0.55, 0.86, 0.32), (0.12, 0.12, 0.86, 0.32))]
    for axes, x, y in zip(panels, ("", "candidate"), ("loss", "ꟻLIP of its pairs")):
        plain(axes)
        axes.set(xlim=(0.3, max(size, 1) + 0.7), autoscale_on=False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(nbins=4)
        label(axes, "", x, y)
        axes.yaxis.set_label_coords(-0.09, 0.5)
    upper, lower = panels
    upper.tick_params(axis="x", labelbottom=False)
    upper.set_yticks([])
    lower.set_ylim(0, top)
    dot, star, cross = (
        Line2D([], [], color=colour, linestyle="", marker=marker, markersize=width, label=name)
        for colour, marker, width, name in ((INK, "o", 4, "loss"), (RED, "*", 12, "best"), (GREY, "x", 6, "failed"))
    )
    spans = [
        Line2D([], [], color=colour, linewidth=width, label=name)
        for colour, width, name in ((PALE, 1.5, "range of the pairs"), (BLUE, 7, "quartiles and median"))
    ]
    for axes, handles in ((upper, [dot, star, cross]), (lower, spans)):
        axes.legend(handles=handles, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1.01, 0.98), frameon=False)
    return panels, canvas
