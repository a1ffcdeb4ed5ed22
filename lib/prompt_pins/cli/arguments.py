"""Command-line options made from the configuration's declarations.  Imports typer."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from ..config import AnalysisOptions, MapOptions, RunConfig, payloads
from ..errors import OptionError, PinError, reason
from ..options import Declaration, declarations, defaults, describe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 4 * 2**20

FIRST = ("Prompt", "Pin to", "Images", "How far", "Output")
"""The groups of `--help` that come before all others."""
SHORT = {"negative_prompt": "--negative", "generations": "-g", "steps": "-s", "batch_size": "-b", "target": "-t"}
NUMBERS = {int: "INTEGER", float: "FLOAT"}


def parameters(skip: tuple[str, ...], cls: type = RunConfig, groups: Collection[str] = ()) -> list[inspect.Parameter]:
    """One keyword parameter for each option of `cls`; one that is not given is None.

    groups: only options of these; empty: all.
    """
    hints = typing.get_type_hints(cls)
    default = defaults(cls)
    found = [
        (name, declaration)
        for name, declaration in declarations(cls).items()
        if name not in skip and (not groups or declaration.group in groups)
    ]
    found.sort(key=lambda item: FIRST.index(item[1].group) if item[1].group in FIRST else len(FIRST))
    return [_parameter(name, hints[name], declaration, default[name]) for name, declaration in found]


def _parameter(name: str, hint: Any, declaration: Declaration, default: Any) -> inspect.Parameter:
    inner: Any = next((part for part in typing.get_args(hint) if part is not type(None)), hint)
    many = typing.get_origin(hint) is tuple
    flag = "--" + name.rstrip("_").replace("_", "-")
    flags = [f"{flag}/--no-{flag[2:]}"] if hint is bool else [flag]
    flags += [SHORT[name]] if name in SHORT else []
    shown = "the preset's" if declaration.by_preset else _shown(default)
    text = escape(f"{declaration.help} [{'; '.join([*_allowed(hint, declaration), f'default: {shown}'])}]")
    choice = typer.Option(None, *flags, help=text, rich_help_panel=declaration.group, show_default=False)
    if inner in NUMBERS:
        choice.parser = functools.partial(_number, inner, name, "; ".join(_allowed(hint, declaration)))
        choice.metavar = NUMBERS[inner]
    kind: Any = list[inner] if many else inner  # type: ignore[valid-type]
    annotation = typing.Optional[kind]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=choice, annotation=annotation)


def _number(kind: type, name: str, allowed: str, text: str) -> Any:
    """A number of the command line.  Raises `PinError`, whose words are the configuration's."""
    try:
        return kind(text)
    except ValueError:
        raise PinError(str(OptionError(name, text, allowed))) from None  # typer takes a ValueError for its own


def _allowed(hint: Any, declaration: Declaration) -> list[str]:
    words = describe(hint, dataclasses.replace(declaration, by_preset=False))
    return [] if words in ("text", "true or false", "a list, each text") else [words]


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list):
        return ", ".join(map(str, default)) or "none"
    return "none" if default in (None, "") else str(default)


Command = Callable[..., None]


def with_options(command: Command) -> Command:
    """`command(…, **options)` with every option of `RunConfig` in its signature, so that typer sees them."""
    return _with(command, parameters)


def with_analysis_options(command: Command) -> Command:
    """The same with the options that matter to an analysis, and its own."""
    return _with_own(command, AnalysisOptions)


def with_map_options(command: Command) -> Command:
    """The same with the options that matter to a map, and its own."""
    return _with_own(command, MapOptions)


def _with_own(command: Command, cls: type[AnalysisOptions] | type[MapOptions]) -> Command:
    return _with(command, lambda skip: [*parameters(skip, cls), *parameters(skip, groups=cls.RUN_GROUPS)])


def _with(command: Command, find: Callable[[tuple[str, ...]], list[inspect.Parameter]]) -> Command:
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    hints = typing.get_type_hints(command, include_extras=True)
    own = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    added = find(tuple(parameter.name for parameter in own))
    command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return command


def with_moved(command: Command) -> Command:
    """`command(…, **moved)` with an option for each file that a run's host was opened with; what is not given is ""."""

    def places(_: tuple[str, ...]) -> list[inspect.Parameter]:
        known = declarations(RunConfig)
        return [_moved(name, known[name].label) for name in HOST]

    return _with(command, places)


def _moved(name: str, label: str) -> inspect.Parameter:
    said = f"{label}: where the run's lies now, if it was moved."
    choice = typer.Option("", "--" + name.replace("_", "-"), metavar="PATH", help=said, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=choice, annotation=str)


def own_options(given: dict[str, Any], cls: type = AnalysisOptions) -> dict[str, Any]:
    """Take the own options of an analysis, or of another task, out of those that were given."""
    return {name: given.pop(name) for name in declarations(cls) if name in given}


def read_config(path: Path) -> dict[str, Any]:
    """The options of a TOML file, by name; its images are relative to its folder.  Raises `PinError`."""
    text = _text_of(path, "a TOML file of options", "TOML")
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise PinError(f"{path}: is not a file of options (its lists or tables lie too deep in one another)") from error
    except ValueError as error:
        raise PinError(f"{path}: is not a TOML file ({str(error).partition(';')[0]})") from error
    if isinstance(values.get("target"), list):
        values["target"] = [_beside(path, image) for image in values["target"]]
    if "mask" in values:
        values["mask"] = _beside(path, values["mask"])
    if isinstance(values.get("payload"), list):
        values["payload"] = [_payload(path, entry, f"payload {n}") for n, entry in enumerate(values["payload"], 1)]
    return values


def read_payloads(path: Path) -> list[str]:
    """The lines of a text file of payloads, but empty ones; images are relative to its folder.  Raises `PinError`."""
    lines = _text_of(path, "a text file, a payload a line", "text").splitlines()
    return [_payload(path, line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _payload(path: Path, entry: Any, place: str) -> str:
    """The line of a payload that is a table of a file of options, or a line of text."""
    if not isinstance(entry, (str, dict)):
        raise OptionError(place, entry, "a table, or a line of text")
    try:
        one = payloads.Payload.from_dict(entry) if isinstance(entry, dict) else payloads.read(entry)
    except OptionError as error:
        raise payloads.at(place, error) from error
    mask = None if one.mask is None else _beside(path, one.mask)
    target = tuple(image if image.isdecimal() else _beside(path, image) for image in one.target)
    return dataclasses.replace(one, target=target, mask=mask).line()


def _text_of(path: Path, allowed: str, kind: str) -> str:
    """The text of a file, which is not read beyond `MOST_BYTES`.  Raises `PinError`."""
    from ..loss.images import is_strange_pipe

    try:
        if is_strange_pipe(path):
            raise PinError(f"{path}: is a special file; allowed: {allowed}")
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise PinError(f"{path}: cannot be read ({reason(error)})") from error
    if len(data) > MOST_BYTES:
        raise PinError(f"{path}: is not {allowed} (it is larger than {MOST_BYTES // 2**20} MiB)")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except ValueError as error:
        raise PinError(f"{path}: is not a {kind} file ({str(error).partition(';')[0]})") from error


def _beside(path: Path, image: Any) -> Any:
    """An image of a file of options; "" is none, and what is no text stays, to be refused."""
    return str(path.parent / image) if isinstance(image, str) and image.strip() else image


def absolute(path: str) -> str:
    """A model's path as a run writes it down, to be found from anywhere; "" is none."""
    return os.path.abspath(os.path.expanduser(path)) if path.strip() else ""


def some_path(text: object) -> Path | None:
    """A path of the command line; "" is none."""
    return Path(str(text)) if str(text).strip() else None


def given_values(prompt: str | None, config: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a command line says: what is given there, over the file."""
    values = read_config(config) if config is not None else {}
    return values | {name: value for name, value in {**given, "prompt": prompt}.items() if value is not None}


def merged(prompt: str | None, config: Path | None, given: Mapping[str, Any]) -> RunConfig:
    """The configuration of a command line: what is given there, over the file, over the defaults."""
    return complete(given_values(prompt, config, given))


def complete(values: Mapping[str, Any]) -> RunConfig:
    """The configuration of what a command line says.  Raises `OptionError`, also where it says no prompt."""
    if not {"prompt", "payload"} & set(values):
        raise OptionError("prompt", "", "a prompt, as an argument or in the file of --config")
    return placed(values)


HOST = ("checkpoint", "vae", "merge_with", "merge_minus")
"""Options that are files which a host is opened with."""
MODEL = (*HOST, "scorers")


def placed(values: Mapping[str, Any]) -> RunConfig:
    """The configuration of these values, files of models to be found from anywhere."""
    paths: dict[str, Any] = {name: absolute(values[name]) for name in MODEL if isinstance(values.get(name), str)}
    if isinstance(values.get("payload"), (list, tuple)) and all(isinstance(line, str) for line in values["payload"]):
        found = payloads.read_all(values["payload"])
        paths["payload"] = [
            one.line()
            if one.checkpoint is None
            else dataclasses.replace(one, checkpoint=absolute(one.checkpoint)).line()
            for one in found
        ]
    return RunConfig.from_dict({**values, **paths})
