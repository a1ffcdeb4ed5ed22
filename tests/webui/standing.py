"""The stand-in's modules in this process."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


@contextlib.contextmanager
def loaded(*parts: str) -> Iterator[Any]:
    """While it lasts: the stand-in with its model and our samplers, and these parts of the extension by their names."""
    own = ("model", "processing", "sd_samplers", "sd_samplers_kdiffusion", "shared", "styles")
    with importable():
        found = {name: importlib.import_module(f"modules.{name}") for name in own}
        found |= {name: importlib.import_module(f"prompt_pins.webui.{name}") for name in parts}
        found["shared"].sd_model = found["model"].Model()  # type: ignore[attr-defined]
        importlib.import_module("prompt_pins.webui.samplers").register()
        yield SimpleNamespace(**found)


def job(webui: Any, image: Any = None, **values: Any) -> Any:
    """A job of the stand-in, as its user made it; with an image, image to image."""
    kind = "StableDiffusionProcessingTxt2Img" if image is None else "StableDiffusionProcessingImg2Img"
    values = {"prompt": "a circle", "negative_prompt": "", "batch_size": 3, "seed": 5, **values}
    values = {"sampler_name": "DPM++ 2M - Hyperbatch", **values, **({} if image is None else {"init_images": [image]})}
    return getattr(webui.processing, kind)(**values)
