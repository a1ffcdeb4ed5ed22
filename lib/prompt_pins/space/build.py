"""From a configuration to its space.  Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from ..config import MergeOptions, PromptOptions
from ..errors import PromptError
from ..prompt.nodes import Vary
from .blocks import Blocks
from .settings import Settings
from .space import Group, Space
from .text import Text


def build(
    config: PromptOptions,
    embeddings: Collection[str] = (),
    settings: Mapping[str, float] | None = None,
) -> Space:
    """The space of a configuration.

    embeddings: names that the host knows; settings: what it can set besides the prompts, with the job's own values.
    Raises `PromptError` if nothing is left to vary or the ranges of a tie do not meet, `OptionError` for a range that
    cannot be.
    """
    text = Text.build(
        config.prompt,
        config.negative_prompt,
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
    if isinstance(config, MergeOptions) and config.merge_with:
        groups.append(Blocks.build(config, settings or {}))
    space = Space(tuple(groups))
    if not space.size:
        raise PromptError("there is nothing to vary: " + ("; ".join(text.reasons) or "no words, or all are fixed"))
    return space


def read(
    config: PromptOptions, space: Space, prompts: tuple[str, str], embeddings: Collection[str] = ()
) -> list[float]:
    """The vector (N,) at which a configuration's words stand in other prompts; settings as the job has them.

    Raises `PromptError` where the words are others, or one that does not vary has another weight.
    """
    text = space.groups[0]
    assert isinstance(text, Text)
    values = text.read(prompts, embeddings, cast(Vary, config.vary), config.vary_loras)
    return space.round([*values, *space.original[len(values) :]])
