"""The hyperbatch samplers in the host's own list, for its users with and without the script."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from modules import sd_samplers, sd_samplers_kdiffusion
from modules.sd_samplers_common import SamplerData

from ..errors import OptionError
from ..sampling import SAMPLERS, ForkOptions, SamplerInfo, make_hyperbatch
from ..sampling.binding import Call
from . import compat
from .binding import WebuiBinder
from .declared import DEFAULTS

log = logging.getLogger(__name__)

SUFFIX = " - Hyperbatch"
SCHEDULES = ("", " Karras", " Exponential")
SEED_NAMES = {
    "DPM++ 2M Karras - Hyperbatch": "DPM++ 2M - Hyperbatch",
    "DPM++ SDE Karras - Hyperbatch": "DPM++ SDE - Hyperbatch",
}
"""Names of sd-prompt-pinning's samplers that hosts with a schedule dropdown do not list: they go on working."""

TOLD = ("Fork policy", "Fork strength", "Hyperbatch")
"""What an infotext tells of a batch: how it forked, or why it did not, since clients of the API see no comments."""

POLICY, STRENGTH = "prompt_pins_fork_policy", "prompt_pins_fork_strength"
"""Names of the settings, and of the attributes by which one job overrides them."""


def register() -> None:
    """Put every sampler into the host's list, in place of an earlier one of its name."""
    unregister()
    known = list(sd_samplers.all_samplers)
    for info in SAMPLERS.values():
        for plain, options in _plain_forms(info, {entry.name: entry.options for entry in known}):
            _add(_entry(info, plain, options))
    for old, new in SEED_NAMES.items():
        if old not in sd_samplers.all_samplers_map and new in sd_samplers.all_samplers_map:
            sd_samplers.all_samplers_map[old] = sd_samplers.all_samplers_map[new]
    compat.refresh_samplers()


def unregister() -> None:
    """Take them out again; nothing of the host is left changed."""
    functions = {name for name in sd_samplers_kdiffusion.sampler_extra_params if hasattr(name, "prompt_pins")}
    for function in functions:
        del sd_samplers_kdiffusion.sampler_extra_params[function]
    for entry in [entry for entry in sd_samplers.all_samplers if _is_ours(entry)]:
        sd_samplers.all_samplers.remove(entry)
    for name in [name for name, entry in sd_samplers.all_samplers_map.items() if _is_ours(entry)]:
        del sd_samplers.all_samplers_map[name]
    compat.refresh_samplers()


def hyperbatch_info(name: str) -> SamplerInfo | None:
    """The sampler behind a name of the host's list, None if it is not one of ours."""
    entry = sd_samplers.all_samplers_map.get(name)
    return entry.constructor.prompt_pins if entry is not None and _is_ours(entry) else None


def forks_of(p: Any) -> ForkOptions:
    """How this job's hyperbatches fork: its own attributes over the settings.  Raises `OptionError`."""
    policy = getattr(p, POLICY, None) or compat.setting(POLICY, DEFAULTS["fork_policy"])
    strength = getattr(p, STRENGTH, None)
    if strength is None:
        strength = compat.setting(STRENGTH, DEFAULTS["fork_strength"])
    return ForkOptions(str(policy), float(strength))


def obstacle(p: Any) -> str:
    """Why the images of this job cannot grow from one root; "" if they can."""
    if len(getattr(p, "init_images", None) or []) > 1:
        return "every image has its own source image"
    if _differ(getattr(p, "prompts", None)) or _differ(getattr(p, "negative_prompts", None)):
        return "every image has its own prompt"
    if compat.controlnet_active(p):
        return "ControlNet cannot work with a growing batch"
    if compat.foreign_sampler_factory():
        return "another extension (TiledDiffusion?) has replaced the samplers' factory"
    if getattr(p, "dynamic_clip_skip_enabled", False):
        return "dynamic CLIP skip replaces the whole batch's conditionings"
    return ""


def decide(call: Call) -> ForkOptions:
    """How this call forks; a batch that cannot is sampled plainly, and the job says why."""
    p = call.model.p
    plain = ForkOptions("none")
    if call.batch_size == 1 or getattr(p, "is_hr_pass", False):
        return plain
    told = p.extra_generation_params
    for name in TOLD:  # of an earlier batch of this job
        told.pop(name, None)
    try:
        forks = forks_of(p)
    except OptionError as error:
        forks, problem = plain, str(error)
    else:
        problem = obstacle(p)
    if problem:
        compat.comment(p, f"Hyperbatch: this batch did not fork: {problem}")
        log.warning("hyperbatch: this batch does not fork: %s", problem)
        told["Hyperbatch"] = f"did not fork: {problem}"
        return plain
    told["Fork policy"] = str(forks.policy)
    info = hyperbatch_info(p.sampler_name)
    if info is not None and not info.stochastic:
        told["Fork strength"] = f"{forks.strength:g}"
    return forks


def _plain_forms(info: SamplerInfo, known: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """(name, options) of the host's plain sampler, and of its forms with a schedule where names carry it."""
    forms = [(info.name + schedule, dict(known[info.name + schedule]))
             for schedule in SCHEDULES if info.name + schedule in known]  # fmt: skip
    if forms:
        return forms
    options: dict[str, Any] = dict(info.host_options)
    options |= {"second_order": True} if info.second_order else {}
    options |= {"brownian_noise": True} if info.brownian else {}
    options |= {"scheduler": info.scheduler} if info.scheduler and compat.has_schedulers() else {}
    return [(info.name, options)]


def _entry(info: SamplerInfo, plain: str, options: dict[str, Any]) -> SamplerData:
    function: Any = make_hyperbatch(info.name, binder=WebuiBinder(decide, compat.INTERRUPTION))
    function.prompt_pins = info
    extra = sd_samplers_kdiffusion.sampler_extra_params
    extra[function] = list(extra.get(info.function, []))

    def constructor(model: Any) -> Any:
        return sd_samplers_kdiffusion.KDiffusionSampler(function, model)

    constructor.prompt_pins = info  # type: ignore[attr-defined]
    name = plain + SUFFIX
    aliases = [old for old, new in SEED_NAMES.items() if new == name]
    return SamplerData(name, constructor, aliases, options)


def _add(entry: SamplerData) -> None:
    names = [other.name for other in sd_samplers.all_samplers]
    if entry.name in names:
        sd_samplers.all_samplers[names.index(entry.name)] = entry
    else:
        sd_samplers.all_samplers.append(entry)
    sd_samplers.all_samplers_map[entry.name] = entry


def _is_ours(entry: SamplerData) -> bool:
    return hasattr(entry.constructor, "prompt_pins")


def _differ(texts: Any) -> bool:
    return isinstance(texts, (list, tuple)) and len(set(texts)) > 1
