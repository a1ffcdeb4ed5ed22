"""Prompts: the host's grammar, units, and printing with other weights.

The way of a prompt: `source` (comments and tags) → `schedule` (tokens, schedules) → `attention` (weights) →
`words` and `builder` (nodes, see `nodes`) → `units` → `printer`.  `cleaning` says what the host's tokenizer changes
before it cuts.  Never imports torch.
"""

from __future__ import annotations

from .nodes import Kind, Prompt, Vary
from .parser import parse
from .printer import render
from .units import Unit, read_weights

__all__ = ["Kind", "Prompt", "Unit", "Vary", "parse", "read_weights", "render"]
