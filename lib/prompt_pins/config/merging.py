"""The options of a merge of checkpoints.  Standard library only."""

from __future__ import annotations

import dataclasses

from ..options import option


@dataclasses.dataclass(frozen=True)
class MergeOptions:
    """A merge of checkpoints, whose block weights are searched."""

    GROUP = "Merge"

    merge_with: str = option(
        "",
        label="Merge with",
        help="A second checkpoint, B, of the same layout: the share of it is searched, block by block. Both are single "
        ".safetensors files. None: no merge.",
    )
    merge_minus: str = option(
        "",
        label="Merge minus",
        help="A third checkpoint, C, for add difference: A + (B - C) times the weight. None: the weighted sum of A "
        "and B.",
    )
    merge_axes: str = option(
        "groups",
        label="Merge axes",
        choices=("blocks", "groups", "curve", "one"),
        help="What carries one number: each block (BASE, IN00 …, M00, OUT00 …), each group of them (BASE, INPUT, "
        "MIDDLE, OUTPUT), each curve of a mixture of presets, or all blocks together.",
    )
    merge_curves: tuple[str, ...] = option(
        ("COSINE", "GRAD_A", "SMOOTHSTEP"),
        label="Merge curves",
        help="The presets that curve mixes, one to four, by the names of prompt-pins merge --list; BASE has a number "
        "of its own.",
    )
    vary_blocks: tuple[str, ...] = option(
        (),
        label="Vary blocks",
        help="Ranges and fixed values of the merge's axes: IN04:0~0.5, OUT*:=0.3, *:0~1.2; the last that names an axis "
        "counts. Else 0 to 1.",
    )
    merge_start: float = option(
        0.5, label="Merge start", low=-1.0, high=2.0, help="Weight of every block where the search begins."
    )
    merge_precision: str = option(
        "fp16",
        label="Merge precision",
        choices=("fp16", "fp32"),
        help="What merged weights are rounded to, while they are searched and in the merged file.",
    )
