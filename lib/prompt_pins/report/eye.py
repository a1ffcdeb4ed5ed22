"""The page on which a user ranks a run's candidates by eye, and what it asks for while it is open.

Standard library only.  Nothing on it tells which candidate is which.
"""

from __future__ import annotations

from typing import Any

from ..errors import StoreError
from ..store import Question, Record, RunFolder, questions
from . import pages

FOLDER = "eye"
"""Where the page is, below a run's own address."""
STATE, ANSWER = "state.json", "answer"
KEY = "X-Prompt-Pins-Key"
"""The header of an answer: only who was shown the page knows its value."""
HEADINGS = {
    "generation": "Generation {}: which are nearest to what you want?",
    "contest": "The last ones: which is the best?",
    "unseen": "Left or right?",
}


def state(record: Record) -> dict[str, Any]:
    """What a page that is open looks at: the number of the question that waits, 0 for none, and how the run is."""
    question = record.pending
    return {"question": question.number if question else 0, "state": record.state, "said": _said(record)}


def page(name: str, record: Record, key: str) -> str:
    """The page of a run's question, or of its waiting for one.

    key: what an answer must carry in the header `KEY`.
    """
    question = record.pending
    values = {
        "name": name,
        "prompt": str(record.config.get("prompt", "")),
        "question": question,
        "heading": _heading(record, question) if question else "Nothing to rank now",
        "said": _said(record),
        "data": pages.script_json({**state(record), "key": key, "header": KEY, "part": question and question.part}),
    }
    return pages.render("eye.html", values)


def _heading(record: Record, question: Question) -> str:
    shown = (one.generation for one in record.unranked if one.id in question.ids)
    return HEADINGS[question.part].format(next(shown, ""))


def _said(record: Record) -> str:
    """How the run is, in one sentence."""
    if record.pending:
        at_rest = record.state != "running"
        return "The run rests; it takes your answer when it is resumed." if at_rest else "The run waits for you."
    if record.state == "running":
        return "The run renders what comes next; this page shows it by itself."
    return f"This run is {record.state}: {record.reason}."


def taken(folder: RunFolder, value: Any) -> str:
    """Put an answer, any JSON value, where its run finds it; what is said to who sent it.

    Raises `StoreError` where nothing is asked, or another answer was faster; `OptionError` where it is none.
    """
    question = folder.record().pending
    if question is None:
        raise StoreError("this run asks nothing now")
    if not questions.write(folder.path, question, value):
        raise StoreError("this was answered already, on another page")
    return "Thank you. The run goes on; what comes next is shown here."
