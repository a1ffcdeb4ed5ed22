"""The script's controls, made from the options' declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gradio as gr

from ..merge.sources import FIELDS
from . import compat, infotext
from .declared import TASKS, Shown, shown

ROWS = (
    ("task",),
    ("target", "mask"),
    ("preset", "vary", "fit", "pin_to_run"),
    ("generations", "max_images", "max_minutes", "held_out"),
    ("vary_prompt", "vary_negative", "vary_loras", "pin_to_source"),
)
"""The options of the first screen; the others are in closed groups."""
NARROW = 120
ROW = "prompt-pins-row"

CLOSED: tuple[tuple[str, Callable[[Shown], bool]], ...] = (
    ("Measure words", lambda o: o.declaration.group == "Analysis" or o.name == "of_run"),
    ("Map", lambda o: o.declaration.group == "Map"),
    ("Payloads", lambda o: o.declaration.group == "Payloads"),
    ("Hyperbatch", lambda o: o.name.startswith(("fork_", "hyperbatch_"))),
    ("Loss", lambda o: o.declaration.group == "Loss"),
    ("Size limit", lambda o: o.name.startswith("size_limit") or o.name == "objectives"),
    ("CMA-ES", lambda o: o.declaration.group == "Search"),
    ("Merge pinning", lambda o: o.declaration.group == "Merge"),
    ("How far", lambda o: o.declaration.group in ("How far", "Prompt")),
    ("Output", lambda o: True),
)
IMAGE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"]


def build(elem_id: Callable[[str], str], is_img2img: bool) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """(controls in the order of `shown()`, infotext fields).  No side effects; called several times a page."""
    made: dict[str, Any] = {}
    options = {option.name: option for option in shown()}
    defaults = compat.host_defaults()

    def add(names: Iterable[str]) -> None:
        for name in names:
            option = options[name]
            made[name] = _control(option, defaults.get(name, option.default), elem_id(name))

    for names in ROWS:
        with gr.Row(elem_classes=[ROW]):
            add(names)
    made["pin_to_source"].visible = is_img2img
    gr.HTML(value="", elem_id=elem_id("plan"), elem_classes=["prompt-pins-plan"])
    rest = [option for option in options.values() if option.name not in made]
    for title, belongs in CLOSED:
        group = [option.name for option in rest if belongs(option)]
        rest = [option for option in rest if option.name not in group]
        with gr.Accordion(title, open=False, elem_id=elem_id("group_" + title.lower().replace(" ", "_"))):
            if title == "Hyperbatch":
                gr.HTML(value="", elem_id=elem_id("tree"), elem_classes=["prompt-pins-plan"])
            for names in _rows([options[name] for name in group]):
                with gr.Row(elem_classes=[ROW]):
                    add(names)
            if "payload" in group:
                _file_into(made["payload"], elem_id("payload_file"))
    fields = [(made[o.name], _pasted(o)) for o in options.values() if o.kind != "files"]
    return [made[name] for name in options], fields


def _file_into(box: Any, elem_id: str) -> None:
    """A place for a text file, whose lines are put into a box."""
    classes = ["prompt-pins-drop"]
    file = gr.File(
        label="Payloads from a text file", file_types=[".txt"], type="binary", elem_id=elem_id, elem_classes=classes
    )
    file.do_not_save_to_config = True
    file.change(_text_of, inputs=[file], outputs=[box], show_progress=False)


def _text_of(content: bytes | None) -> Any:
    """What stands in a file that was handed in; one that was taken away changes nothing."""
    return gr.update() if content is None else gr.update(value=bytes(content).decode("utf-8-sig", "replace"))


def _rows(group: Iterable[Shown]) -> list[list[str]]:
    """Names, three a row; a box with a line for each item has a row of its own."""
    rows: list[list[str]] = [[]]
    for option in group:
        if option.lines > 1:
            rows += [[option.name], []]
        elif len(rows[-1]) == 3:
            rows.append([option.name])
        else:
            rows[-1].append(option.name)
    return list(filter(None, rows))


def _control(option: Shown, value: Any, elem_id: str) -> Any:
    label = option.declaration.label
    placed: dict[str, Any] = {"elem_id": elem_id, "min_width": NARROW}
    if option.kind == "files":
        many = option.name == "target"
        control = gr.File(
            label=label,
            file_count="multiple" if many else "single",
            file_types=IMAGE_TYPES,
            elem_id=elem_id,
            elem_classes=["prompt-pins-drop"],
        )
    elif option.name == "task":
        control = gr.Radio(label=label, choices=[(TASKS[name], name) for name in option.choices], value=value, **placed)
    elif option.name in FIELDS:
        control = gr.Dropdown(label=label, choices=["", *compat.checkpoint_titles()], value=value or "", **placed)
    elif option.kind == "choice":
        control = gr.Dropdown(label=label, choices=list(option.choices), value=value or "", **placed)
    elif option.kind == "flag":
        control = gr.Checkbox(label=label, value=bool(value), **placed)
    elif option.kind == "number":
        precision = {"precision": 0} if option.whole else {}
        control = gr.Number(label=label, value=value, **placed, **precision)
    else:
        # an empty gr.Number comes back as 0, so a number that may be left out is a text
        optional = option.kind == "optional number"
        hint = ("the preset's" if option.declaration.by_preset else "by its formula") if optional else ""
        control = gr.Textbox(label=label, value=_text(option, value), placeholder=hint, lines=option.lines, **placed)
    # the host keeps a control's value as its default for ever: an old one would silently override the preset
    kept_elsewhere = option.declaration.by_preset or option.name in compat.host_defaults()
    control.do_not_save_to_config = option.kind == "files" or option.name == "task" or kept_elsewhere
    return control


def _text(option: Shown, value: Any) -> str:
    return "" if value is None else infotext.written(option, value)


def _pasted(option: Shown) -> Callable[[dict[str, Any]], Any]:
    """The control's value from an infotext that came from this script; otherwise it stays as it is."""

    def value(parameters: dict[str, Any]) -> Any:
        if parameters.get("Script") != infotext.TITLE:
            return None
        text = parameters.get(option.key)
        if text is None:
            plain = option.kind in ("flag", "choice", "number") and option.default is not None
            return gr.update(value=option.default if plain else _text(option, option.default))
        if option.kind == "flag":
            return gr.update(value=str(text) == "True")
        if option.kind == "number":
            return gr.update(value=float(text))
        return gr.update(value=str(text))

    return value
