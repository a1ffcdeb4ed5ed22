"""Callbacks by the name of the event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

callbacks: dict[str, list[Callable[..., Any]]] = defaultdict(list)


def _registers(event: str) -> Callable[[Callable[..., Any]], None]:
    return callbacks[event].append


on_before_ui = _registers("before_ui")
on_ui_settings = _registers("ui_settings")
on_ui_tabs = _registers("ui_tabs")
on_app_started = _registers("app_started")
on_script_unloaded = _registers("script_unloaded")


def call(event: str, *values: Any) -> list[Any]:
    """Every callback's answer."""
    return [callback(*values) for callback in callbacks[event]]
