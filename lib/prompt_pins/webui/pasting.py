"""What the tab's buttons hand over to the host's pages: infotexts of a run, and how the buttons look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr

from ..store import RunFolder
from ..store.pictures import pictures
from . import infotext
from .declared import LEAVE_OUT
from .library import TabRuns

FIRST = "1"
"""The picture of a map that is chosen at first."""
PASTED = {
    "to_txt2img": 0, "to_img2img": 0, "resume": 1, "resume_img2img": 1, "measure": 2, "measure_img2img": 2, "map": 3,
    "map_img2img": 3,
}  # fmt: skip
"""Which text each button hands over.  Without one it is off: hosts take an empty text for their last job's."""
NO_TEXTS = ("", "", "", "")
AGAIN = {"pin": "Run again", "words": "Measure again", "map": "Map again"}
"""What the button *Resume* is called where a run is finished, by its task."""


def pasted(runs: TabRuns, folder: RunFolder, which: str = FIRST) -> tuple[Any, ...]:
    """The texts of a run, and the buttons that hand them over; of `runs` are those of its tab."""
    texts = infotexts(folder, which)
    if not runs.names(folder):
        texts = (texts[0], "", "", "")
    return *texts, *switched(texts, resumable(runs.tab, folder))


def left_behind(runs: TabRuns, folder: RunFolder) -> str:
    """What the user is to know of these buttons, in a sentence: no infotext holds files.  "" for nothing."""
    record = folder.record()
    if not runs.names(folder):
        return f"{runs.root} has another run {folder.path.name}, so that this one's number cannot be used"
    if record.state != "finished" or record.task == "map" or infotext.of_run(folder, record):
        return ""
    images = ["target images"] * (record.target_source in ("images", "both"))
    what = " and ".join([*images, *["mask"] * bool(record.config.get("mask"))])
    where = "the images are in its folder 00000000" if images else ""
    again = f"“{AGAIN[record.task]}” does not take the {what} along: put them in again"
    return "; ".join(filter(None, (again, where))) if what else ""


def switched(texts: Sequence[str], looks: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> list[Any]:
    """Those buttons: off without a text.  looks: how they look, of those that have another look."""
    return [gr.update(interactive=bool(texts[text]), **looks.get(name, {})) for name, text in PASTED.items()]


def resumable(tab: str, folder: RunFolder) -> dict[str, dict[str, Any]]:
    """How the buttons look that bring a run's parameters back, to go on, to measure its words or to map its candidates.

    Of payloads: to leave each out.  Of a map: to pin to a picture, and to keep within it.  Those of the run's tab are
    shown.
    """
    record = folder.record()
    is_map = record.task == "map"
    more = bool(pictures(folder)) if is_map else record.task == "pin" and record.state == "finished"
    measure, around = ("Pin to this picture", "Keep within it") if is_map else ("Measure words", "Map")
    if record.target_counts:
        measure, around = "Leave one out", ""
        more = more and len(record.target_counts) > 1 and record.held is not None
    labels = {
        "resume": AGAIN[record.task] if record.state == "finished" else "Resume",
        "measure": measure,
        "map": around,
    }
    return {
        name + ("_img2img" if own == "img2img" else ""): {
            "value": label,
            "visible": bool(label) and (more or name == "resume") and tab == own,
        }
        for name, label in labels.items()
        for own in ("txt2img", "img2img")
    }


def infotexts(folder: RunFolder, which: str = FIRST) -> tuple[str, str, str, str]:
    """Infotexts of a run: its pinned prompt, what goes on with it, what measures its words, what maps its candidates.

    Of payloads: the third leaves each out, and there is no fourth.  Of an analysis: the prompt, what goes on with it,
    and nothing.  Of a map: of picture `which`, what goes on with the map, what pins to the picture, and what keeps
    within it.
    """
    record = folder.record()
    own, number = infotext.original(folder, record), {"resume": folder.path.name} if record.state != "finished" else {}
    if record.task == "words":
        return own, infotext.as_task(own, folder, record, **number), "", ""
    if record.task == "map":
        # with the marks that say what varies, which an image's prompt has lost
        own = infotext.with_prompts(own, (record.config["prompt"], record.config.get("negative_prompt") or ""))
        more = number or {"of_run": record.of_run}
        again = infotext.with_options(own, {**record.config, **record.options, **more, "task": "map"})
        return _of_picture(folder, own, again, which)
    best = record.best
    pinned = infotext.of_image(folder, best) if best is not None and best.images else ""
    again = infotext.as_task(own, folder, record, **number)
    if record.state != "finished" or not pinned:
        return pinned, again, "", ""
    if record.target_counts:
        leave = {**record.config, "task": LEAVE_OUT, "of_run": folder.path.name}
        return pinned, again, infotext.with_options(own, leave), ""
    words = {**record.config, "vary_settings": [], "task": "words", "of_run": folder.path.name}
    candidates = {**record.config, "warm_start": "", "task": "map", "of_run": folder.path.name}
    return pinned, again, infotext.with_options(pinned, words), infotext.with_options(own, candidates)


def _of_picture(folder: RunFolder, own: str, again: str, which: str) -> tuple[str, str, str, str]:
    """What `infotexts` tells of a map."""
    config, found = folder.record().config, pictures(folder)
    if not (which.isdecimal() and 0 < int(which) <= len(found)):
        return "", again, "", ""
    number, chosen = f"{folder.path.name}/{which}", found[int(which) - 1]
    texts = [infotext.with_prompts(own, prompts) for prompts in (chosen.prompts, chosen.kept)]
    within = {**config, "warm_start": number}
    pin = infotext.with_options(own, {**within, "pin_to_run": number})
    return texts[0], again, pin, infotext.with_options(texts[1], within)
