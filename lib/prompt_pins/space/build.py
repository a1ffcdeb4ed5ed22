"""From a configuration to its space.  Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from ..config import MergeOptions, PromptOptions, RunConfig
from ..errors import PromptError
from ..prompt.nodes import Vary
from .blocks import Blocks
from .settings import Settings
from .space import Group, Space
from .text import Text
from .tied import build as build_tied

NOTHING = "the payloads share no words; give a piece, or tie words by name: (cat:1@name)"


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
    space = _with_settings(text, config, settings or {})
    if not space.size:
        raise PromptError("there is nothing to vary: " + ("; ".join(text.reasons) or "no words, or all are fixed"))
    return space


def build_all(
    config: RunConfig, embeddings: Collection[str] = (), settings: Mapping[str, float] | None = None
) -> tuple[tuple[Space, ...], Space | None]:
    """The space of each payload, all of the same axes, and that of the piece alone; without payloads the one space.

    Raises as `build` does.
    """
    if not config.many:
        return (build(config, embeddings, settings),), None
    texts, piece = build_tied(config, embeddings)
    spaces = tuple(_with_settings(text, config, settings or {}) for text in texts)
    if not spaces[0].size:
        why = "; ".join(dict.fromkeys(reason for text in texts for reason in text.reasons))
        raise PromptError(f"there is nothing to vary: {why or NOTHING}")
    return spaces, None if piece is None else _with_settings(piece, config, settings or {})


def _with_settings(text: Text, config: PromptOptions, settings: Mapping[str, float]) -> Space:
    groups: list[Group] = [text]
    if config.vary_settings:
        groups.append(Settings.build(config.vary_settings, settings))
    if isinstance(config, MergeOptions) and config.merge_with:
        groups.append(Blocks.build(config, settings))
    return Space(tuple(groups))


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
