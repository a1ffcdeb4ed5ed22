"""Training states on disk: whole or not at all (written beside, then renamed)."""

from __future__ import annotations

from pathlib import Path

import torch


def save_state(path: Path, step: int, parts: dict) -> None:
    """Save `step` and the `state_dict` of each part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, beside)
    beside.replace(path)


def load_state(path: Path, parts: dict) -> int:
    """Load each part's state from `path` and return its step; 0 where there is no such file."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
