"""The options that the script shows, taken from their declarations; nothing of an option is repeated here.

Imports no part of the host: the script, the API and the infotext all read this.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..config import AnalysisOptions, MapOptions, RunConfig
from ..options import Declaration, declarations, defaults, describe, option

DEFAULTS: Mapping[str, Any] = MappingProxyType(defaults(RunConfig))

FROM_HOST = frozenset(
    ("prompt", "negative_prompt", "sampler", "scheduler", "steps", "batch_size", "cfg_scale", "seed", "width", "height")
) | {"checkpoint", "vae", "emphasis", "clip_skip", "crop_top", "crop_left", "scorers"}
"""Options that the host's own controls and settings set: the script neither shows nor takes them."""


@dataclasses.dataclass(frozen=True)
class ScriptOptions:
    """Options that only a WebUI has."""

    GROUP = "Pin to"

    task: str = option(
        "pin",
        label="Task",
        choices=("pin", "words", "map", "leave-out"),
        help="Pin: find the weights that bring the images to the target. Measure words: which words hold the image, "
        "and which let it drift, each word alone at other weights. Map: which pictures lie near the prompt. Leave one "
        "out: a run of payloads once more without each of them.",
    )
    pin_to_source: bool = option(
        False,
        label="Pin to the image that is redrawn",
        help="img2img only: the source image is the target, or one of them.",
    )
    pin_to_run: str = option(
        "",
        label="Pin to run",
        help="Number of an earlier run of this tab, whose best batch is the target, or one of them; 5/2 for the second "
        "picture of map 5. Empty: none.",
    )
    resume: str = option(
        "", label="Go on with run", help="Number of a stopped run to go on with; its own options are used. Empty: none."
    )
    of_run: str = option(
        "",
        label="Words of run",
        help="For measuring words: number of a finished run of this tab, whose pinned prompt is measured, against its "
        "own target. For a map: of a run of this tab, whose candidates are mapped. Empty: the prompt above. To leave "
        "one out: of a finished run of payloads, whose own options are used.",
    )
    cma_logging: bool = option(
        True, label="CMA Logging", help="Write each generation's loss and step size to the console."
    )


LEAVE_OUT = "leave-out"
TASKS: Mapping[str, str] = MappingProxyType(
    {"pin": "Pin", "words": "Measure words", "map": "Map", LEAVE_OUT: "Leave one out"}
)
"""What the page calls them."""
SCRIPT, ANALYSIS, MAP = (frozenset(declarations(cls)) for cls in (ScriptOptions, AnalysisOptions, MapOptions))
"""Names of the options that are none of a run's configuration."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """One option as the script shows it."""

    name: str
    hint: Any
    declaration: Declaration
    default: Any

    @property
    def kind(self) -> str:
        """One of: files, list, choice, flag, number, optional number, text."""
        if self.name in ("target", "mask"):
            return "files"
        if self.choices:
            return "choice"
        if self.hint is bool:
            return "flag"
        if self.hint in (int, float):
            return "optional number" if self.declaration.by_preset else "number"
        if typing.get_origin(self.hint) is tuple:
            return "list"
        if self.hint is str:
            return "text"
        return "optional number" if self.default is None else "number"

    @property
    def choices(self) -> tuple[str, ...]:
        """What a list offers; "" leaves an option to the preset."""
        if not self.declaration.by_preset:
            return self.declaration.choices
        offered = ("True", "False") if self.hint is bool else self.declaration.choices
        return ("", *offered) if offered else ()

    @property
    def separator(self) -> str:
        """Between the items of a list: prompts hold commas, so each has a line."""
        return "\n" if self.name in ("inject", "payload") else ", "

    @property
    def numbers(self) -> bool:
        """True for a list of numbers."""
        return typing.get_origin(self.hint) is tuple and typing.get_args(self.hint)[0] in (int, float)

    @property
    def lines(self) -> int:
        """Of its text field."""
        return 2 if self.kind == "list" and self.separator == "\n" else 1

    @property
    def whole(self) -> bool:
        """True for whole numbers."""
        return self.hint is int

    @property
    def tooltip(self) -> str:
        """What it does and what is allowed."""
        if self.kind in ("flag", "choice", "files"):
            return self.declaration.help
        return f"{self.declaration.help} Allowed: {describe(self.hint, self.declaration)}."

    @property
    def key(self) -> str:
        """Its name in an image's infotext: what the host's parser takes for a key."""
        return re.sub(r"[^\w \-/]+", "", f"Pin {self.declaration.label}").strip()


def shown() -> tuple[Shown, ...]:
    """Every option of the script, in order: the positional order of the API's arguments."""
    return (*_of(ScriptOptions, {}), *_of(RunConfig, DEFAULTS), *_of(AnalysisOptions, {}), *_of(MapOptions, {}))


def _of(cls: type, values: Mapping[str, Any]) -> typing.Iterator[Shown]:
    hints = typing.get_type_hints(cls)
    fields = {field.name: field.default for field in dataclasses.fields(cls)}
    for name, declaration in declarations(cls).items():
        if name not in FROM_HOST:
            yield Shown(name, hints[name], declaration, values.get(name, fields[name]))
