"""The outcome of scoring a batch, and its JSON form.  Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prompt_pins.loss.options import LossOptions
from prompt_pins.loss.sets import Array, LevelLoss, Levels, PairTable, tree_loss


@dataclass(frozen=True)
class BatchLoss:
    """All parts of a batch's loss.

    loss            the number that the search lowers
    fit             mean loss to the targets (by their weights)
    spread          mean loss of the images against one another; None for a single image
    mean, std       of all pair losses, every pair alike
    per_image       for each image: (fit, spread or None)
    per_level       terms of the tree, root first
    image_target    B x T pair losses; image_image: B x B, symmetric, 0 on the diagonal
    objectives      for each objective its own fit and spread before weighting, and its factor
    normalisers     to be kept in the journal and handed to every later `score_batch` of the run
    """

    loss: float
    fit: float
    spread: float | None
    mean: float
    std: float
    per_image: tuple[tuple[float, float | None], ...]
    per_level: tuple[LevelLoss, ...]
    image_target: tuple[tuple[float, ...], ...]
    image_image: tuple[tuple[float, ...], ...]
    objectives: Mapping[str, Mapping[str, float | None]]
    normalisers: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for `batch_stats.json`; `calculated_loss` and `calculated_loss_list` as in the seed."""
        size = len(self.image_image)
        pairs = [
            {"image": i, "target": t, "loss": value}
            for i, row in enumerate(self.image_target)
            for t, value in enumerate(row)
        ]
        pairs += [
            {"image": i, "other": j, "loss": self.image_image[i][j]} for i in range(size) for j in range(i + 1, size)
        ]
        return {
            "calculated_loss": self.loss,
            "calculated_loss_list": [pair["loss"] for pair in pairs],
            "fit": self.fit,
            "spread": self.spread,
            "mean": self.mean,
            "std": self.std,
            "per_image": [{"fit": fit, "spread": spread} for fit, spread in self.per_image],
            "per_level": [asdict(level) | {"nodes": list(level.nodes)} for level in self.per_level],
            "pairs": pairs,
            "objectives": {name: dict(parts) for name, parts in self.objectives.items()},
            "normalisers": dict(self.normalisers),
        }


def build_result(
    table: PairTable,
    tables: Mapping[str, PairTable],
    shares: Mapping[str, float],
    normalisers: Mapping[str, float],
    levels: Levels | None,
    options: LossOptions,
) -> BatchLoss:
    """The result for a combined pair table and those of the single objectives."""
    loss, per_level = tree_loss(table, levels, options)
    fits, spreads = _per_image(table)
    values = table.values()
    return BatchLoss(
        loss=loss,
        fit=float(fits.mean()),
        spread=_mean(spreads),
        mean=float(values.mean()),
        std=float(values.std()),
        per_image=tuple(zip(fits.tolist(), [None] * table.size if spreads is None else spreads.tolist())),
        per_level=per_level,
        image_target=tuple(map(tuple, table.fit.tolist())),
        image_image=tuple(map(tuple, table.spread.tolist())),
        objectives={name: _parts(part, shares[name]) for name, part in tables.items()},
        normalisers=dict(normalisers),
    )


def _per_image(table: PairTable) -> tuple[Array, Array | None]:
    """Each image's mean loss to the targets, and to the other images (None for a single image)."""
    fits = table.fit @ (table.target_weights / table.target_weights.sum())
    if table.size == 1:
        return fits, None
    return fits, table.spread.sum(axis=1) / (table.size - 1)


def _parts(table: PairTable, share: float) -> dict[str, float | None]:
    fits, spreads = _per_image(table)
    return {"fit": float(fits.mean()), "spread": _mean(spreads), "factor": share}


def _mean(values: Array | None) -> float | None:
    return None if values is None else float(values.mean())
