"""What is answered where a run cannot be, or ended without an image: one sentence, and the HTTP status that fits."""

from __future__ import annotations

import errno

from ..errors import HostError, MovedError, PinError, reason

UNPROCESSABLE, FAILED, FULL = 422, 500, 507
_NO_ROOM = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


class RunFailed(HostError):
    """A run that ended by a fault before it had an image to show."""

    def __init__(self, number: str, fault: BaseException, goes_on: bool) -> None:
        how = f"goes on, once that is mended, with the option resume: {number}" if goes_on else "is at its end"
        kept = "" if isinstance(fault, MovedError) else f"; it is kept as it is, and {how}"
        super().__init__(f"run {number} failed: {in_words(fault)}{kept}")


def in_words(error: BaseException) -> str:
    """An error as one sentence; one that nobody foresaw with its kind."""
    if isinstance(error, MovedError) and error.record.best:  # nothing else tells of it any more
        return f"{error}; the best prompt until then: {error.record.best.prompt}"
    if isinstance(error, PinError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return ": ".join([*([str(error.filename)] if error.filename else []), reason(error)])
    return f"{type(error).__name__}: {error}".rstrip(": ")


def status(error: BaseException) -> int:
    """422 for what the caller can mend, 507 where there is no room, 500 for other faults."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:  # without, it is a file's content that is at fault
            return FULL if cause.errno in _NO_ROOM else FAILED
        cause = cause.__cause__
    return UNPROCESSABLE if isinstance(error, PinError) and not isinstance(error, HostError) else FAILED
