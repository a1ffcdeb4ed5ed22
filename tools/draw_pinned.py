"""Draw pictures of a finished run for the docs.

python tools/draw_pinned.py outputs/prompt_pins/00000000 docs/images/pinned.png
python tools/draw_pinned.py outputs/prompt_pins/00000000 docs/images/evolution.gif

The first: target, original and pinned prompt on the same unseen seeds.  The second, animated: the target beside the
original's batch, then the best of each generation, then the pinned prompt on unseen seeds.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from PIL import Image
from prompt_pins.report.gif import caption, write_gif
from prompt_pins.report.images import read_images
from prompt_pins.report.view import standing
from prompt_pins.store import RunFolder

matplotlib.use("Agg")
from matplotlib.figure import Figure

COLUMNS = 8
TITLE_WIDTH = 118
SIDE, SHOWN, GAP = 128, 4, 8  # pixels an image, images of a batch, pixels between target and batch
MILLISECONDS = 600


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


def evolution(run: Path) -> list[np.ndarray]:
    """Frames, H x W x 3 uint8.  Raises ValueError for a run without a check on unseen seeds."""
    record = RunFolder(run).record()
    if record.held is None or record.original is None:
        raise ValueError(f"{run}: has no check on unseen seeds")
    by_id = {candidate.id: candidate for candidate in record.candidates if candidate.loss is not None}
    (target,) = read_images(run, record.target_images[:1], SIDE)
    first = "the original prompt"
    shown = [(run / record.original.folder, record.original.images, first)] * 3
    for one in record.generations:
        if one.best in by_id:
            best = by_id[one.best]
            words = f"best of generation {one.generation}: search at {standing(one.progress)}"
            shown.append((run / best.folder, best.images, words))
    shown += [(run, record.held.images_original, f"{first}, on seeds that the search never saw")] * 3
    shown += [(run, record.held.images_pinned, "the pinned prompt, on the same unseen seeds")] * 4
    frames = []
    for folder, names, words in shown:
        images = read_images(folder, names[:SHOWN], SIDE)
        images += [np.full((SIDE, SIDE, 3), 255, np.uint8)] * (SHOWN - len(images))
        line = np.hstack([target, np.full((SIDE, GAP, 3), 255, np.uint8), *images])
        frames.append(caption(line, f"target          {words}"))
    return frames


if __name__ == "__main__":
    if sys.argv[2].endswith(".gif"):
        write_gif(Path(sys.argv[2]), evolution(Path(sys.argv[1])), MILLISECONDS)
    else:
        drawn = io.BytesIO()
        picture(Path(sys.argv[1])).savefig(drawn)
        Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(sys.argv[2], optimize=True)
