"""Rebuild a whole report from a run's folder."""

from __future__ import annotations

from pathlib import Path

from ..store import Candidate, Record, RunFolder
from ..store.files import check_links
from .artist import Artist, unlike


def build(folder: RunFolder) -> Path:
    """Draw and write everything that is derived from the journal, the saved images and `batch_stats.json`.

    Returns the path of the run's `index.html`.  Raises `StoreError` (also where plots are wanted and matplotlib
    is missing) and `JournalError`.
    """
    record = folder.record()
    check_links(folder.path)
    artist = Artist.of(folder, record)
    for candidate in unlike(record.candidates):
        artist.candidate(candidate)
    for generation in record.generations:
        artist.generation(generation.generation, of_generation(record, generation.generation), generation, last=False)
    finish(artist, record)
    return folder.path / "index.html"


def finish(artist: Artist, record: Record) -> None:
    """What can only be drawn when the run rests: unfinished generations, links to the next one, the whole run."""
    known = {g.generation: g for g in record.generations}
    numbers = sorted({c.generation for c in record.candidates})
    drawn = {c.folder: c for c in reversed(record.candidates)}
    for number in numbers:
        candidates = of_generation(record, number)
        if number not in known:
            artist.generation(number, candidates, None, last=number == numbers[-1])
        elif number >= numbers[-1] - 1:
            artist.settle(number, candidates, known[number], number == numbers[-1], drawn)
    artist.run_plots(record)
    artist.run_gifs(record)
    artist.run(record)


def of_generation(record: Record, number: int) -> list[Candidate]:
    """The candidates of one generation, in order."""
    return [candidate for candidate in record.candidates if candidate.generation == number]
