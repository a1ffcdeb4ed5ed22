"""From a configuration to its space.  Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from ..config import PromptOptions
from ..errors import PromptError
from ..prompt.nodes import Vary
from .settings import Settings
from .space import Group, Space
from .text import Text


def build(
    config: PromptOptions,
    embeddings: Collection[str] = (),
    settings: Mapping[str, float] | None = None,
    prompts: tuple[str, str] | None = None,
) -> Space:
    """The space of a configuration.

    embeddings: names that the host knows; settings: what it can set besides the prompts, with the job's own values;
    prompts: others than the configuration's own.  Raises `PromptError` if nothing is left to vary or the ranges of a
    tie do not meet, `OptionError` for a range that cannot be.
    """
    positive, negative = prompts or (config.prompt, config.negative_prompt)
    text = Text.build(
        positive,
        negative,
        vary=cast(Vary, config.vary),
        vary_prompt=config.vary_prompt,
        vary_negative=config.vary_negative,
        vary_loras=config.vary_loras,
        embeddings=embeddings,
        low=config.weight_low,
        high=config.weight_high,
    )
    groups: list[Group] = [text]
    if config.vary_settings:
        groups.append(Settings.build(config.vary_settings, settings or {}))
    space = Space(tuple(groups))
    if not space.size:
        raise PromptError("there is nothing to vary: " + ("; ".join(text.reasons) or "no words, or all are fixed"))
    return space
