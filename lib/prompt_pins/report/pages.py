"""Pages from templates: Jinja2 with everything escaped.  What a page shows is worked out in `view` and `context`."""

from __future__ import annotations

import functools
import json
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

HERE = Path(__file__).parent
SECTIONS = (
    "head",
    "answer",
    "progress",
    "pictures",
    "unseen",
    "prompt",
    "first",
    "words",
    "analysis",
    "tree",
    "motion",
    "front",
    "contest",
    "generations",
    "settings",
)


@functools.cache
def static(name: str) -> Markup:
    """A file of `static/`, to be put into a page as it is."""
    return Markup((HERE / "static" / name).read_text(encoding="utf-8"))  # noqa: S704 (a file of our own)


@functools.cache
def environment() -> jinja2.Environment:
    """The templates, every value escaped unless it is `Markup`."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
    found.globals["static"] = static
    found.filters["url"] = lambda path: urllib.parse.quote(str(path), safe="/")
    found.globals |= {"fixed": fixed, "percent": percent, "share": share}
    found.globals["m"] = found.get_template("macros.html").module
    return found


def fixed(value: float | None, digits: int = 4) -> str:
    """A number with so many digits after the point, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share as signed whole percent, or a dash."""
    if value is None:
        return "–"
    whole = round(100 * value)
    return f"{whole:+d} %".replace("-", "−") if whole else "0 %"


def share(value: float) -> str:
    """A small share as signed percent with one digit after the point."""
    return f"{100 * value:+.1f} %".replace("-", "−")


def render(template: str, values: Mapping[str, Any]) -> str:
    """A whole page."""
    return environment().get_template(template).render(values) + "\n"


def sections(values: Mapping[str, Any]) -> dict[str, Markup]:
    """The run page's sections by id, each as HTML."""
    template = environment().get_template("sections.html")
    context = template.new_context(dict(values))
    parts = {name: "".join(template.blocks[name](context)) for name in SECTIONS}
    return {name: Markup(text.strip()) for name, text in parts.items()}  # noqa: S704 (the template has escaped it)


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a `<script>` element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return script_safe(text)


def script_safe(text: str) -> Markup:
    """JSON text with the characters escaped that mean something to HTML or to old JavaScript."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 (escaped just above)
