"""Run folders and their append-only journals.  Imports the standard library, numpy and Pillow."""

from .axes import Axis, axes_json
from .folder import RunFolder, Runs
from .framing import FORMAT_VERSION
from .journal import Journal, now, read_journal
from .records import Candidate, Choice, Generation, Held, Likely, Record, from_json, replay, to_json
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
    "Record",
    "RunFolder",
    "Runs",
    "Unchanged",
    "Wording",
    "axes_json",
    "from_json",
    "now",
    "read_journal",
    "replay",
    "to_json",
]
