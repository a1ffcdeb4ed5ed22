"""The section "Prompt pinning" of the host's settings, and the axes of its X/Y/Z plot."""

from __future__ import annotations

from typing import Any

import gradio as gr
import modules.scripts as scripts
from modules import shared

from ..config import RunConfig
from ..options import declarations
from ..sampling.schedule import POLICIES
from . import compat, samplers
from .declared import DEFAULTS

SECTION = ("prompt_pins", "Prompt pinning")
LABELS = {"fork_policy": "Fork policy", "fork_strength": "Fork strength"}
"""The infotext keys of the settings: pasting one overrides the setting for a job."""


def add_settings() -> None:
    """How the hyperbatch samplers fork, with and without the script."""
    known = declarations(RunConfig)
    policy, strength = known["fork_policy"], known["fork_strength"]
    options = {
        samplers.POLICY: shared.OptionInfo(
            DEFAULTS["fork_policy"],
            f"Hyperbatch: {policy.label.lower()}",
            gr.Radio,
            {"choices": list(POLICIES)},
            section=SECTION,
            infotext=LABELS["fork_policy"],
        ).info(policy.help + " With none, these samplers are the plain ones."),
        samplers.STRENGTH: shared.OptionInfo(
            DEFAULTS["fork_strength"],
            f"Hyperbatch: {strength.label.lower()}",
            gr.Slider,
            {"minimum": 0.05, "maximum": strength.high, "step": 0.05},
            section=SECTION,
            infotext=LABELS["fork_strength"],
        ).info(strength.help),
    }
    for name, option in options.items():
        shared.opts.add_option(name, option)


def add_axes() -> None:
    """Fork policy and fork strength in the X/Y/Z plot, once."""
    choices = list(POLICIES)
    for data in scripts.scripts_data:
        if data.script_class.__module__ not in ("xyz_grid.py", "scripts.xyz_grid"):
            continue
        grid: Any = data.module
        policy, strength = "Hyperbatch fork policy", "Hyperbatch fork strength"
        field = compat.axis_setter(grid)
        if field is None or any(axis.label == policy for axis in grid.axis_options):
            continue
        grid.axis_options += [
            grid.AxisOption(policy, str, field(samplers.POLICY), choices=lambda: choices),
            grid.AxisOption(strength, float, field(samplers.STRENGTH)),
        ]
