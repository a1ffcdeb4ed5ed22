"""The configuration of a run: frozen, validated once, JSON round trip.  Standard library only.

Every option of the product is declared in this package and nowhere else.  The groups are mixed into one flat
`RunConfig`, so a part that needs only its own group takes a `RunConfig` as it is.
"""

from .groups import (
    NO_TARGET,
    AnalysisOptions,
    BudgetOptions,
    LossGroup,
    OutputOptions,
    PromptOptions,
    RenderOptions,
    TargetOptions,
)
from .map import MapOptions
from .merging import MergeOptions
from .payloads import PayloadOptions
from .presets import PRESETS
from .run import RunConfig
from .search import SearchOptions

__all__ = [
    "NO_TARGET",
    "PRESETS",
    "AnalysisOptions",
    "BudgetOptions",
    "LossGroup",
    "MapOptions",
    "MergeOptions",
    "OutputOptions",
    "PayloadOptions",
    "PromptOptions",
    "RenderOptions",
    "RunConfig",
    "SearchOptions",
    "TargetOptions",
]
