"""`prompt-pins merge --grid`: every preset of block weights on common seeds, ranked by how near its images are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config import RunConfig
from ..errors import OptionError
from ..host import Host, Recipe
from ..loss import BatchLoss, score_batch
from ..merge.blocks import as_list, weights_of
from ..merge.presets import PRESETS, preset
from ..store.files import check_place, write_text
from ..store.folder import save_image

if TYPE_CHECKING:
    from .terminal import Terminal

PICTURE, TABLE = "merge-grid.png", "merge-grid.json"
EVEN = "EVEN"
SHOWN = 8  # images of each merge in the picture


@dataclasses.dataclass(frozen=True)
class Row:
    """A merge and its fits, one for each seed.  better: 1 - its mean over the even merge's, with its 95 % interval."""

    name: str
    weights: str
    fits: tuple[float, ...]
    better: tuple[float, float, float]

    @property
    def fit(self) -> float:
        """The mean."""
        return float(np.mean(self.fits))

    @property
    def said(self) -> str:
        """`better`, `worse`, or that nothing is proven; "" of the even merge itself."""
        if self.name == EVEN:
            return ""
        return "better" if self.better[1] > 0 else "worse" if self.better[2] < 0 else "not proven"


def grid(config: RunConfig, host: Host, folder: Path, console: Terminal) -> None:
    """Render, rank, print; `PICTURE` and `TABLE` in a folder.

    Raises `OptionError` without a target and for payloads, `StoreError`, `HostInterrupted`.
    """
    from ..report.gif import caption
    from ..run.contest import improvement
    from ..run.rendering import render, tagger
    from ..run.scoring import loss_options
    from ..run.seeds import contest_seeds
    from ..run.targets import read_targets

    for name in (PICTURE, TABLE):
        check_place(folder / name)
    if config.many:
        raise OptionError("payload", f"{len(config.payloads)} payloads", "none with --grid, which renders one prompt")
    options = loss_options(config)
    interrogator, targets = tagger(host, options), read_targets(config, host)
    if not targets:
        raise OptionError("target", "", "an image, for --grid ranks by how near a merge's images are to it")
    names, seeds = tuple(weights_of(host.settings(config))), contest_seeds(config.seed, config.contest_seeds)
    flat = {EVEN: 0.5, "A": 0.0, "B": 1.0}
    merges = {name: dict.fromkeys(names, weight) for name, weight in flat.items()}
    merges |= {name: preset(name, names) for name in PRESETS}
    rows, pictures = list[Row](), dict[str, np.ndarray]()
    base: BatchLoss | None = None
    for place, (name, weights) in enumerate(merges.items(), 1):
        recipe = Recipe(config.prompt, config.negative_prompt, tuple(weights.items()))
        images = np.concatenate([
            render(host, recipe, seeds[start : start + config.batch_size], config, forked=False).images
            for start in range(0, len(seeds), config.batch_size)
        ])  # fmt: skip
        known = base.normalisers if base else None
        scored = score_batch(images, targets, None, options, normalisers=known, tagger=interrogator)
        base = base or scored
        even, fits = (tuple(fit for fit, _ in one.per_image) for one in (base, scored))
        rows.append(Row(name, as_list(weights), fits, improvement(even, fits, config.cma_seed)))
        pictures[name] = np.concatenate(list(images[:SHOWN]), axis=1)
        console.say(f"{place}/{len(merges)}  {name}: fit {rows[-1].fit:.3f}")
    rows.sort(key=lambda row: row.fit)
    sheet = [caption(pictures[row.name], f"{row.name}   fit {row.fit:.3f}   {row.said}".rstrip()) for row in rows]
    save_image(folder / PICTURE, np.concatenate(sheet))
    write_text(folder / TABLE, json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")
    _print(rows, folder, console)


def _print(rows: list[Row], folder: Path, console: Terminal) -> None:
    width = max(len(row.name) for row in rows)
    console.say(
        f"\nfit to the target, and how much nearer than the even merge (95 % interval), {len(rows[0].fits)} seeds"
    )
    for row in rows:
        share, low, high = (f"{round(100 * value):+d}%" for value in row.better)
        told = "" if row.name == EVEN else f"  {share:>5} [{low}, {high}] {row.said}"
        console.say(f"{row.name:{width}}  {row.fit:.3f}{told}")
    console.say(f"pictures: {folder / PICTURE}")
