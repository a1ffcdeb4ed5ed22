"""Do weights move outcomes? Two rival words in one caption, and the share of pictures that show each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diffusers import StableDiffusionPipeline

from embedded.captions import Word, Words, plain
from embedded.drawing import Sampling, draw_all
from embedded.judge import Seen, row_background, see
from embedded.words import WordBook

WEIGHTS = (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3)


@dataclass(frozen=True)
class Duel:
    """A caption in which `first` and `second` name the same attribute (a field of `Seen`); only `first` is weighted."""

    before: str
    first: str
    second: str
    after: str
    attribute: str

    def words(self, weight: float) -> Words:
        return (*plain(self.before), Word(self.first, weight), Word(self.second), *plain(self.after))

    @property
    def text(self) -> str:
        return f"{self.before} ({self.first}:w) {self.second} {self.after}".strip()


DUELS = (
    Duel("a", "red", "blue", "circle on a white background", "colour"),
    Duel("a", "yellow", "purple", "star on a black background", "colour"),
    Duel("a green", "square", "circle", "on a white background", "shape"),
    Duel("a black", "star", "triangle", "on a yellow background", "shape"),
    Duel("a white circle on the", "left", "right", "on a blue background", "place"),
)


def shares(
    pipeline: StableDiffusionPipeline, duel: Duel, seeds: list[int], sampling: Sampling, book: WordBook
) -> np.ndarray:
    """Share of pictures that show the first and the second word: len(WEIGHTS) x 2, the same seeds at each weight."""
    rows = []
    for weight in WEIGHTS:
        pictures = draw_all(pipeline, [duel.words(weight)] * len(seeds), seeds, sampling, book)
        seen: list[Seen] = [see(p, row_background(p, False)) for p in pictures]
        values = [getattr(s, duel.attribute) for s in seen]
        rows.append([values.count(duel.first) / len(seeds), values.count(duel.second) / len(seeds)])
    return np.array(rows)


def plot_shares(results: dict[str, np.ndarray], path: Path) -> None:
    """One line per duel: the first word's share among the pictures that show either word, against its weight."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for text, values in results.items():
        total = values.sum(axis=1)
        share = np.divide(values[:, 0], total, out=np.full(len(total), np.nan), where=total > 0)
        axes.plot(WEIGHTS, share, marker="o", label=text)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set(xlabel="weight w of the first rival word", ylabel="share of pictures showing it", ylim=(-0.02, 1.02))
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
