"""The values of every template, from a run's record.  Standard library only (pictures come from `images`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..store import Candidate, Generation, Held, Record, RunFolder
from ..store.folder import map_name
from ..store.left_out import LeftOut, left_out
from . import answer, merges, notations
from .analysis import correlations, tightness
from .first import UNIT, First, first
from .images import Thumbs
from .payloads import Shown, checkpoints, payloads
from .stats import BatchStats, read_stats
from .tree import draw_tree
from .view import (
    Variable,
    as_text,
    candidate_row,
    command,
    duration,
    gain,
    heat,
    seconds_of,
    series,
    settings,
    unseen,
    variables,
    verdict,
)
from .workers import workers

MATRIX = 30  # words; a larger matrix of correlations is not shown
FILES = (
    ("journal.jsonl", "everything that happened, one line each"),
    ("run.json", "this run in a few lines"),
    ("cma_plot.png", "the search"),
    ("cma_mo_plot.png", "loss against change"),
)
GIFS = (
    ("evolution.gif", "The best batch of each generation", "Evolution: the best batch of each generation"),
    ("final_summary.gif", "Original and pinned side by side, image by image", "Original and pinned, image by image"),
    ("best.gif", "The images of the pinned prompt", "The pinned prompt's images"),
)


def run_page(root: Path, record: Record, thumbs: Thumbs) -> dict[str, Any]:
    """Everything that the run page and its sections show."""
    best, original, held, winner = record.best, record.original, record.held, record.winner
    first_stats = read_stats(root / original.folder) if original else BatchStats()
    best_stats = read_stats(root / best.folder) if best else BatchStats()
    parts = heat(record, first_stats, best_stats)
    levels = best_stats.levels or record.plan.get("levels") or ()
    found = variables(record)
    before, left = first(record), left_out(RunFolder(root))
    return {
        "name": root.name,
        "record": record,
        **_facts(record),
        "targets": thumbs.pictures(record.target_images, "Target"),
        "original": _batch(thumbs, original, "Original prompt"),
        "verdict": verdict(record),
        "pinned": _batch(thumbs, winner, "Pinned prompt"),
        "same_seeds": first_stats.seeds == read_stats(root / winner.folder).seeds if winner else False,
        "original_fit": original.fit if original else None,
        "pinned_fit": winner.fit if winner else None,
        "fit_gain": gain(original.fit, winner.fit) if original and winner else None,
        **_payloads(record, thumbs, left),
        "held": held,
        "unseen_told": unseen(held) if held else "",
        "scale": _scale(*_ends(held, left)) if held else None,
        "held_original": thumbs.pictures(held.images_original, "Original prompt, unseen seed") if held else [],
        "held_pinned": thumbs.pictures(held.images_pinned, "Pinned prompt, unseen seed") if held else [],
        "best": best,
        "notations": _notations(root.name, record, best),
        "first": before,
        "unit": UNIT,
        "likelier": _likelier(before),
        "parts": parts,
        "changed": [word for side in parts.values() for word in side if word.changed],
        "variables": found,
        **_analysis(record, found),
        "answer": answer.groups(record),
        "in_line": answer.in_line,
        "told": answer.told(record),
        "measured_seeds": len(record.unchanged.fits) if record.unchanged else 0,
        "progress": next((g.progress for g in reversed(record.generations) if g.progress is not None), None),
        "place": place,
        "bounds": _bounds(found),
        "levels": levels,
        "leaves": len(levels[0]) if levels else 0,
        "nodes_at": [len(set(level)) for level in levels],
        "tree": draw_tree(levels, best_stats.per_level),
        "level_stats": best_stats.per_level,
        "search_plot": (root / "cma_plot.png").is_file(),
        "front": (root / "cma_mo_plot.png").is_file(),
        "contest": _contest(record),
        "numbers": sorted({c.generation for c in record.candidates}),
        "gifs": [{"name": name, "alt": alt, "caption": text} for name, alt, text in GIFS if (root / name).is_file()],
        "files": [(name, text) for name, text in FILES if (root / name).is_file() or name == "run.json"],
        "settings": settings(record.config),
        **merges.section(root, record),
        "host": [(str(key), as_text(value)) for key, value in record.host.items() if key != "merge"],
        "command": command(
            record.config, *(str(record.host.get(f"{kind}_folder") or "") for kind in ("embeddings", "loras"))
        ),
        "config_json": json.dumps(dict(record.config), ensure_ascii=False, indent=1),
    }


def _ends(held: Held, left: Sequence[LeftOut]) -> tuple[float, float]:
    """The lowest and the highest end of a check's intervals, and of those of payloads that were left out."""
    gains = [*held.payload_gains, *(gain for one in left for gain in one.gains[1:2])]
    return min([held.low, *(gain[1] for gain in gains)]), max([held.high, *(gain[2] for gain in gains)])


def _payloads(record: Record, thumbs: Thumbs, left: Sequence[LeftOut]) -> dict[str, Any]:
    return {
        "left_out": {
            one.number: {**vars(one), "images": thumbs.pictures(one.images, f"Pinned without payload {one.number}")}
            for one in left
            if one.gains
        },
        "payloads": [_payload(thumbs, one) for one in payloads(record)],
        "checkpoints": checkpoints(record),
        "worst": record.config.get("payload_loss") == "worst",
    }


def _payload(thumbs: Thumbs, one: Shown) -> dict[str, Any]:
    """A payload with its pictures."""
    sides = ("targets", "before", "after", "unseen_before", "unseen_after")
    names = ("Target", "Original prompt, image", "Pinned prompt, image", "Original prompt, unseen seed",
             "Pinned prompt, unseen seed")  # fmt: skip
    pictures = {
        side: thumbs.pictures(getattr(one, side), f"Payload {one.number}: {name}") for side, name in zip(sides, names)
    }
    return {**vars(one), **pictures}


def _notations(name: str, record: Record, best: Candidate | None) -> list[tuple[str, str, str]]:
    """(id, label, text) of the notations in which the pinned prompt can be copied."""
    if best is None or best.loss is None:
        return []
    found = [("piece", "piece", best.piece)] if best.piece else []
    found += [
        ("csv", "style (CSV line)", notations.style_line(name, best)),
        ("json", "JSON", notations.as_json(name, record, best)),
        ("compel", "Compel", notations.compel_or_reason(best)[0]),
    ]
    return [entry for entry in found if entry[2]]


def _analysis(record: Record, found: Sequence[Variable]) -> dict[str, Any]:
    """Tightness and correlations of the words, once the search is over."""
    labels = [variable.label for variable in found]
    if record.state == "running" or not labels:
        return {"tightness": (), "tight": (), "reach": None, "matrix": None, "labels": labels}
    rows = tightness(record, [variable.axis.scaled_label for variable in found], [variable.std for variable in found])
    matrix = correlations(record) if len(labels) <= MATRIX else None
    return {
        "tightness": rows,
        "tight": [f"“{row.label}”" for row in rows if row.held],
        "reach": _scale(min(row.low for row in rows), max(row.high for row in rows)) if rows else None,
        "matrix": None if matrix is None else [[round(float(v), 2) for v in line] for line in matrix],
        "labels": labels,
    }


def _likelier(before: First | None) -> Callable[[float], float] | None:
    """An effect to percent of the drawing's width."""
    return None if before is None else _spread(*before.reach)


def _facts(record: Record) -> dict[str, Any]:
    plain, forked = record.plan.get("plain_evaluations"), record.plan.get("evaluations")
    return {
        "workers": workers(record.candidates),
        "failed": sum(candidate.loss is None for candidate in record.candidates),
        "images": sum(len(c.images) for c in record.candidates if c.evaluations),
        "plan_generations": record.plan.get("generations"),
        "saved": 1.0 - forked / plain if plain and forked is not None else None,
        "worked": duration(seconds_of(record)),
    }


def _batch(thumbs: Thumbs, candidate: Candidate | None, alt: str) -> list[dict[str, str]]:
    if candidate is None:
        return []
    return thumbs.pictures([f"{candidate.folder}/{name}" for name in candidate.images], f"{alt}, image")


def _scale(low: float, high: float) -> Callable[[float], float]:
    """Improvement to percent of the drawing's width: zero and the interval lie well inside."""
    left, right = min(low, 0.0), max(high, 0.0)
    room = max(right - left, 0.1) * 0.1
    return _spread(left - room, right + room)


def _spread(left: float, right: float) -> Callable[[float], float]:
    return lambda value: round(100 * (value - left) / (right - left), 2)


def place(variable: Variable, value: float) -> float:
    """A value's place between the bounds, in percent."""
    width = variable.axis.high - variable.axis.low
    share = (value - variable.axis.low) / width if width > 0 and math.isfinite(width) else 0.5
    return round(100 * min(max(share, 0.0), 1.0), 2)


def _bounds(found: Sequence[Variable]) -> tuple[float, float] | None:
    """The lowest and the highest value, where they are the same for all words."""
    pairs = {(v.axis.low, v.axis.high) for v in found if v.axis.side != "settings"}
    return pairs.pop() if len(pairs) == 1 else None


def _contest(record: Record) -> list[tuple[Candidate, str, float]]:
    """(candidate, what it is, its mean fit) of the finalists, the best first."""
    if record.choice is None:
        return []
    answers = [c for c in record.candidates if c.generation > len(record.generations)]
    roles = {c.id: role for c, role in zip([record.candidates[0], *answers], ("original", "centre", "simplest"))}
    by_id = {c.id: c for c in reversed(record.candidates)}
    rows = zip(record.choice.contestants, record.choice.fits)
    found = [
        (by_id[name], roles.get(name, ""), math.fsum(fits) / len(fits)) for name, fits in rows if name in by_id and fits
    ]
    return sorted(found, key=lambda item: item[2])


def page_data(record: Record, picture: Callable[[Candidate], str]) -> dict[str, Any]:
    """What the run page's script shows: curves and the table of candidates."""
    best = {(g.generation, g.best) for g in record.generations}
    rows = [candidate_row(c, record.axes, picture(c), (c.generation, c.id) in best) for c in record.candidates]
    parts = (part is not None for part in (record.likely, record.choice, record.held))
    done = (record.state, len(rows), len(record.generations), *parts, len(record.words))
    done += (len(record.questions), len(record.verdicts)) if record.by_eye else ()
    return {
        "version": " ".join(map(str, done)),
        "state": record.state,
        "series": series(record.generations),
        "rows": rows,
    }


def generation_page(
    root: Path,
    number: int,
    rows: Sequence[dict[str, Any]],
    generation: Generation | None,
    last: bool,
    best: Candidate | None,
) -> dict[str, Any]:
    """The values of a generation's page."""
    folder = root / f"{number:08d}"
    losses = [loss for loss in generation.losses if loss is not None] if generation else []
    return {
        "name": root.name,
        "number": number,
        "previous": number - 1 if number > 1 else None,
        "following": None if last else number + 1,
        "generation": generation,
        "best_loss": min(losses, default=None),
        "rows": rows,
        "maps": _maps(root, best) if best is not None else [],
        "plot": (folder / "generation_loss_plot.png").is_file(),
        "gif": (folder / "best.gif").is_file(),
    }


def _maps(root: Path, best: Candidate) -> list[dict[str, str]]:
    """Each image of a generation's best candidate and its error map, relative to the run; those that are there."""
    names = [(name, map_name(index)) for index, name in enumerate(best.images)]
    there = [pair for pair in names if all((root / best.folder / name).is_file() for name in pair)]
    return [{"image": f"{best.folder}/{image}", "map": f"{best.folder}/{found}"} for image, found in there]


def candidate_page(root: Path, candidate: Candidate, stats: BatchStats) -> dict[str, Any]:
    """The values of a candidate's page."""
    folder = root / candidate.folder
    images = []
    for index, name in enumerate(candidate.images):
        fit, spread = stats.per_image[index] if index < len(stats.per_image) else (None, None)
        seed = f"seed {stats.seeds[index]}" if index < len(stats.seeds) else f"image {index + 1}"
        kept, found = ((folder / file).is_file() for file in (name, map_name(index)))
        images.append({"name": name, "kept": kept, "seed": seed, "fit": fit, "spread": spread})
        images[-1]["map"] = map_name(index) if found else ""
    return {
        "name": root.name,
        "c": candidate,
        "stats": stats,
        "images": images,
        "plot": (folder / "loss_plot.png").is_file(),
        "gif": (folder / "summary.gif").is_file(),
    }
