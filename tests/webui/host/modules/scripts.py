"""Scripts: loaded once, one instance for each tab, their arguments in one long list."""

from __future__ import annotations

import dataclasses
import traceback
from typing import Any

import gradio as gr

AlwaysVisible = object()


class Script:
    """What a script is to the host."""

    args_from: int | None = None
    args_to: int | None = None
    is_img2img = False
    infotext_fields: Any = None

    def title(self) -> str:
        """Its name."""
        raise NotImplementedError

    def show(self, is_img2img: bool) -> Any:
        """Whether it can be selected here."""
        return True

    def ui(self, is_img2img: bool) -> list[Any]:
        """Its controls."""
        return []

    def process(self, p: Any, *values: Any) -> None:
        """What one that is always on does to a job."""

    def run(self, p: Any, *values: Any) -> Any:
        """Its work."""

    def elem_id(self, name: str) -> str:
        """The id of a control."""
        tab = "img2img" if self.is_img2img else "txt2img"
        return f"script_{tab}_{self.title().lower().replace(' ', '_')}_{name}"


@dataclasses.dataclass
class ScriptData:
    """A loaded script."""

    script_class: type[Script]
    module: Any


scripts_data: list[ScriptData] = []


class Neighbour(Script):
    """Another script: its arguments come right after those of the one before it."""

    def title(self) -> str:
        """Its name."""
        return "Neighbour"

    def ui(self, is_img2img: bool) -> list[Any]:
        """Three controls."""
        return [gr.Textbox("theirs", label=f"neighbour {number}") for number in range(3)]


class ScriptRunner:
    """The scripts of one tab."""

    def __init__(self, is_img2img: bool) -> None:
        self.scripts = [data.script_class() for data in scripts_data]
        self.selectable_scripts, self.alwayson_scripts = list[Script](), list[Script]()
        for script in self.scripts:
            script.is_img2img = is_img2img
            always = script.show(is_img2img) is AlwaysVisible
            (self.alwayson_scripts if always else self.selectable_scripts).append(script)

    def build(self) -> list[Any]:
        """Every script's controls, first of those that are always on; the defaults of all of them in one list."""
        values: list[Any] = [0]
        for script in self.alwayson_scripts + self.selectable_scripts:
            controls = script.ui(script.is_img2img)
            script.args_from, script.args_to = len(values), len(values) + len(controls)
            values += [control.value for control in controls]
        return values

    def run(self, p: Any, *values: Any) -> Any:
        """The chosen script's answer."""
        if not values[0]:
            return None
        script = self.selectable_scripts[values[0] - 1]
        return script.run(p, *values[script.args_from : script.args_to])

    def process(self, p: Any) -> None:
        """The scripts that are always on, before a job's first batch; what they raise is only reported."""
        for script in self.alwayson_scripts:
            try:
                script.process(p, *p.script_args[script.args_from : script.args_to])
            except Exception:
                traceback.print_exc()
