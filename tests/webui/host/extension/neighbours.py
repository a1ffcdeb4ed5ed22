"""Extensions that are always on, for the stand-in and for real hosts: they do to a job what well-known ones do.

Imports only what a host gives every script.
"""

from __future__ import annotations

import errno
import os
import random
import re
from typing import Any

import gradio as gr
import modules.scripts as scripts
from modules.processing import fix_seed

REPLACE = os.replace


class Expander(scripts.Script):
    """As Dynamic Prompts: expands `{a|b}` by seed, from one number, and writes its prompts and seeds over the job's."""

    def title(self) -> str:
        """With its version, as the real one."""
        return "Dynamic Prompts v0.0 (imitated)"

    def show(self, is_img2img: bool) -> Any:
        """On without being asked for."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """On, too, if nothing is said, and whole."""
        return [gr.Checkbox(label="Expander enabled", value=True), gr.Checkbox(label="Expander broken", value=False)]

    def process(self, p: Any, enabled: bool = True, broken: bool = False) -> None:
        """Raises TypeError for seeds that are a list."""
        if not enabled:
            return
        if broken:  # as the real one on a host whose settings it was too late for
            raise AttributeError("'Options' object has no attribute 'dp_ignore_whitespace'")
        fix_seed(p)
        template = p.all_prompts[0]
        p.all_seeds = [int(p.seed) + index for index in range(p.batch_size * p.n_iter)]
        p.all_subseeds = [int(p.subseed) + index for index in range(p.batch_size * p.n_iter)]
        p.all_prompts = [self._expanded(template, seed) for seed in p.all_seeds]
        p.prompt = template

    def _expanded(self, template: str, seed: int) -> str:
        generator = random.Random(seed)
        return re.sub(r"\{([^{}]*)\}", lambda found: generator.choice(found[1].split("|")), template)


class Breaker(scripts.Script):
    """As ControlNet: takes the sampling over, and what goes wrong in it is of a kind that nobody foresees."""

    run, left = "", 0

    def title(self) -> str:
        """Its name."""
        return "Breaker"

    def show(self, is_img2img: bool) -> Any:
        """On without being asked for."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """What tells one run from another ("": all goes well), and how many of its batches go well."""
        return [gr.Textbox(label="Breaker: run", value=""), gr.Number(label="Breaker: batches", value=0)]

    def process(self, p: Any, run: str = "", well: float = 0) -> None:
        """Into the job's sampling."""
        if run != self.run:
            self.run, self.left = run, int(well)
        self.left -= 1
        if run and self.left < 0:
            p.sample = self._broken

    def _broken(self, *_: Any, **__: Any) -> Any:
        raise AttributeError("'NoneType' object has no attribute 'control_model'")


class Meddler(scripts.Script):
    """One that writes into every prompt, and is known to nobody."""

    def title(self) -> str:
        """Its name."""
        return "Meddler"

    def show(self, is_img2img: bool) -> Any:
        """On without being asked for."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Off, if nothing is said."""
        return [gr.Checkbox(label="Meddler enabled", value=False)]

    def process(self, p: Any, enabled: bool = False) -> None:
        """The same words for every image."""
        if enabled:
            p.all_prompts = ["a green square" for _ in p.all_prompts]


class Filler(scripts.Script):
    """No extension but a disk that is full: no file takes its place any more."""

    def title(self) -> str:
        """Its name."""
        return "Filler"

    def show(self, is_img2img: bool) -> Any:
        """On without being asked for."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Not full, if nothing is said."""
        return [gr.Checkbox(label="Filler enabled", value=False)]

    def process(self, p: Any, enabled: bool = False) -> None:
        """For as long as jobs ask for it."""
        os.replace = _full if enabled else REPLACE


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
