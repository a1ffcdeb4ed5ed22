"""The stand-in's modules in this process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

PLACE = str(Path(__file__).parent / "host")


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """While it lasts, they can be imported; neither they nor the parts of the extension on them are left to others.

    A package keeps its parts as attributes, too, which `from . import part` takes first.
    """
    before = set(sys.modules)
    sys.path.insert(0, PLACE)
    try:
        yield
    finally:
        sys.path.remove(PLACE)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "modules" or name.startswith("prompt_pins.webui"):
                module, (package, _, part) = sys.modules.pop(name), name.rpartition(".")
                if vars(sys.modules.get(package, module)).get(part) is module:
                    delattr(sys.modules[package], part)
