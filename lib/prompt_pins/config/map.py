"""The options of a map.  Standard library only."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..options import option
from .groups import OwnOptions


@dataclasses.dataclass(frozen=True)
class MapOptions(OwnOptions):
    """What a map samples.  Not part of a run's configuration.  Raises `OptionError`.

    RUN_GROUPS: the groups of a run's options that matter to a map.
    """

    GROUP = "Map"
    RUN_GROUPS: ClassVar[tuple[str, ...]] = ("Prompt", "Images", "Loss")

    map_candidates: int = option(
        128,
        label="Candidates",
        low=2,
        high=2000,
        help="Wordings that are rendered, the original among them; of a run, so many of its own at most.",
    )
    map_radius: float = option(
        0.5, label="Radius", low=0.01, high=10.0, help="How far each weight lies from the original at most."
    )
