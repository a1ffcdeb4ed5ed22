"""A pinned prompt as a thing to carry away: text, a line of styles, JSON, Compel's notation.

Reads the store and the prompt grammar.
"""

from __future__ import annotations

import csv
import io
import json

from ..errors import PromptError, StoreError
from ..prompt import parse
from ..prompt.compel import from_prompt
from ..store import Candidate, Record
from .view import verdict

FORMATS = ("text", "csv", "json", "compel", "piece")
COLUMNS = ("name", "prompt", "negative_prompt")


def export(name: str, record: Record, notation: str) -> str:
    """The pinned prompt of run `name` in one of `FORMATS`, ended by a line feed.

    Raises `StoreError` for a run without a candidate and `PromptError` for what Compel cannot say.
    """
    best = record.exportable()
    if notation == "csv":
        return _lines([COLUMNS, style(name, best)])
    if notation == "json":
        return as_json(name, record, best)
    if notation == "compel":
        return compel(best)
    if notation == "piece":
        if not best.piece:
            raise StoreError("this run has no piece; text is its pinned prompt")
        return f"{best.piece}\n"
    negative = f"Negative prompt: {best.negative_prompt}\n" if best.negative_prompt else ""
    return f"{best.prompt}\n{negative}{_parameters(record, best)}"


def _parameters(record: Record, best: Candidate) -> str:
    """The line of settings as the WebUI reads it back, where settings were pinned: it wants three or more."""
    pinned = {axis.label: value for axis, value in zip(record.axes, best.weights) if axis.side == "settings"}
    if not pinned:
        return ""
    rest = {"Sampler": record.config.get("sampler", ""), "Seed": record.config.get("seed", 0)}
    return ", ".join(f"{label}: {value}" for label, value in {**rest, **pinned}.items()) + "\n"


def style(name: str, best: Candidate) -> tuple[str, str, str]:
    """A row of the WebUI's `styles.csv`: name, prompt, negative prompt."""
    return f"pinned {name}", best.prompt, best.negative_prompt


def style_line(name: str, best: Candidate) -> str:
    """The row as a line to paste into `styles.csv`, every field quoted as CSV wants it."""
    return _lines([style(name, best)]).rstrip("\n")


def _lines(rows: list[tuple[str, str, str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula or a second row.

    A blank before it and another kind of line break mean nothing in a prompt.
    """
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f" {cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\n")) else cell


def as_json(name: str, record: Record, best: Candidate) -> str:
    """The prompts, each weight before and after, and what they were measured on."""
    weights = [
        {"word": axis.label, "before": axis.original, "after": after}
        for axis, after in zip(record.axes, best.weights)
        if axis.side != "settings"
    ]
    value = {
        "run": name,
        "prompt": best.prompt,
        "negative_prompt": best.negative_prompt,
        **({"piece": best.piece} if best.piece else {}),
        **({"payloads": [list(texts) for texts in best.prompts]} if best.prompts else {}),
        "weights": weights,
        "settings": dict(best.settings),
        "loss": best.loss,
        "unseen_seeds": None if record.held is None else 0.0 if record.found_nothing else record.held.improvement,
        "verdict": verdict(record),
        "checkpoint": record.host.get("checkpoint", ""),
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def compel(best: Candidate) -> str:
    """The prompt in Compel's notation, and the negative prompt on a second line.  Raises `PromptError`."""
    texts = [from_prompt(parse(best.prompt))]
    if best.negative_prompt:
        texts.append(from_prompt(parse(best.negative_prompt, negative=True)))
    return "".join(f"{text}\n" for text in texts)


def compel_or_reason(best: Candidate) -> tuple[str, str]:
    """(notation, "") or ("", why there is none)."""
    try:
        return compel(best).rstrip("\n"), ""
    except PromptError as error:
        return "", str(error)
