"""The WebUI extension: the only part that imports gradio or the host's `modules`.

`attach` is called by the host's script loader, at every start and reload of the user interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .script import PromptPinning


def attach() -> type[PromptPinning]:
    """Register samplers, settings, axes, tab and routes; returns the script's class for the host to find."""
    from modules import script_callbacks

    from . import routes, samplers, settings, tab
    from .script import PromptPinning

    samplers.register()
    script_callbacks.on_script_unloaded(samplers.unregister)
    script_callbacks.on_ui_settings(settings.add_settings)
    script_callbacks.on_before_ui(settings.add_axes)
    script_callbacks.on_ui_tabs(tab.build)
    script_callbacks.on_app_started(routes.add_routes)
    return PromptPinning
