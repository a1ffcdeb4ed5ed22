"""The search over the weights of a prompt: CMA-ES with ask and tell, exact replay, and reasons in words.

    search = create(original, low, high, SearchOptions(cma_seed=1))
    while search.stop() is None:
        candidates = search.ask()
        search.tell([loss_of(candidate) for candidate in candidates])
    vector, loss = search.best

Importing this module needs the standard library only; `create` imports numpy and deap.  Nothing here ever
imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from ..config.presets import PRESETS
from ..config.search import SearchOptions
from ..errors import OptionError
from .stopping import INTERRUPTED, Budget, StopReason

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .multi import TwoObjectiveSearch
    from .single import SingleSearch
    from .warm import WarmStart

    Search = Union[SingleSearch, TwoObjectiveSearch]

__all__ = ["INTERRUPTED", "PRESETS", "Budget", "SearchOptions", "StopReason", "create"]


def create(
    original: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    options: SearchOptions,
    warm: WarmStart | None = None,
) -> SingleSearch | TwoObjectiveSearch:
    """A search over N variables: `original` (N,), bounds (N,) or scalars.  Raises `OptionError`."""
    from .box import Box
    from .multi import TwoObjectiveSearch
    from .single import SingleSearch

    box = Box.build(original, low, high)
    if warm is not None and warm.mean.size != box.size:
        raise OptionError("warm", warm.mean.tolist(), f"a distribution of {box.size} weights")
    return SingleSearch(box, options, warm) if options.objectives == 1 else TwoObjectiveSearch(box, options, warm)
