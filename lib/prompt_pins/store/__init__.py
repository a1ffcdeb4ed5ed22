"""Run folders and their append-only journals.  Imports the standard library, numpy and Pillow."""

from .axes import Axis, axes_json
from .folder import RunFolder, Runs
from .framing import FORMAT_VERSION
from .journal import Journal, now, read_journal
from .questions import Question, Verdict
from .records import Candidate, Choice, Held, Record, from_json, replay, to_json
from .searching import Generation, Likely
from .wordings import Measured, Unchanged, Wording

__all__ = [
    "FORMAT_VERSION",
    "Axis",
    "Candidate",
    "Choice",
    "Generation",
    "Held",
    "Journal",
    "Likely",
    "Measured",
    "Question",
    "Record",
    "RunFolder",
    "Runs",
    "Unchanged",
    "Verdict",
    "Wording",
    "axes_json",
    "from_json",
    "now",
    "read_journal",
    "replay",
    "to_json",
]
