"""How an option is declared: once, as a dataclass field with its label, help, range and group.

Standard library only.  The configuration, the command line, the WebUI's script, the API, the infotext
and the report all read these declarations; none of them repeats a default or a range.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import OptionError


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is known of one option besides its name, type and default.

    by_preset: it may be left empty (`None`), and is then filled in by the preset.
    """

    label: str
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    group: str = ""
    by_preset: bool = False


def option(
    default: Any = dataclasses.MISSING,
    *,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    by_preset: bool = False,
) -> Any:
    """A dataclass field that declares an option; `low` and `high` are inclusive."""
    declaration = Declaration(label, help, low, high, tuple(choices), by_preset=by_preset)
    return dataclasses.field(default=default, metadata={"option": declaration})


def declarations(cls: type) -> dict[str, Declaration]:
    """Every option of a dataclass by name, in order; the group is the declaring class's `GROUP`."""
    found: dict[str, Declaration] = {}
    for field in dataclasses.fields(cls):
        if "option" not in field.metadata:
            continue
        owner = next((base for base in cls.__mro__ if field.name in vars(base).get("__annotations__", {})), cls)
        found[field.name] = dataclasses.replace(field.metadata["option"], group=getattr(owner, "GROUP", ""))
    return found


def defaults(cls: type) -> dict[str, Any]:
    """Every option's declared default as a plain JSON value; `None` where the preset gives it."""
    found = {field.name: field.default for field in dataclasses.fields(cls) if "option" in field.metadata}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def check_known(cls: type, names: Iterable[str]) -> None:
    """Raises `OptionError`, which tells the nearest ones, for a name that is no option of `cls`."""
    known = declarations(cls)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or list(known)
            raise OptionError("option", name, "one of " + ", ".join(near))


def checked(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with every option converted to its declared type and checked against its range.

    Raises `OptionError` that names the field, the value and what is allowed.
    """
    hints = typing.get_type_hints(cls)
    return {
        name: _checked(name, values[name], hints[name], declaration)
        for name, declaration in declarations(cls).items()
        if name in values
    }


def _checked(name: str, value: Any, hint: Any, declaration: Declaration) -> Any:
    allowed = describe(hint, declaration)
    if value is None and declaration.by_preset:
        return None
    try:
        value = _converted(value, hint)
    except UnicodeEncodeError:
        raise OptionError(name, value, "text of whole characters (it holds bytes that are no UTF-8)") from None
    except (TypeError, ValueError, OverflowError):
        raise OptionError(name, value, allowed) from None
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            too_low = declaration.low is not None and number < declaration.low
            too_high = declaration.high is not None and number > declaration.high
            if too_low or too_high or (isinstance(number, float) and not math.isfinite(number)):
                raise OptionError(name, value, allowed)
    if declaration.choices and value not in declaration.choices:
        raise OptionError(name, value, allowed)
    return value


def _converted(value: Any, hint: Any) -> Any:
    """`value` as the type that `hint` names; ValueError, TypeError or OverflowError if it is not one."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _converted(value, next(part for part in typing.get_args(hint) if part is not type(None)))
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TypeError(value)
        return tuple(_converted(item, typing.get_args(hint)[0]) for item in value)
    if hint is bool:
        if not isinstance(value, bool):
            raise TypeError(value)
        return value
    if isinstance(value, bool) or (hint in (int, float) and isinstance(value, str)):
        raise TypeError(value)
    if hint is int:
        if isinstance(value, int):
            return value
        if int(value) != float(value):
            raise ValueError(value)
        return int(value)
    if hint is float:
        return float(value)
    if hint is str:
        if not isinstance(value, str):
            raise TypeError(value)
        value.encode()  # no half of a character: neither a journal nor a page could hold it
        return value
    raise TypeError(hint)


def describe(hint: Any, declaration: Declaration) -> str:
    """What is allowed, in words."""
    if declaration.by_preset:
        return "nothing, or " + describe(hint, dataclasses.replace(declaration, by_preset=False))
    if declaration.choices:
        return ", ".join(repr(choice) for choice in declaration.choices)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = next(part for part in typing.get_args(hint) if part is not type(None))
        return f"nothing, or {describe(inner, declaration)}"
    if typing.get_origin(hint) is tuple:
        return f"a list, each {describe(typing.get_args(hint)[0], declaration)}"
    kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, str(hint))
    low, high = declaration.low, declaration.high
    if low is not None and high is not None:
        return f"{kind} from {_bound(low)} to {_bound(high)}"
    if low is not None:
        return f"{kind} of at least {_bound(low)}"
    return kind if high is None else f"{kind} of at most {_bound(high)}"


def _bound(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
