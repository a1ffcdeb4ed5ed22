"""Payloads: the prompts that every candidate of a run is judged on, one a line.  Standard library only.

    line   = prompt | {flag}                  a line that begins with -- is made of flags
    flag   = --prompt TEXT | --negative_prompt TEXT | --target FILE | --mask FILE | --seed NUMBER | --weight NUMBER
           | --checkpoint FILE | --width NUMBER | --height NUMBER

As in AUTOMATIC1111's script "Prompts from file or textbox": words are cut as a shell cuts them, and what stands after
--prompt and --negative_prompt needs no quotes.  --target may stand several times.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import OptionError
from ..options import check_known, checked, declarations, option
from .groups import RenderOptions, TargetOptions

PIECE = "{piece}"
MOST = 100
"""Payloads of a run."""
FLAG = re.compile(r"--[\w-]+")
TEXTS = ("prompt", "negative_prompt")
ALIASES = {"sd_model": "checkpoint", "negative-prompt": "negative_prompt"}
"""As A1111's script and our command line call them."""


def _as(group: type, name: str) -> Any:
    """An option of a run, which may be left out."""
    known = declarations(group)[name]
    return option(None, label=known.label, help=known.help, low=known.low, high=known.high)


@dataclasses.dataclass(frozen=True)
class PayloadOptions:
    """On which prompts a candidate is judged, where it is not the run's alone."""

    GROUP = "Payloads"

    payload: tuple[str, ...] = option(
        (),
        label="Payloads",
        help="Prompts that every candidate is judged on, instead of the run's alone: each a prompt, or flags such as "
        '--prompt "…" --seed 5 --width 512 --target FILE --weight 2, as in Prompts from file or textbox. What is left '
        "out is the run's.",
    )
    piece: str = option(
        "",
        label="Piece",
        help="Words that stand wherever the prompts have {piece}. They share their weights across all payloads, and "
        "nothing else varies.",
    )
    payload_loss: str = option(
        "mean",
        label="Loss of the payloads",
        choices=("mean", "worst"),
        help="A candidate's loss: the weighted mean of its payloads' losses, each a share of its own original's, or "
        "the worst of them.",
    )


@dataclasses.dataclass(frozen=True)
class Payload:
    """What one payload has of its own; None: the run's.  weight: how much it counts.  Raises `OptionError`."""

    prompt: str | None = option(None, label="Prompt", help="Its prompt.")
    negative_prompt: str | None = option(None, label="Negative prompt", help="Its negative prompt.")
    target: tuple[str, ...] = option((), label="Target images", help="Its targets.")
    mask: str | None = _as(TargetOptions, "mask")
    seed: int | None = _as(RenderOptions, "seed")
    weight: float = option(1.0, label="Weight", low=0.001, high=1000.0, help="How much it counts.")
    checkpoint: str | None = _as(RenderOptions, "checkpoint")
    width: int | None = _as(RenderOptions, "width")
    height: int | None = _as(RenderOptions, "height")

    def __post_init__(self) -> None:
        for name, value in checked(type(self), vars(self)).items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Payload:
        """From plain names and values; one target may be a text.  Raises `OptionError`."""
        check_known(cls, values)
        target = values.get("target")
        return cls(**{**values, "target": [target]} if isinstance(target, str) else dict(values))

    def own(self) -> dict[str, Any]:
        """What is not the run's, by the run's names: a configuration's changes."""
        given = {name: value for name, value in vars(self).items() if name != "weight" and value is not None}
        if not self.target:
            del given["target"]
        return {**given, "target_weights": ()} if self.target else given

    def line(self) -> str:
        """The line that `read` turns into it again."""
        given = [(field.name, getattr(self, field.name)) for field in dataclasses.fields(self)]
        flags = [
            (name, item)
            for name, value in given
            for item in (value if isinstance(value, tuple) else (value,))
            if item is not None and (name, item) != ("weight", 1.0)
        ]
        text = flags[0][1] if [name for name, _ in flags] == ["prompt"] else ""
        if text and text == text.strip() and not text.startswith("--") and "\n" not in text:
            return str(text)
        flags = flags or [("weight", 1.0)]
        return " ".join(f"--{name} {shlex.quote(f'{v:.12g}' if isinstance(v, float) else str(v))}" for name, v in flags)


def read(line: str) -> Payload:
    """The payload of a line.  Raises `OptionError`."""
    text = line.strip()
    if not text.startswith("--"):
        return Payload(prompt=text)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise OptionError("line", text, f"words, and texts between two quotes ({error})") from error
    values: dict[str, Any] = {}
    place = 0
    while place < len(words):
        name = words[place].removeprefix("--")
        name = ALIASES.get(name, name)
        end = next((i for i in range(place + 1, len(words)) if FLAG.fullmatch(words[i])), len(words))
        given = words[place + 1 : end]
        if name not in declarations(Payload):
            flags = ", ".join(f"--{known}" for known in declarations(Payload))
            raise OptionError("line", words[place], f"{flags}; all else is the run's")
        if not given or (len(given) > 1 and name not in TEXTS):
            raise OptionError(name, " ".join(given), "one value; quotes around it where it holds blanks")
        if name == "target":
            values["target"] = (*values.get("target", ()), *given)
        elif name in values:
            raise OptionError(name, " ".join(given), "once in a line")
        else:
            values[name] = _number(name, " ".join(given))
        place = end
    return Payload(**values)


def _number(name: str, text: str) -> Any:
    """A whole number or a number where one is wanted; what is none stays, to be refused."""
    kind = {"seed": int, "width": int, "height": int, "weight": float}.get(name, str)
    try:
        return kind(text)
    except ValueError:
        return text


def read_all(lines: Iterable[str], place: str = "payload {}") -> tuple[Payload, ...]:
    """The payloads of all lines but empty ones.  Raises `OptionError`, which names the line as `place` does."""
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(read(line))
            except OptionError as error:
                raise at(place.format(number), error) from error
    if len(found) > MOST:
        raise OptionError("payload", f"{len(found)} payloads", f"at most {MOST}")
    return tuple(found)


def at(place: str, error: OptionError) -> OptionError:
    """The same error, which names the place, too."""
    return OptionError(f"{place}: {error.field}", error.value, error.allowed)


def filled(text: str, piece: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A text with the piece in the place of each `{piece}`; and where it stands: (first column, column after it)."""
    if not piece:
        return text, ()
    spans, shift = [], len(piece) - len(PIECE)
    for count, match in enumerate(re.finditer(re.escape(PIECE), text)):
        start = match.start() + count * shift
        spans.append((start, start + len(piece)))
    return text.replace(PIECE, piece), tuple(spans)
