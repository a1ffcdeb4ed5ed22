"""Prompts: the host's grammar, units, and printing with other weights.

The way of a prompt: `source` (comments and tags) → `schedule` (tokens, schedules) → `attention` (weights) →
`words` and `builder` (nodes, see `nodes`) → `units` → `printer`.  Never imports torch.
"""

from __future__ import annotations

from .nodes import Kind, Prompt, Vary
from .parser import parse
from .printer import render
from .units import Unit

__all__ = ["Kind", "Prompt", "Unit", "Vary", "parse", "render"]
