"""The plots of every candidate and generation, which must cost little: `loss_plot.png`, `generation_loss_plot.png`.

matplotlib draws each frame (axes, labels, legend) once and keeps it; a plot then is that frame, the data drawn on
it, and a title.  Axes end at round numbers, so there are few frames and plots can be compared by eye.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..store import Candidate
from ..store.files import whole_file
from .canvas import BLUE, GREY, GRID, INK, ORANGE, PALE, RED, canvas_of, label, pixels, plain
from .stats import BatchStats

BINS = 25
Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels, downwards


class QuickPlotter:
    """Draws many plots on kept frames.  Not for two threads at once."""

    def __init__(self) -> None:
        self._frames: dict[tuple[int, float], tuple[Any, Any, Any]] = {}
        self._histograms: dict[tuple[float, float], tuple[Any, Box]] = {}
        self._palette: Any = None
        self._font: Any = None

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
        pairs = [(i + 1, np.array([*s.fits, *s.spreads])) for i, s in enumerate(stats) if s.fits or s.spreads]
        done = [(i + 1, loss) for i, loss in enumerate(losses) if loss is not None]
        failed = [i + 1 for i, loss in enumerate(losses) if loss is None]
        top = _next(max([0.01, *(float(v.max()) for _, v in pairs)]), 0.1)
        (upper, lower), canvas = self._frame(len(losses), top)
        low, high = min([v for _, v in done], default=0.0), max([v for _, v in done], default=1.0)
        room = max(0.15 * (high - low), 0.005 * high, 1e-6)
        upper.set_ylim(low - room, high + room)
        upper.draw_artist(upper.yaxis)
        if done:
            _draw(upper, *upper.plot(*zip(*done), "o", color=INK, markersize=4))
            _draw(upper, *upper.plot(*min(done, key=lambda item: item[1]), "*", color=RED, markersize=12))
        if failed:
            _draw(upper, *upper.plot(failed, [low - room / 2] * len(failed), "x", color=GREY))
        if pairs:
            places = [i for i, _ in pairs]
            least, first, middle, third, most = np.array([np.percentile(v, (0, 25, 50, 75, 100)) for _, v in pairs]).T
            _draw(lower, lower.vlines(places, least, most, color=PALE, linewidth=1.5))
            _draw(lower, lower.vlines(places, first, third, color=BLUE, linewidth=7))
            _draw(lower, *lower.plot(places, middle, "_", color="white", markersize=8))
        self._save(path, pixels(canvas), f"Generation {number}: loss of every candidate")

    def _histogram(self, right: float, top: float) -> tuple[Any, Box]:
        """The empty histogram with axes to `right` and `top`, and where its axes lie."""
        if (right, top) not in self._histograms:
            axes, canvas = _candidate_frame(right, top)
            canvas.draw()
            image, area = pixels(canvas), axes.bbox
            box = (area.x0, image.height - area.y0, area.x1, image.height - area.y1)
            self._histograms[right, top] = (image, box)
        return self._histograms[right, top]

    def _frame(self, size: int, top: float) -> tuple[Any, Any]:
        """(axes, canvas) that show the empty plot of a generation of `size` candidates, pairs up to `top`."""
        if (size, top) not in self._frames:
            axes, canvas = _generation_frame(size, top)
            canvas.draw()
            self._frames[size, top] = (axes, canvas, canvas.copy_from_bbox(canvas.figure.bbox))
        axes, canvas, background = self._frames[size, top]
        canvas.restore_region(background)
        return axes, canvas

    def _save(self, path: Path, image: Any, title: str) -> None:
        from PIL import Image, ImageDraw, ImageFont

        if self._palette is None:
            import matplotlib

            self._palette = _palette()
            self._font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 13)
        ImageDraw.Draw(image).text((56, 8), title, fill=INK, font=self._font)
        small = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        with whole_file(path) as beside:
            small.save(beside, format="PNG", compress_level=2)


def _draw(axes: Any, artist: Any) -> None:
    """Draw one artist on the frame, and forget it."""
    axes.draw_artist(artist)
    artist.remove()


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

    The upper y axis is left to be drawn with the data.
    """
    from matplotlib.lines import Line2D

    figure, canvas = canvas_of(max(6.0, min(12.0, 1.6 + 0.32 * size)), 4.2)
    panels = [figure.add_axes(box) for box in ((0.12, 0.55, 0.86, 0.32), (0.12, 0.12, 0.86, 0.32))]
    for axes, x, y in zip(panels, ("", "candidate"), ("loss", "ꟻLIP of its pairs")):
        plain(axes)
        axes.set(xlim=(0.3, max(size, 1) + 0.7), autoscale_on=False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(nbins=4)
        label(axes, "", x, y)
    upper, lower = panels
    upper.tick_params(axis="x", labelbottom=False)
    upper.yaxis.set_animated(True)
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
