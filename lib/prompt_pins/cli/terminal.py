"""How text gets to the terminal: whatever the stream can write, and nothing that would command the terminal.

Imports rich.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import sys
import unicodedata
from pathlib import Path

import typer
from rich.console import Console

from ..errors import PinError, reason

GONE = 128 + 13
"""Exit code where nobody reads the output any more: as of a program that SIGPIPE ended."""
KEPT = "\n\t"
COMMANDS = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, separators of lines
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(text: object, kept: str = KEPT) -> str:
    """Untrusted text as the terminal may show it: what would command the terminal is escaped, as `\\x1b`.

    kept: control characters that stay.
    """
    return "".join(
        char.encode("unicode_escape").decode()
        if char not in kept and (unicodedata.category(char) in COMMANDS or char in TURNING)
        else char
        for char in str(text)
    )


class Terminal(Console):
    """A console that prints text as it is, markup and `:names:` of emojis included.

    Raises BrokenPipeError where nobody reads any more; rich by itself ends the program.
    lost: why nothing is said any more, such as a full disk: that is no reason to end a run.
    """

    def __init__(self, stderr: bool = False) -> None:
        self.lost: OSError | None = None
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def on_broken_pipe(self) -> None:
        """Say it to whoever printed."""
        raise BrokenPipeError

    def say(self, text: object, style: str | None = None) -> None:
        """One message that may hold untrusted text; only its line breaks break lines."""
        if self.lost is None:
            try:
                self.print(shown(text), style=style, soft_wrap=True)
            except BrokenPipeError:
                raise
            except OSError as error:
                self.lost = error


def complain(error: object) -> None:
    """An error as one line."""
    with contextlib.suppress(BrokenPipeError):
        Terminal(stderr=True).say(f"error: {shown(error, kept='')}", style="red")


def emit(text: str, newline: bool = True) -> None:
    """Print data: as it is, or escaped where a terminal shows it."""
    try:
        typer.echo(shown(text) if sys.stdout is not None and sys.stdout.isatty() else text, nl=newline)
    except BrokenPipeError:
        raise BrokenPipeError from None  # typer takes one with a number for itself
    except OSError as error:
        raise PinError(f"the output cannot be written ({reason(error)})") from error


def quoted(word: Path | str) -> str:
    """A word of the command line, to be copied; a path is never taken for an option."""
    text = str(word)
    text = os.path.join(os.curdir, text) if isinstance(word, Path) and text.startswith("-") else text
    if sys.platform == "win32":
        return subprocess.list2cmdline([text])
    return shlex.quote(text)


def prepare() -> None:
    """Let the streams write every character, as an escape where their encoding has none; log as `complain` does."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def leave(code: int) -> int:
    """Write what is left; the exit code, which is `GONE` where nobody reads it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = GONE
    except (OSError, ValueError):
        code = code or 1
    else:
        return code
    with contextlib.suppress(OSError, ValueError):  # or the interpreter would complain of it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


class _Plain(logging.Formatter):
    """Messages without commands to the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return shown(super().format(record))
