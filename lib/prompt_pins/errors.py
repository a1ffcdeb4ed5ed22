"""The exception tree.  Standard library only.

Everything that a user's input can cause is a `PinError`; its message is one sentence (or a few lines)
fit to be shown as it is.  Anything else that escapes is a defect.
"""

from __future__ import annotations

from typing import Any


class PinError(Exception):
    """Base of every error that is shown to the user."""


class OptionError(PinError, ValueError):
    """A field has a value that is not allowed.

    The message always names the field, the value and what is allowed.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field}: {shorten(value)} is not allowed; allowed: {allowed}")


class PromptError(PinError, ValueError):
    """A prompt that cannot be pinned, or a malformed steering mark in it.

    `column` counts characters from 1; `None` where the whole prompt is meant.
    """

    def __init__(self, message: str, column: int | None = None) -> None:
        self.column = column
        super().__init__(message if column is None else f"column {column}: {message}")


class TargetError(PinError):
    """A target or mask image that cannot be used."""


class CheckpointError(PinError):
    """A file or folder that is not a model that this host can load."""


class StoreError(PinError):
    """A run folder that cannot be read or written."""


class MovedError(StoreError):
    """A run's folder that was removed or renamed while the run wrote to it.  record: what the run has reached."""

    def __init__(self, folder: object, record: Any) -> None:
        self.record = record
        super().__init__(
            f"{folder}: was removed or renamed while the run wrote to it, so it has stopped; where it "
            "lies now, if anywhere, it can be resumed"
        )


class JournalError(StoreError):
    """A damaged journal.  `line` counts from 1."""

    def __init__(self, path: object, line: int, message: str) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}, line {line}: {message}")


class HostError(PinError):
    """The host could not turn a prompt into images."""


class WorkersError(PinError):
    """None of a run's workers is left; with others the run goes on."""


class HostInterrupted(PinError):
    """The user stopped the host while it was rendering."""


def reason(error: BaseException) -> str:
    """Why, in words: the system's own, where it has any."""
    return str(getattr(error, "strerror", None) or error)


def shorten(value: object, limit: int = 80) -> str:
    """`repr` of a value, cut to `limit` characters; never an error, however long or deep the value is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists in lists
        text = f"a value of type {type(value).__name__} that is too long to be shown"
    return text if len(text) <= limit else text[: limit - 1] + "…"
