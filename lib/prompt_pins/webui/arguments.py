"""From what a user or the API hands in to a validated configuration.  Imports no part of the host but its job.

Arguments come by position, in the order of `declared.shown()`, or as one JSON object of named options, as text or as an
object; each option may be left out or be null, and then has its default.
"""

from __future__ import annotations

import base64
import difflib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError
from .declared import FROM_HOST, Shown, shown

MAX_IMAGE_BYTES = 64 * 2**20
RUN = re.compile("[0-9]{1,12}")
"""The number of a run."""
RUN_OR_PICTURE = re.compile(f"{RUN.pattern}(/[0-9]{{1,6}})?")
"""The same, or of a map and its picture: 5/2."""
FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "BMP": "bmp", "GIF": "gif"}


def read_arguments(values: Sequence[Any], given: int | None = None) -> dict[str, Any]:
    """Options by name, those that were left out not among them.

    values: what the script's `run` got; given: how many of them are the user's, where the host can tell.
    Raises `OptionError`.
    """
    first = values[0] if values else None
    if isinstance(first, Mapping):
        return _named(first)
    if isinstance(first, str) and first.lstrip().startswith("{"):
        return _named(_parsed(first))
    options = shown()
    count = len(values) if given is None else given
    if count == 0:
        return {}
    if count != len(options):
        allowed = f"one JSON object of named options, or all {len(options)} values in their order"
        raise OptionError("script_args", f"{count} values", allowed)
    pairs = zip(options, values, strict=False)
    return {option.name: _plain(option, value) for option, value in pairs if not _left_out(option, value)}


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError("script_args", text, f"a JSON object of named options ({error})") from error
    if not isinstance(value, Mapping):
        raise OptionError("script_args", text, "a JSON object of named options")
    return value


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {option.name: option for option in shown()}
    for name in values:
        if name in FROM_HOST:
            raise OptionError("option", name, "as a field of the request itself, outside of script_args")
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=3) or list(known)
            raise OptionError("option", name, "one of " + ", ".join(near))
    return {name: _plain(known[name], value) for name, value in values.items() if not _left_out(known[name], value)}


def _left_out(option: Shown, value: Any) -> bool:
    empty = isinstance(value, (list, tuple, str)) and not value
    may_be_empty = option.declaration.by_preset or option.kind not in ("choice", "number", "flag")
    return value is None or (empty and may_be_empty)


def _plain(option: Shown, value: Any) -> Any:
    """A control's value as `RunConfig` takes it."""
    if option.kind == "list" and isinstance(value, str):
        parts = [part.strip() for part in value.split(option.separator.strip(" ")) if part.strip()]
        return [_number(part) for part in parts] if option.numbers else parts
    if option.hint is bool and value in ("True", "False"):
        return value == "True"
    if option.kind == "optional number" and isinstance(value, str):
        return _number(value)
    if option.kind == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)
    return value


def _number(text: str) -> float | str:
    """The number that a text is, else the text, for the refusal to show."""
    try:
        return float(text)
    except ValueError:
        return text


def stored_images(name: str, value: Any, inbox: Path) -> list[str]:
    """Paths of the images of one option: files that the user interface has taken in, or base64 text of the API.

    A path is never taken from a text.  Raises `OptionError`.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    return [_stored(name, item, inbox / f"{name}-{index:05d}") for index, item in enumerate(items) if item]


def _stored(name: str, item: Any, place: Path) -> str:
    uploaded = getattr(item, "name", None)
    if uploaded is not None:
        return str(uploaded)
    if isinstance(item, Mapping):
        item = item.get("data")
    if not isinstance(item, str):
        raise OptionError(name, item, "images in base64")
    return str(_decoded(name, item, place))


def _decoded(name: str, text: str, place: Path) -> Path:
    from PIL import Image, UnidentifiedImageError

    body = text.partition(",")[2] if text.startswith("data:") else text
    if len(body) > MAX_IMAGE_BYTES * 4 // 3:
        raise OptionError(name, text, f"images of at most {MAX_IMAGE_BYTES // 2**20} MiB each")
    try:
        content = base64.b64decode(body, validate=True)
        with Image.open(io.BytesIO(content)) as image:
            ending = FORMATS[image.format or ""]
    except (KeyError, UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise OptionError(name, text, "PNG, JPEG, WebP, BMP or GIF images in base64") from error
    path = place.with_suffix("." + ending)
    path.write_bytes(content)
    return path
