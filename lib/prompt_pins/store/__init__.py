"""Run folders and their append-only journals.  Imports the standard library, numpy and Pillow."""

from .folder import RunFolder, Runs
from .framing import FORMAT_VERSION
from .journal import Journal, read_journal
from .records import Candidate, Choice, Generation, Held, Record, from_json, replay, to_json

__all__ = [
    "FORMAT_VERSION",
    "Candidate",
    "Choice",
    "Generation",
    "Held",
    "Journal",
    "Record",
    "RunFolder",
    "Runs",
    "from_json",
    "read_journal",
    "replay",
    "to_json",
]
