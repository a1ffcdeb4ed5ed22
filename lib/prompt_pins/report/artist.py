"""Draws and writes everything that a report has, one part at a time; the same parts serve live and rebuilt reports.

Every file is worked out from the journal's records, the saved images and `batch_stats.json` alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..store import Candidate, Generation, Record, RunFolder
from ..store.files import whole_file, write_json, write_text
from . import context, merges, pages, plots
from .gif import alike, caption, mosaic, shrink, spread_evenly, write_gif
from .images import Thumbs, read_images
from .quick import QuickPlotter
from .stats import BatchStats, read_stats
from .summary import summary
from .view import distance, standing

SUMMARY_SIDE = 256  # longest side of the frames of `summary.gif`
MOSAIC_SIDE = 512
MILLISECONDS = 500
Drawn = Mapping[str, Candidate]


class Artist:
    """Writes the parts of one run's report.  Not for two threads at once.

    gifs, plots: whether those are drawn at all.
    """

    def __init__(self, folder: RunFolder, gifs: bool = True, plots: bool = True) -> None:
        self.folder, self.root, self.gifs, self.plots = folder, folder.path, gifs, plots
        self.thumbs = Thumbs(folder.path)
        self.pictures: dict[str, str] = {}
        self._plotter = QuickPlotter() if plots else None

    @classmethod
    def of(cls, folder: RunFolder, record: Record) -> Artist:
        """As the run's own configuration wants it."""
        return cls(folder, bool(record.config.get("gifs", True)), bool(record.config.get("plots", True)))

    def candidate(self, candidate: Candidate, images: Sequence[np.ndarray] | None = None) -> None:
        """`summary.gif`, `loss_plot.png` and the page of a candidate; nothing where it left no folder.

        images: its batch, where it is still in memory; otherwise it is read from the folder.
        """
        folder = self.root / candidate.folder
        if not folder.is_dir():
            return
        if self.gifs:
            frames = read_images(folder, candidate.images) if images is None else list(images)
            if frames:
                small = alike([shrink(frame, SUMMARY_SIDE) for frame in frames])
                write_gif(folder / "summary.gif", small, MILLISECONDS)
        stats = read_stats(folder)
        if self._plotter is not None and (stats.fits or stats.spreads):
            self._plotter.candidate(folder / "loss_plot.png", candidate, stats)
        self._candidate_page(candidate, stats)
        self.pictures.pop(candidate.folder, None)

    def _candidate_page(self, candidate: Candidate, stats: BatchStats) -> None:
        values = context.candidate_page(self.root, candidate, stats)
        write_text(self.root / candidate.folder / "index.html", pages.render("candidate.html", values))

    def picture(self, candidate: Candidate) -> str:
        """The file that stands for a candidate in tables; empty if there is none."""
        if candidate.folder not in self.pictures:
            names = ("summary.gif", *candidate.images)
            folder = self.root / candidate.folder
            self.pictures[candidate.folder] = next((name for name in names if (folder / name).is_file()), "")
        return self.pictures[candidate.folder]

    def generation(
        self, number: int, candidates: Sequence[Candidate], generation: Generation | None, last: bool
    ) -> None:
        """The page, `generation_loss_plot.png` and `best.gif` of a generation.  last: no generation follows it."""
        folder = self.folder.generation(number)
        if self._plotter is not None:
            stats = [read_stats(self.root / candidate.folder) for candidate in candidates]
            losses = [candidate.loss for candidate in candidates]
            self._plotter.generation(folder / "generation_loss_plot.png", number, losses, stats)
        best = best_of(candidates, generation)
        if best is not None and (self.root / best.folder / "summary.gif").is_file():
            copy(self.root / best.folder / "summary.gif", folder / "best.gif")
        self.generation_page(number, candidates, generation, last)

    def settle(self, number: int, rows: Sequence[Candidate], generation: Generation, last: bool, drawn: Drawn) -> None:
        """The pages of a generation and of its best candidate once more, when its error maps are surely there.

        drawn: the candidate that each folder's page is about.
        """
        best = best_of(rows, generation)
        if best is not None and (self.root / best.folder).is_dir():
            owner = drawn.get(best.folder, best)
            self._candidate_page(owner, read_stats(self.root / best.folder))
        self.generation_page(number, rows, generation, last)

    def generation_page(
        self, number: int, candidates: Sequence[Candidate], generation: Generation | None, last: bool
    ) -> None:
        """The page alone."""
        rows = [
            {
                "candidate": c,
                "picture": self.picture(c),
                "page": (self.root / c.folder / "index.html").is_file(),
                "best": generation is not None and c.id == generation.best,
            }
            for c in candidates
        ]
        best = best_of(candidates, generation)
        values = context.generation_page(self.root, number, rows, generation, last, best)
        write_text(self.folder.generation(number) / "index.html", pages.render("generation.html", values))

    def run(self, record: Record) -> None:
        """`index.html`, the news for pages that are open (`state.js`, `data.js`), and `run.json`."""
        values = context.run_page(self.root, record, self.thumbs)
        sections = pages.sections(values)
        data = context.page_data(record, self.picture)
        with_sections = pages.script_json({**data, "sections": {k: str(v) for k, v in sections.items()}})
        page = pages.render("run.html", {**values, "sections": sections, "data": pages.script_json(data)})
        write_json(self.root / "run.json", summary(self.root.name, record))
        write_text(self.root / "data.js", f"pinData({with_sections});\n")
        write_text(self.root / "state.js", f"pinState({pages.script_json({'version': data['version']})});\n")
        write_text(self.root / "index.html", page)

    def run_plots(self, record: Record) -> None:
        """`cma_plot.png`, and `cma_mo_plot.png` where the search had two objectives."""
        if not self.plots or not record.generations:
            return
        plots.draw_search(self.root / "cma_plot.png", record.generations, record.axes)
        merges.draw_map(self.root / merges.MAP, record)
        front = record.generations[-1].state.get("front")
        if front:
            done = [c for c in record.candidates if c.loss is not None]
            points = np.array([(c.loss, distance(c, record.axes), c.generation) for c in done])
            plots.draw_front(self.root / "cma_mo_plot.png", points.reshape(-1, 3), np.array(front).reshape(-1, 2))

    def run_gifs(self, record: Record) -> None:
        """`evolution.gif` (the best batch of each generation), `best.gif` and `final_summary.gif`."""
        if not self.gifs:
            return
        by_id = {c.id: c for c in reversed(record.candidates) if c.loss is not None}
        winners = [(g.generation, by_id[g.best]) for g in record.generations if g.best in by_id]
        told = {g.generation: standing(g.progress) for g in record.generations}
        most = max((len(candidate.images) for _, candidate in winners), default=0)
        frames = []
        for place in spread_evenly(range(len(winners)), 100):
            number, candidate = winners[place]
            images = read_images(self.root / candidate.folder, candidate.images, MOSAIC_SIDE)
            if images:
                said = told[number] or ("" if record.by_eye else f"loss {candidate.loss:.4f}")
                words = f"generation {number}   {said}".rstrip()
                frames.append(caption(mosaic(images, MOSAIC_SIDE, most), words))
        if frames:
            frames = [frame for frame in frames if frame.shape == frames[0].shape]
            write_gif(self.root / "evolution.gif", frames, 300, shared=False)
        best, original, winner = record.best, record.original, record.winner
        if best is None or original is None or winner is None:
            return
        if (self.root / best.folder / "summary.gif").is_file():
            copy(self.root / best.folder / "summary.gif", self.root / "best.gif")
        pairs = [read_images(self.root / c.folder, c.images, MOSAIC_SIDE // 2) for c in (original, winner)]
        if all(pairs) and pairs[0][0].shape == pairs[1][0].shape:
            sides = [caption(np.concatenate(pair, axis=1), "original  |  pinned") for pair in zip(*pairs)]
            write_gif(self.root / "final_summary.gif", sides, 800)


def best_of(candidates: Iterable[Candidate], generation: Generation | None) -> Candidate | None:
    """The best candidate of a generation."""
    return next((c for c in candidates if generation is not None and c.id == generation.best), None)


def copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with whole_file(target) as beside:
        shutil.copyfile(source, beside)


def unlike(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first candidate of each folder: later ones share what was drawn for it."""
    found: dict[str, Any] = {}
    for candidate in candidates:
        found.setdefault(candidate.folder, candidate)
    return list(found.values())
