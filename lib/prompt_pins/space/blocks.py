"""The group of a merge's block weights: one number for each block, group, curve, or for all of them.

Standard library only.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..config import MergeOptions
from ..errors import OptionError
from ..host import Recipe
from ..merge.blocks import BASE, GROUPS, group_of, weights_of
from ..merge.presets import PRESETS, preset
from ..prompt.steering import inward
from ..store import Axis
from .space import Part

DECIMALS = 3
LOWEST, HIGHEST = -1.0, 2.0
MOST_CURVES = 4
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_RANGE = re.compile(
    rf"\s*(?P<name>[\w*?]+)\s*:\s*(?:=\s*(?P<at>{_NUMBER})|(?P<low>{_NUMBER})\s*~\s*(?P<high>{_NUMBER}))\s*"
)


@dataclass(frozen=True)
class Blocks:
    """Block weights are linear in the axes' values, held to what any axis may be.

    blocks: in the order of other mergers, BASE first.  fixed: the part of each that never varies.  rows: of each block,
    how much of every axis is in it.  bounds: of a block's weight.
    """

    blocks: tuple[str, ...]
    axes: tuple[Axis, ...]
    fixed: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    bounds: tuple[float, float]

    @classmethod
    def build(cls, options: MergeOptions, known: Mapping[str, float]) -> Blocks:
        """known: what the host can set; its block weights are among it.

        Raises `OptionError` for a host that merges nothing, a curve that there is not, and a range that cannot be.
        """
        blocks = tuple(weights_of(known))
        if not blocks:
            raise OptionError("merge_with", options.merge_with, "none: this host has no second checkpoint loaded")
        shapes = _shapes(options, blocks)
        ranges, starts = _ranges(options.vary_blocks, shapes), _starts(options, shapes)
        axes, fixed, rows = [], [0.0] * len(blocks), [[] for _ in blocks]  # type: ignore[var-annotated]
        for name, shape in shapes.items():
            low, high, text = ranges[name]
            start = min(max(starts[name], low), high)
            if low == high:
                fixed = [part + low * share for part, share in zip(fixed, shape)]
                continue
            axes.append(_axis(text, name, start, low, high))
            for row, share in zip(rows, shape):
                row.append(share)
        bounds = min(0.0, *(low for low, _, _ in ranges.values())), max(1.0, *(high for _, high, _ in ranges.values()))
        return cls(blocks, tuple(axes), tuple(fixed), tuple(map(tuple, rows)), bounds)

    def weights(self, values: Sequence[float]) -> dict[str, float]:
        """Every block's weight."""
        low, high = self.bounds
        return {
            block: round(min(max(math.fsum([part, *(a * b for a, b in zip(row, values))]), low), high), DECIMALS)
            for block, part, row in zip(self.blocks, self.fixed, self.rows)
        }

    def set(self, recipe: Recipe, values: Sequence[float]) -> Recipe:
        """The recipe with these block weights."""
        return replace(recipe, settings=(*recipe.settings, *self.weights(values).items()))

    def parts(self, values: Sequence[float]) -> Iterator[Part]:
        """Each block's weight."""
        for block, weight in self.weights(values).items():
            yield Part(block, weight, "settings")


def _shapes(options: MergeOptions, blocks: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    """How much of each axis is in every block."""
    if options.merge_axes == "one":
        return {"ALL": (1.0,) * len(blocks)}
    if options.merge_axes == "blocks":
        return {name: tuple(float(block == name) for block in blocks) for name in blocks}
    if options.merge_axes == "groups":
        return {name: tuple(float(group_of(block) == name) for block in blocks) for name in GROUPS}
    curves = options.merge_curves
    if not 1 <= len(set(curves)) == len(curves) <= MOST_CURVES:
        raise OptionError("merge_curves", list(curves), f"one to {MOST_CURVES} presets, each once")
    for name in curves:
        if name not in PRESETS:
            raise OptionError("merge_curves", name, ", ".join(PRESETS))
    own = {BASE: tuple(float(block == BASE) for block in blocks)}
    return own | {name: tuple(preset(name, blocks).values()) for name in curves}


def _starts(options: MergeOptions, shapes: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Where each axis begins; curves all alike, so that the mean of the UNet's blocks is the start."""
    alone = dict.fromkeys(shapes, options.merge_start)
    if options.merge_axes != "curve":
        return alone
    curves = [name for name in shapes if name != BASE]
    whole = math.fsum(math.fsum(shapes[name]) for name in curves) / (len(shapes[BASE]) - 1)
    return alone | dict.fromkeys(curves, round(options.merge_start / whole, DECIMALS))


def _ranges(wanted: Sequence[str], names: Mapping[str, object]) -> dict[str, tuple[float, float, str]]:
    """(low, high, what said so) of every axis."""
    found = dict.fromkeys(names, (0.0, 1.0, ""))
    for text in wanted:
        match = _RANGE.fullmatch(text)
        if match is None:
            raise OptionError("vary_blocks", text, "a range or a fixed value, such as IN04:0~0.5 or OUT*:=0.3")
        low, high = (float(match["at"] or match[end]) for end in ("low", "high"))
        if not LOWEST <= low <= high <= HIGHEST:
            raise OptionError("vary_blocks", text, f"a range within {LOWEST:g}~{HIGHEST:g}, the lower end first")
        of = [name for name in names if fnmatch.fnmatchcase(name, match["name"])]
        if not of:
            raise OptionError("vary_blocks", text, f"axes of this merge: {', '.join(names)}")
        found |= dict.fromkeys(of, (low, high, text))
    return found


def _axis(text: str, name: str, start: float, low: float, high: float) -> Axis:
    least, most = inward(low, high, 10**DECIMALS)
    if least >= most:
        raise OptionError("vary_blocks", text, f"a range with two weights of {DECIMALS} decimals")
    # as of a setting: half the range is to the search what 1 is of a word's weight
    scale = 2.0 ** round(math.log2((high - low) / 2.0))
    return Axis(name, start, low, high, DECIMALS, scale, "settings", "blocks")
