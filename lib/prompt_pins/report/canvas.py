"""What all plots share: a canvas without global state, colours, and small PNG files.

Colours are those of Okabe and Ito, and viridis: both are told apart by colour-blind readers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..store.files import whole_file

BLUE, ORANGE, GREEN, RED, GREY, INK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676", "#222222"
PALE, GRID = "#9bbfd8", "#e4e4e4"
DPI = 100


def package() -> Any:
    """matplotlib itself, whole.

    A part of it that is named alone, while another thread imports the package, is taken from the half of it that is
    there, and leaves both broken for good: Python waits for a package only where it is named itself.
    """
    import matplotlib

    return matplotlib


def canvas_of(width: float, height: float) -> tuple[Any, Any]:
    """(figure, canvas) of a size in inches.  Raises `StoreError` where matplotlib is not installed."""
    try:
        package()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise StoreError(f"plots: matplotlib is needed ({error}); install it, or turn plots off") from None
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout=None)
    return figure, FigureCanvasAgg(figure)


def save_canvas(canvas: Any, path: Path) -> None:
    """Write what a canvas shows as a small palette PNG, whole or not at all."""
    from PIL import Image

    small = pixels(canvas).quantize(96, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    with whole_file(path) as beside:
        small.save(beside, format="PNG", compress_level=6)


def pixels(canvas: Any) -> Any:
    """What a canvas shows, as an RGB image."""
    from PIL import Image

    size = canvas.get_width_height()
    return Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")


def plain(axes: Any) -> None:
    """A light frame: two spines, a grid behind the data."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK)


def label(axes: Any, title: str, x: str, y: str) -> None:
    """Title (none if empty) and axis labels; no text is read as mathematics."""
    if title:
        axes.set_title(title, fontsize=10, loc="left", color=INK, parse_math=False)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
