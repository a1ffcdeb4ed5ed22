"""The pinning tasks of parts two and three of the benchmark of the search, on the embedded model.

Targets of the first eight, and of the captions of part three, are drawn by `tools/embedded_world.py`, those of the
others by the model itself, from hidden weights that are known.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.host import Host, Recipe
from prompt_pins.run.plan import make_plan

ROOT = Path(__file__).resolve().parents[1]
RENDER: Mapping[str, Any] = {"batch_size": 4, "steps": 6, "cfg_scale": 3.0, "consistency": 0.0, "contest_seeds": 8}
USUAL: Mapping[str, Any] = {**RENDER, "batch_size": 8, "steps": 20}
"""What people use: the settings of part three."""
HIDDEN_SEEDS = (7001, 7002, 7003, 7004)
RADIUS = 31.0
PAIR_RADIUS = 23.5


@dataclass(frozen=True)
class Task:
    """What is pinned to what.

    things: (shape, colour, place) of the drawn target, on `background`; none: the target is generated with the
    weights `hidden`, by word, the others being 1.
    """

    name: str
    kind: str
    prompt: str
    negative: str = ""
    things: tuple[tuple[str, str, str], ...] = ()
    background: str = ""
    hidden: Mapping[str, float] = field(default_factory=dict)


TASKS = (
    Task("shapes", "rival words", "(a large:=1) white square circle (in the center, red background:=1)",
         things=(("circle", "white", "center"),), background="red"),
    Task("stars", "rival words", "(a large:=1) black star triangle (in the center, yellow background:=1)",
         things=(("triangle", "black", "center"),), background="yellow"),
    Task("colours", "rival words", "(a large:=1) yellow blue circle (in the center:=1), black (background:=1)",
         things=(("circle", "blue", "center"),), background="black"),
    Task("free-colour", "unspecified attribute", "(a large:=1) circle star (in the:=1) center, blue (background:=1)",
         things=(("star", "white", "center"),), background="blue"),
    Task("places", "position", "(a large:=1) red square (at the:=1) top bottom (on a white background:=1)",
         things=(("square", "red", "bottom"),), background="white"),
    Task("backgrounds", "background", "(a large:=1) black star (in the center:=1), yellow red (background:=1)",
         things=(("star", "black", "center"),), background="red"),
    Task("negative", "negative prompt", "(a large blue:=1) star triangle (in the center, yellow background:=1)",
         "triangle, blue", things=(("triangle", "blue", "center"),), background="yellow"),
    Task("two-objects", "two objects",
         "(a large red:=1) circle star (on the left and a large blue:=1) square triangle "
         "(on the right, yellow background:=1)",
         things=(("star", "red", "left"), ("triangle", "blue", "right")), background="yellow"),
    Task("hidden-shapes", "hidden weights", "(a large:=1) purple ring triangle (in the center, white background:=1)",
         hidden={"ring": 0.6, "triangle": 1.4}),
    Task("hidden-places", "hidden weights",
         "(a large:=1) blue circle (at the:=1) top bottom (on a yellow background:=1)",
         hidden={"top": 0.6, "bottom": 1.4}),
    Task("hidden-stars", "hidden weights", "(a large:=1) black star triangle (in the center, yellow background:=1)",
         hidden={"star": 0.6, "triangle": 1.4}),
    Task("hidden-two", "hidden weights",
         "(a large green:=1) square circle (at the:=1) top bottom (on a white background:=1)",
         hidden={"square": 0.6, "circle": 1.4, "top": 0.6, "bottom": 1.4}),
)  # fmt: skip


CAPTIONS = (
    Task("caption-colours", "caption",
         "a large yellow blue circle in the center of a plain black background, one simple shape, flat colours, "
         "sharp edges, a clean picture, nothing else around it, seen from the front",
         things=(("circle", "blue", "center"),), background="black"),
    Task("caption-shapes", "caption",
         "a simple clean picture of one large white square circle in the center with sharp edges on a plain red "
         "background, flat colours, no shadows, seen from the front",
         things=(("circle", "white", "center"),), background="red"),
    Task("caption-places", "caption",
         "one large red square at the top bottom of the picture on a white background, drawn with flat colour and "
         "sharp edges, nothing else in it, plain and simple",
         things=(("square", "red", "bottom"),), background="white"),
    Task("caption-backgrounds", "caption",
         "a large black star in the center of a yellow red background, a clean flat drawing with sharp edges, one "
         "single shape, simple and bright, no text, no frame, nothing else",
         things=(("star", "black", "center"),), background="red"),
)  # fmt: skip
"""Prompts of which few words matter; all of them vary.  Of part three alone."""


@cache
def world() -> ModuleType:
    """`tools/embedded_world.py`, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("embedded_world", ROOT / "tools" / "embedded_world.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def drawn(task: Task) -> np.ndarray:
    """The target as the world draws it, all colours exactly the palette's: uint8, H x W x 3."""
    w = world()
    radius = RADIUS if len(task.things) == 1 else PAIR_RADIUS
    things = tuple(
        w.Thing(shape, colour, "large", place, w.PALETTE[colour], *w.PLACES[place], radius)
        for shape, colour, place in task.things
    )
    picture: np.ndarray = w.render(
        w.Scene(things, w.Background("plain", (task.background,), (w.PALETTE[task.background],)))
    )
    return picture


def hidden_prompt(task: Task, host: Host, render: Mapping[str, Any] = RENDER) -> Recipe:
    """The prompt with its hidden weights, in plain syntax."""
    space = make_plan(RunConfig(prompt=task.prompt, negative_prompt=task.negative, **render), host).space
    words = zip(space.labels, space.original, strict=True)
    return space.recipe([task.hidden.get(word, weight) for word, weight in words])


def targets(task: Task, host: Host, folder: Path, render: Mapping[str, Any] = RENDER) -> tuple[str, ...]:
    """Paths of the target images, written to `folder`."""
    if task.things:
        pictures = [drawn(task)]
    else:
        job = RunConfig(prompt=task.prompt, **render)
        pictures = list(host.render(hidden_prompt(task, host, render), HIDDEN_SEEDS, job, forked=False).images)
    paths = []
    for index, picture in enumerate(pictures):
        paths.append(str(folder / f"{task.name}-{index}.png"))
        Image.fromarray(picture).save(paths[-1])
    return tuple(paths)


def config(task: Task, paths: tuple[str, ...], **changes: Any) -> RunConfig:
    """The run of a task, with changes."""
    values = {"prompt": task.prompt, "negative_prompt": task.negative, "target": paths, **RENDER, **changes}
    return RunConfig.from_dict({**values, "target": list(values["target"])})
