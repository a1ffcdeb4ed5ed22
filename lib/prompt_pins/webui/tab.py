"""The tab "Prompt pins": runs in a table, a run's report in place, and what can be done with a run."""

from __future__ import annotations

import html
import re
from typing import Any

import gradio as gr
from modules import shared, styles

from ..errors import PinError, reason
from ..report.notations import FORMATS, export
from ..store import RunFolder
from ..store.pictures import pictures
from ..words import compare as comparing
from . import compat
from .library import SORTS, STATES, TASKS, TabRuns, tab_of
from .pasting import FIRST, NO_TEXTS, PASTED, left_behind, pasted, switched
from .routes import PAGE_KEY, library
from .table import comparison, report, table

TAB = "prompt_pins"
SHOWN = dict(zip(("everything", "runs", "analyses", "maps"), TASKS, strict=True))
NARROW = 120
ACTIONS = {
    "to_txt2img": "→ txt2img", "to_img2img": "→ img2img", "style": "Save style", "resume": "Resume",
    "resume_img2img": "Resume", "measure": "Measure words", "measure_img2img": "Measure words", "map": "Map",
    "map_img2img": "Map", "compare": "Compare", "folder": "Open folder", "delete": "Delete…",
    "really_delete": "Really delete",
}  # fmt: skip
"""The labels of the buttons, by their names."""
NOTHING = "nothing"
"""What the pinned prompt is exported as at first."""


def build() -> list[tuple[Any, str, str]]:
    """What the host's `on_ui_tabs` wants."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        _build()
    return [(blocks, "Prompt pins", TAB)]


def _build() -> None:
    with gr.Row():
        search = gr.Textbox(label="Search", placeholder="words or a number", elem_id="prompt_pins_search")
        state = gr.Dropdown(label="State", choices=list(STATES), value=STATES[0], elem_id="prompt_pins_state")
        task = gr.Dropdown(label="Show", choices=list(SHOWN), value=next(iter(SHOWN)), elem_id="prompt_pins_task")
        sort = gr.Dropdown(label="Sort", choices=list(SORTS), value=SORTS[0], elem_id="prompt_pins_sort")
        refresh = gr.Button("Refresh", scale=0, min_width=NARROW, elem_id="prompt_pins_refresh")
    runs = gr.HTML(table([]), elem_id="prompt_pins_runs")
    b = _action_row()
    which = gr.Dropdown(
        label="Picture of the map", choices=[FIRST], value=FIRST, visible=False, elem_id="prompt_pins_picture"
    )
    notation, exported = _export_row()
    message = gr.HTML("", elem_id="prompt_pins_message")
    shown = gr.HTML("", elem_id="prompt_pins_report")
    gr.HTML(f"<span data-key='{PAGE_KEY}'></span>", elem_id="prompt_pins_key")
    with gr.Row(visible=False):
        # filled and pressed by the page's script: a table's row is nothing that gradio knows
        selected = gr.Textbox("", elem_id="prompt_pins_selected")
        select = gr.Button("select", elem_id="prompt_pins_select")
        pinned = gr.Textbox("", elem_id="prompt_pins_pinned")
        again = gr.Textbox("", elem_id="prompt_pins_again")
        measured = gr.Textbox("", elem_id="prompt_pins_measured")
        around = gr.Textbox("", elem_id="prompt_pins_around")

    filters = [search, state, sort, task]
    for trigger in (refresh.click, search.submit, state.change, sort.change, task.change):
        trigger(_refreshed, inputs=filters, outputs=[runs])
    texts = [pinned, again, measured, around]
    handed = [*texts, *(b[name] for name in PASTED)]
    chosen = [shown, *handed, which, exported, message, b["really_delete"]]
    select.click(_selected, inputs=[selected, notation], outputs=chosen)
    which.change(_pictured, inputs=[selected, which], outputs=handed)
    notation.change(_exported, inputs=[selected, notation], outputs=[exported, message])
    b["folder"].click(_opened, inputs=[selected], outputs=[message])
    b["style"].click(_styled, inputs=[selected], outputs=[message])
    b["compare"].click(_compared, inputs=[selected], outputs=[shown, message])
    b["delete"].click(_asked, inputs=[selected], outputs=[message, b["really_delete"]])
    b["really_delete"].click(_deleted, inputs=[selected, *filters], outputs=[runs, *chosen])
    paste = compat.infotext_module()
    for name, text in PASTED.items():
        tab = "img2img" if name.endswith("img2img") else "txt2img"
        paste.register_paste_params_button(
            paste.ParamBinding(paste_button=b[name], tabname=tab, source_text_component=texts[text])
        )


def _action_row() -> dict[str, Any]:
    """The buttons by the names of `ACTIONS`."""
    made: dict[str, Any] = {}
    with gr.Row(elem_id="prompt_pins_actions"):
        for name, label in ACTIONS.items():
            hidden = (name.endswith("_img2img") and name != "to_img2img") or name in ("measure", "map", "really_delete")
            made[name] = gr.Button(
                label,
                variant="stop" if name == "really_delete" else "secondary",
                min_width=NARROW,
                visible=_may_open() if name == "folder" else not hidden,
                interactive=name not in PASTED,
                elem_id=f"prompt_pins_{name}",
            )
    return made


def _export_row() -> tuple[Any, Any]:
    """(the notation, the pinned prompt in it)."""
    with gr.Row(elem_id="prompt_pins_exporting"):
        notation = gr.Dropdown(
            label="Export as",
            choices=[NOTHING, *FORMATS],
            value=NOTHING,
            scale=0,
            min_width=NARROW,
            elem_id="prompt_pins_notation",
        )
        exported = gr.Textbox(
            label="Pinned prompt", visible=False, max_lines=12, show_copy_button=True, elem_id="prompt_pins_exported"
        )
    return notation, exported


def _refreshed(search: str, state: str, sort: str, task: str) -> str:
    shown = SHOWN.get(task, TASKS[0])
    return table(library().summaries(search or "", state or STATES[0], sort or SORTS[0], shown))


def _names(selected: str) -> list[tuple[str, str]]:
    """(place, number) of each selected run, the latest first.  Raises `PinError`."""
    names = re.findall(r"(txt2img|img2img|samples)/(\d{8,12})", selected or "")
    if not names:
        raise PinError("select a run first")
    return names


def _selected(selected: str, notation: str) -> tuple[Any, ...]:
    try:
        tab, name = _names(selected)[0]
        folder = library().find(tab, name)
        runs = _runs(tab, folder)
        record, handed, (field, problem) = folder.record(), pasted(runs, folder), _exported(selected, notation)
        page, left = "eye/" if record.pending else "index.html", left_behind(runs, folder)
        said = problem or (_said(left) if left else "")
        return report([(tab, name)], page), *handed, _choices(folder), field, said, gr.update(visible=False)
    except PinError as error:
        return _nothing(error)


def _runs(place: str, folder: RunFolder) -> TabRuns:
    """The runs that can be named in a run's tab."""
    return TabRuns(library().roots, tab_of(place, folder.record()))


def _nothing(said: object) -> tuple[Any, ...]:
    """No run is shown, and no button has anything to hand over."""
    hidden = gr.update(visible=False)
    return "", *NO_TEXTS, *switched(NO_TEXTS), hidden, hidden, _said(said), hidden


def _choices(folder: RunFolder) -> Any:
    """The pictures of a map; hidden where there are none."""
    count = len(pictures(folder)) if folder.record().task == "map" else 0
    numbers = [str(number) for number in range(1, count + 1)]
    return gr.update(choices=numbers or [FIRST], value=FIRST, visible=count > 0)


def _pictured(selected: str, which: str) -> tuple[Any, ...]:
    try:
        tab, name = _names(selected)[0]
        folder = library().find(tab, name)
        return pasted(_runs(tab, folder), folder, which)
    except PinError:
        return *NO_TEXTS, *switched(NO_TEXTS)


def _exported(selected: str, notation: str) -> tuple[Any, str]:
    """(the field with the pinned prompt, what is said)."""
    if (notation or NOTHING) == NOTHING:
        return gr.update(visible=False), ""
    try:
        tab, name = _names(selected)[0]
        text = export(name, library().find(tab, name).record(), notation)
        return gr.update(value=text, visible=True), ""
    except PinError as error:
        return gr.update(visible=False), _said(error)


def _may_open() -> bool:
    return compat.folder_opener() is not None


def _opened(selected: str) -> str:
    """Show the selected run's folder, else that of all runs, in the file manager of the machine the WebUI is on."""
    show = compat.folder_opener()
    if show is None:
        return _said("this WebUI does not open folders")
    try:
        runs = library()
        folder = runs.find(*_names(selected)[0]).path if selected else TabRuns(runs.roots, "txt2img").root
        show(str(folder))
    except PinError as error:
        return _said(error)
    except OSError as error:
        return _said(f"there is no file manager: {reason(error)}")
    return ""


def _styled(selected: str) -> str:
    try:
        tab, name = _names(selected)[0]
        best = library().find(tab, name).record().exportable()
        style = styles.PromptStyle(f"pin {tab} {name}", best.prompt, best.negative_prompt)
        shared.prompt_styles.styles[style.name] = style
        shared.prompt_styles.save_styles(getattr(shared, "styles_filename", None))
        return _said(f"saved as the style “{style.name}”; reload the styles to see it")
    except PinError as error:
        return _said(error)


def _compared(selected: str) -> tuple[str, str]:
    try:
        names = _names(selected)
        if len(names) < 2:
            raise PinError("select two runs or two analyses to compare: hold Ctrl for the second one")
        tasks = [library().find(tab, name).record().task for tab, name in names[:2]]
        if tasks == ["words", "words"]:
            before, after = sorted(names[:2], key=lambda one: one[1])
            comparing.compare(library().find(*before), library().find(*after))  # says now why it cannot be
            return comparison(before, after), ""
        return report(names[:2]), ""
    except PinError as error:
        return "", _said(error)


def _asked(selected: str) -> tuple[str, Any]:
    try:
        tab, name = _names(selected)[0]
        library().find(tab, name)
        return _said(f"run {name} of {tab} and all its images go for good"), gr.update(visible=True)
    except PinError as error:
        return _said(error), gr.update(visible=False)


def _deleted(selected: str, *filters: str) -> tuple[Any, ...]:
    try:
        tab, name = _names(selected)[0]
        library().delete(tab, name)
        said = f"run {name} is gone"
    except PinError as error:
        said = str(error)
    return _refreshed(*filters), *_nothing(said)


def _said(message: object) -> str:
    return f"<p role='status'>{html.escape(str(message))}</p>"
