"""The plots of every candidate and generation, which must cost little: `loss_plot.png`, `generation_loss_plot.png`.

matplotlib draws each frame (axes, labels, legend) once and keeps it; a plot then is that frame, the data drawn on
it, and a title.  Axes end at round numbers, so there are few frames and plots can be compared by eye.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..store import Candidate
from ..store.files import whole_file
from .canvas import BLUE, GREY, INK, ORANGE, PALE, RED, canvas_of, label, pixels, plain
from .stats import BatchStats

BINS = 25


class QuickPlotter:
    """Draws many plots on kept frames.  Not for two threads at once."""

    def __init__(self) -> None:
        self._frames: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
        self._palette: Any = None
        self._font: Any = None

    def candidate(self, path: Path, candidate: Candidate, stats: BatchStats) -> None:
        """The histogram of the losses of a candidate's pairs."""
        from matplotlib.patches import StepPatch

        total = max(len(stats.fits) + len(stats.spreads), 1)
        right = _next(max([0.01, *stats.fits, *stats.spreads]), 0.25)
        edges = np.linspace(0.0, right, BINS + 1)
        fits, spreads = (np.histogram(values, edges)[0] * (100.0 / total) for values in (stats.fits, stats.spreads))
        top = _next(float((fits + spreads).max()), 25.0)
        axes, canvas = self._frame(("candidate", right, top), lambda: _candidate_frame(right, top))
        for values, base, colour in ((fits, 0.0 * fits, BLUE), (fits + spreads, fits, ORANGE)):
            if (values > base).any():
                patch = StepPatch(values, edges, baseline=base, fill=True, facecolor=colour, edgecolor="none")  # type: ignore[arg-type]
                _draw(axes, axes.add_artist(patch))
        loss = "failed" if candidate.loss is None else f"loss {candidate.loss:.4f}"
        self._save(path, canvas, f"Generation {candidate.generation}, candidate {candidate.index + 1}: {loss}")

    def generation(self, path: Path, number: int, losses: Sequence[float | None], stats: Sequence[BatchStats]) -> None:
        """Range and quartiles of the pair losses of every candidate, and its loss."""
        pairs = [(i + 1, np.array([*s.fits, *s.spreads])) for i, s in enumerate(stats) if s.fits or s.spreads]
        done = [(i + 1, loss) for i, loss in enumerate(losses) if loss is not None]
        top = _next(max([0.01, *(float(v.max()) for _, v in pairs), *(loss for _, loss in done)]), 0.1)
        size = len(losses)
        axes, canvas = self._frame(("generation", size, top), lambda: _generation_frame(size, top))
        if pairs:
            places = [i for i, _ in pairs]
            low, first, middle, third, high = np.array([np.percentile(v, (0, 25, 50, 75, 100)) for _, v in pairs]).T
            _draw(axes, axes.vlines(places, low, high, color=PALE, linewidth=1.2))
            _draw(axes, axes.vlines(places, first, third, color=BLUE, linewidth=5))
            _draw(axes, *axes.plot(places, middle, "_", color="white", markersize=6))
        if done:
            _draw(axes, *axes.plot(*zip(*done), "o", color=INK, markersize=4))
            _draw(axes, *axes.plot(*min(done, key=lambda item: item[1]), "*", color=RED, markersize=12))
        failed = [i + 1 for i, loss in enumerate(losses) if loss is None]
        if failed:
            _draw(axes, *axes.plot(failed, [top * 0.02] * len(failed), "x", color=GREY))
        self._save(path, canvas, f"Generation {number}")

    def _frame(self, key: tuple[Any, ...], draw: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
        """(axes, canvas) that show the empty frame of that key."""
        if key not in self._frames:
            axes, canvas = draw()
            canvas.draw()
            axes.set_autoscale_on(False)
            self._frames[key] = (axes, canvas, canvas.copy_from_bbox(axes.figure.bbox))
        axes, canvas, background = self._frames[key]
        canvas.restore_region(background)
        return axes, canvas

    def _save(self, path: Path, canvas: Any, title: str) -> None:
        from PIL import Image, ImageDraw, ImageFont

        if self._palette is None:
            import matplotlib

            self._palette = _palette()
            self._font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 13)
        image = pixels(canvas)
        ImageDraw.Draw(image).text((56, 8), title, fill=INK, font=self._font)
        small = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        with whole_file(path) as beside:
            small.save(beside, format="PNG", compress_level=2)


def _draw(axes: Any, artist: Any) -> None:
    """Draw one artist on the frame, and forget it."""
    axes.draw_artist(artist)
    artist.remove()


def _palette() -> Any:
    """A palette image of the plots' colours, each blended with white."""
    from PIL import Image, ImageColor

    palette = Image.new("P", (1, 1))
    blends = np.linspace(0.0, 1.0, 32)[:, None]
    ramps = [
        np.array(ImageColor.getrgb(colour)) * blends + 255 * (1 - blends)
        for colour in (INK, BLUE, ORANGE, RED, GREY, PALE, "#e4e4e4", "#000000")
    ]
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
    from matplotlib.lines import Line2D

    figure, canvas = canvas_of(max(6.0, min(12.0, 1.6 + 0.32 * size)), 3.3)
    axes = figure.add_axes((0.1, 0.15, 0.88, 0.68))
    plain(axes)
    axes.set(xlim=(0.3, max(size, 1) + 0.7), ylim=(0, top))
    axes.xaxis.get_major_locator().set_params(integer=True)
    label(axes, "", "candidate", "loss")
    handles = [
        Line2D([], [], color=PALE, linewidth=1.2, label="range of the pairs"),
        Line2D([], [], color=BLUE, linewidth=5, label="quartiles"),
        Line2D([], [], color=INK, linestyle="", marker="o", markersize=4, label="loss"),
        Line2D([], [], color=RED, linestyle="", marker="*", markersize=12, label="best"),
        Line2D([], [], color=GREY, linestyle="", marker="x", label="failed"),
    ]
    axes.legend(handles=handles, fontsize=8, ncols=5, loc="lower right", bbox_to_anchor=(1.02, 0.99), frameon=False)
    return axes, canvas
