"""Run folders and their append-only journals.  Imports the standard library, numpy and Pillow."""

from .folder import RunFolder, Runs
from .framing import FORMAT_VERSION
from .journal import Journal, now, read_journal
from .records import Axis, Candidate, Choice, Generation, Held, Likely, Record, axes_json, from_json, replay, to_json

__all__ = [
    "FORMAT_VERSION",
    "Axis",
    "Candidate",
    "Choice",
    "Generation",
    "Held",
    "Journal",
    "Likely",
    "Record",
    "RunFolder",
    "Runs",
    "axes_json",
    "from_json",
    "now",
    "read_journal",
    "replay",
    "to_json",
]
