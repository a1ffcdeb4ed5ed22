"""The tab's HTML: the table of runs and the frame of a report.  Standard library only; every text is escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..report.view import unseen_of

PREFIX = "prompt-pins/v1"
"""Relative to the page, which a reverse proxy may serve below another address."""
HEADINGS = ("target", "pinned", "run", "prompt", "best", "unseen seeds", "state", "started", "images")


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Runs as rows that the page's script makes selectable."""
    if not runs:
        return (
            "<p class='prompt-pins-empty'>Nothing here yet: choose the script “Prompt pinning” and press Generate.</p>"
        )
    head = "".join(f"<th scope='col'>{heading}</th>" for heading in HEADINGS)
    body = "".join(map(_row, runs))
    return f"<table class='prompt-pins-table'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def file_url(run: Mapping[str, Any], path: str) -> str:
    """The address of a file of a run."""
    return f"{PREFIX}/runs/{quote(run['tab'])}/{quote(run['run'])}/{quote(path)}"


def _row(run: Mapping[str, Any]) -> str:
    name = html.escape(f"{run['tab']}/{run['run']}")
    cells = [
        _image(run, "target"),
        _image(run, "pinned"),
        _number(run),
        _prompt(run),
        _best(run),
        _held(run),
        _state(run),
    ]
    cells += [html.escape(str(run["started"])[:16].replace("T", " ")), str(int(run["images"]))]
    inner = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr data-run='{name}' tabindex='0' aria-selected='false'>{inner}</tr>"


def _image(run: Mapping[str, Any], which: str) -> str:
    images = run["target"]["images"] if which == "target" else run.get("thumbnails") or ()
    if not images:
        return ""
    return f"<img src='{html.escape(file_url(run, images[0]))}' alt='{which}' loading='lazy' width='64' height='64'>"


def _number(run: Mapping[str, Any]) -> str:
    task = html.escape(run["task"])
    return html.escape(run["run"]) + f" <small class='prompt-pins-{task}'>{task}</small>" * (run["task"] != "pin")


def _prompt(run: Mapping[str, Any]) -> str:
    text = html.escape((run.get("pinned") or {}).get("prompt") or run["prompt"])
    shown = f"<span class='prompt-pins-prompt' title='{text}'>{text}</span>"
    if not run["moves"]:
        return shown
    return f"{shown}<small class='prompt-pins-moves'>moves most: {html.escape(', '.join(run['moves']))}</small>"


def _best(run: Mapping[str, Any]) -> str:
    loss = (run.get("pinned") or {}).get("loss")
    return "" if loss is None else "by eye" if run.get("by_eye") else f"{loss:.4f}"


def _held(run: Mapping[str, Any]) -> str:
    held = run.get("held")
    if not held:
        return ""
    if held.get("told"):
        return html.escape(str(held["told"]))
    return unseen_of([held["improvement"], held["low"], held["high"]], 1).replace("-", "−")


def _state(run: Mapping[str, Any]) -> str:
    reason = html.escape(str(run.get("reason", "")))
    said = "waits for you" if run.get("asks") else run["state"]
    return f"<span title='{reason}'>{html.escape(said)}</span>"


def report(names: Sequence[tuple[str, str]], page: str = "index.html") -> str:
    """One report in place, or several side by side; or another page of theirs."""
    frames = "".join(
        f"<iframe title='run {name}' loading='lazy' src='{PREFIX}/runs/{tab}/{name}/{page}'></iframe>"
        for tab, name in names
    )
    return f"<div class='prompt-pins-reports' data-count='{len(names)}'>{frames}</div>"


def comparison(before: tuple[str, str], after: tuple[str, str]) -> str:
    """The comparison of two analyses in place."""
    address = f"{PREFIX}/compare/{'/'.join(before)}/{'/'.join(after)}/index.html"
    frame = f"<iframe title='analyses {before[1]} and {after[1]}' loading='lazy' src='{address}'></iframe>"
    return f"<div class='prompt-pins-reports' data-count='1'>{frame}</div>"
