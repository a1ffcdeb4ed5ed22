r"""A spelling of a prompt that the host parses at once.

The host looks for schedules in every prompt, with a parser that takes time by about the 2.7th power of the number of
brackets that stand side by side: 75 words with a weight each take it 0.4 s, 150 take 2.3 s, 300 take 15 s.  A backslash
at the end of a line makes that parser give up where it stands, and the host then takes the prompt as one text without
schedules (see `schedule`); in that text the backslash reads as nothing, and the line break as a blank.

Standard library only.
"""

from __future__ import annotations

from .parser import split
from .schedule import find_schedules, tokenize
from .source import clean

GIVE_UP = "\\\n"


def unscheduled(text: str, negative: bool = False) -> str:
    """The prompt with `GIVE_UP` before each of its parts that has brackets and no schedule; to the host it is the same.

    For the host's eyes: what a user sees should stay without.
    """
    source = clean(text, negative)
    pieces: list[str] = []
    done = 0
    for start, stop, _ in split(source, negative):
        tokens = tokenize(source.text, start, stop)
        if not find_schedules(tokens).marks and any(token in ("(", "[") for token in tokens.texts):
            place = source.column(start)
            pieces += [text[done:place], GIVE_UP]
            done = place
    return "".join(pieces) + text[done:]
