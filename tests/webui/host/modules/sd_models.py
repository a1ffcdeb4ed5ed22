"""The stand-in's one checkpoint: a file to be named and looked at; the model itself is the embedded one."""

from __future__ import annotations

from types import SimpleNamespace

from . import shared


def select_checkpoint() -> SimpleNamespace:
    """The chosen one."""
    return SimpleNamespace(filename=f"{shared.MODELS}/{shared.opts.sd_model_checkpoint}.safetensors")


def get_closet_checkpoint_match(name: str | None) -> None:
    """There is no other one."""
