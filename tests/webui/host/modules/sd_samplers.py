"""The list of samplers, the map that names are looked up in, and the cache in front of both."""

from __future__ import annotations

import functools
from typing import Any

from . import sd_samplers_kdiffusion
from .sd_samplers_common import SamplerData

all_samplers: list[SamplerData] = list(sd_samplers_kdiffusion.own_samplers)
all_samplers_map: dict[str, SamplerData] = {entry.name: entry for entry in all_samplers}
samplers: list[SamplerData] = []


def set_samplers() -> None:
    """The list that the page and the API show."""
    samplers[:] = all_samplers


def create_sampler(name: str, model: Any) -> Any:
    """A sampler for one pass; its options come after its construction."""
    config = all_samplers_map[name]
    sampler = config.constructor(model)
    sampler.config = config
    return sampler


@functools.cache
def get_sampler_and_scheduler(name: str, scheduler: str | None) -> tuple[str, str]:
    """The names as they are known; the first sampler's for one that is not."""
    found = all_samplers_map.get(name, all_samplers[0])
    return found.name, scheduler or "Automatic"


def fix_p_invalid_sampler_and_scheduler(p: Any) -> None:
    """Names that are not known become ones that are."""
    p.sampler_name, p.scheduler = get_sampler_and_scheduler(p.sampler_name, p.scheduler)


set_samplers()
