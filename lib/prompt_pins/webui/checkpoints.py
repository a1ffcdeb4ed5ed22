"""Which checkpoint a run is rendered with: the one that it began with, and those that its payloads name.

They are loaded by the host's own means, and the user's own again, whatever ends a run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from modules import shared

from ..config import RunConfig
from ..errors import OptionError
from . import compat, overrides

SETTING = "sd_model_checkpoint"


def found(field: str, name: str) -> Any:
    """The host's entry of a checkpoint, by its title or name.

    Raises `OptionError`, which names the field: for one that is not in the host's list, and for any where the host
    loads models in another way than AUTOMATIC1111's.
    """
    if not compat.weights_in_place(shared.sd_model):
        raise OptionError(
            field, name, "none: this WebUI loads checkpoints in a way of its own, so payloads have the run's"
        )
    return compat.checkpoint_info(field, name)


def chosen() -> str:
    """The user's own, by its title; "" where the host has none, or loads models in another way than AUTOMATIC1111's."""
    if compat.weights_in_place(shared.sd_model):
        with contextlib.suppress(FileNotFoundError):
            return str(compat.module("modules.sd_models").select_checkpoint().title)
    return ""


def title(q: Any, name: str, own: str) -> str:
    """Of the checkpoint that a job is rendered with: the named one, or the run's own; "" where its request has one."""
    if not name:
        return "" if SETTING in q.override_settings else own
    q.override_settings.pop(SETTING, None)
    return str(compat.checkpoint_info("checkpoint", name).title)


def load(p: Any) -> None:
    """Load what a job is rendered with, as the host would with its first image: a job before may have left another one.

    Its textual inversions are words of the prompts, and its weights are what a merge changes.
    """
    if not compat.weights_in_place(shared.sd_model):
        return
    own = None
    with contextlib.suppress(OptionError):  # the host leaves out a name that it does not know
        own = compat.checkpoint_info(SETTING, p.override_settings.get(SETTING))
    with contextlib.suppress(FileNotFoundError), _setting_kept():  # without any checkpoint the host says so itself
        compat.module("modules.sd_models").reload_model_weights(info=own)


@contextlib.contextmanager
def in_force(title: str) -> Iterator[None]:
    """While it lasts the host renders with this checkpoint; "" is the one that it would load itself.

    Whoever chooses another one meanwhile gets it afterwards.  It stays loaded: what is rendered next with the same one
    loads nothing.
    """
    with _setting_kept(), overrides.in_front({SETTING: title} if title else {}):
        yield


@contextlib.contextmanager
def several(config: RunConfig, host: Any) -> Iterator[None]:
    """While it lasts a host's jobs may name other checkpoints; at the end the one that was loaded is so again.

    Each other one is loaded once before the first image.  Raises `OptionError` where the textual inversions that it
    knows differ, which are words of the prompts.
    """
    if len(config.checkpoints) < 2:
        yield
        return
    models, before = compat.module("modules.sd_models"), shared.sd_model.sd_checkpoint_info
    try:
        words = host.embeddings()
        for name in filter(None, config.checkpoints):
            with in_force(compat.checkpoint_info("checkpoint", name).title):
                models.reload_model_weights()
                if (others := host.embeddings()) != words:
                    raise OptionError(f"embeddings with {name}", list(others), f"those of {before.title}, too")
        yield
    finally:
        with _setting_kept():
            models.reload_model_weights(info=before)


@contextlib.contextmanager
def _setting_kept() -> Iterator[None]:
    """The host writes what it loads into its settings; afterwards they are as they were, or as somebody set them."""
    data = shared.opts.data
    before = {SETTING: data[SETTING]} if SETTING in data else {}
    try:
        yield
    finally:
        if data.get(SETTING) == getattr(getattr(shared.sd_model, "sd_checkpoint_info", None), "title", None):
            data.pop(SETTING, None)
            data.update(before)
