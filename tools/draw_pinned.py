"""Draw the README's picture from a finished run: target, original and pinned prompt on the same unseen seeds.

python tools/draw_pinned.py outputs/prompt_pins/00000000 docs/images/pinned.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from PIL import Image
from prompt_pins.store import RunFolder

matplotlib.use("Agg")
from matplotlib.figure import Figure

COLUMNS = 8
TITLE_WIDTH = 118


def picture(run: Path) -> Figure:
    """Two rows of unseen seeds beside the target.  Raises ValueError for a run without a check on unseen seeds."""
    record = RunFolder(run).record()
    held, best = record.held, record.best
    if held is None or best is None or record.original is None:
        raise ValueError(f"{run}: has no check on unseen seeds")
    figure = Figure(figsize=(9.6, 3.1), dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, COLUMNS + 2)
    target = figure.add_subplot(grid[:, :2])
    target.imshow(Image.open(run / record.target_images[0]))
    target.set_title("target", fontsize=9)
    rows = (("original", record.original.prompt, held.images_original), ("pinned", best.prompt, held.images_pinned))
    for row, (name, prompt, names) in enumerate(rows):
        axes = figure.add_subplot(grid[row, 2:])
        axes.imshow(np.hstack([np.asarray(Image.open(run / path).convert("RGB")) for path in names[:COLUMNS]]))
        axes.set_title(fill(f"{name}: {prompt}", TITLE_WIDTH), fontsize=8, loc="left", parse_math=False)
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


if __name__ == "__main__":
    picture(Path(sys.argv[1])).savefig(sys.argv[2])
