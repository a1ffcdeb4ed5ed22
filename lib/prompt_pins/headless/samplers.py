"""The names of the samplers that the headless host knows.

A sampler has its plain name ("DPM++ 2M": every image on its own) and its Hyperbatch form ("DPM++ 2M -
Hyperbatch": the batch grows as a tree).  Both also take the names of older WebUIs, in which " Karras" stands for
the schedule: "DPM++ 2M Karras", "DPM++ 2M Karras - Hyperbatch".
"""

from __future__ import annotations

import dataclasses
import difflib

from ..errors import OptionError
from ..sampling import SAMPLERS, SamplerInfo

HYPERBATCH = " - Hyperbatch"
KARRAS = " Karras"


@dataclasses.dataclass(frozen=True)
class SamplerChoice:
    """A sampler as the user names it.

    name: its one name in lists and infotexts.
    hyperbatch: whether its batches grow as a tree.
    scheduler: "karras" where the name says so, else None (the job decides).
    info: the sampler itself.
    """

    name: str
    hyperbatch: bool
    scheduler: str | None
    info: SamplerInfo

    @property
    def stochastic(self) -> bool:
        """Whether it adds noise by itself."""
        return self.info.stochastic

    @property
    def second_order(self) -> bool:
        """Whether it calls the model twice a step."""
        return self.info.second_order


def samplers() -> tuple[SamplerChoice, ...]:
    """Every sampler under its one name, the Hyperbatch forms after the plain ones."""
    return tuple(
        SamplerChoice(name + suffix, bool(suffix), None, info)
        for suffix in ("", HYPERBATCH)
        for name, info in SAMPLERS.items()
    )


def find_sampler(name: str) -> SamplerChoice:
    """The sampler of a name, upper and lower case alike.

    Raises `OptionError` with the nearest names.
    """
    known: dict[str, SamplerChoice] = {}
    for choice in samplers():
        known[choice.name.casefold()] = choice
        plain, suffix = choice.name.removesuffix(HYPERBATCH), HYPERBATCH if choice.hyperbatch else ""
        known[f"{plain}{KARRAS}{suffix}".casefold()] = dataclasses.replace(choice, scheduler="karras")
    wanted = " ".join(name.split()).casefold()
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
    names = list(dict.fromkeys(known[key].name for key in near)) or [choice.name for choice in samplers()]
    raise OptionError("sampler", name, ", ".join(repr(name) for name in names))
