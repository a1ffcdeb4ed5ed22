"""The user's job, made ready for a run: its options, and its prompts with styles and templates in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from modules import processing, shared

from ..errors import OptionError
from . import compat, extent, neighbours, overrides

HIRES = ("hr_prompt", "hr_negative_prompt")
"""The second pass's prompts; an empty one is the first pass's."""
KEPT = "\ue000"
"""Stands for what no extension may expand: a character that no prompt has."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The user's job, made ready for a run.

    pristine: the host's processing object; it is copied and never rendered itself.
    options: what `RenderOptions` says of it, as plain values.
    positive, negative: its prompts, with styles applied.
    hires: the prompts that the second pass of hires fix has of its own, so, too, by the fields that they are in.
    template: what the user wrote, where another extension made the prompt of it.
    """

    pristine: Any
    options: dict[str, Any]
    positive: str
    negative: str
    hires: Mapping[str, str]
    template: str = ""

    def copy(self) -> Any:
        """The pristine job once more, to be changed.  It has no styles any more: its prompts hold them."""
        q = compat.fresh_copy(self.pristine)
        q.styles = []
        for name, text in self.hires.items():
            setattr(q, name, text)
        return q

    def expanded(self, keep: str = "") -> Job:
        """With its templates expanded, by the extension that does it, but for `keep`.  Raises `OptionError`."""
        hidden = (text.replace(keep, KEPT) if keep else text for text in (self.positive, self.negative))
        found = neighbours.expanded(self.pristine, *hidden)
        positive, negative = (text.replace(KEPT, keep) if keep else text for text in found)
        template = "" if positive == self.positive else self.positive
        return dataclasses.replace(self, positive=positive, negative=negative, template=template)


def read_job(p: Any) -> Job:
    """A job from a processing object that was never rendered.  Raises `OptionError`."""
    for name in ("prompt", "negative_prompt", *HIRES):
        if isinstance(getattr(p, name, ""), list):
            raise OptionError(name, f"a list of {len(getattr(p, name))}", "one prompt")
    if len(getattr(p, "init_images", None) or []) > 1:
        raise OptionError("init_images", f"{len(p.init_images)} images", "one image")
    if getattr(p, "enable_hr", False) and p.denoising_strength is None:  # as a request has it that leaves it out
        raise OptionError("denoising_strength", None, "a number from 0 to 1, with hires fix")
    overrides.check(p)
    compat.fix_names(p)
    processing.fix_seed(p)
    if isinstance(p.seed, list):
        raise OptionError("seed", p.seed, "one seed")
    own = [name for name in HIRES if getattr(p, "enable_hr", False) and getattr(p, name, "")]
    options = {
        "sampler": p.sampler_name,
        "scheduler": _schedule(p),
        "steps": extent.rendered_steps(p),
        "batch_size": p.batch_size,
        "cfg_scale": p.cfg_scale,
        "seed": int(p.subseed if p.subseed_strength else p.seed),
    }
    positive, negative = _styled(p, "prompt"), _styled(p, "negative_prompt")
    return Job(p, options, positive, negative, {name: _styled(p, name) for name in own})


def _styled(p: Any, name: str) -> str:
    """One of the job's prompts with its styles applied, as the host applies them."""
    known, text, styles = shared.prompt_styles, getattr(p, name) or "", list(p.styles or [])
    apply = known.apply_negative_styles_to_prompt if "negative" in name else known.apply_styles_to_prompt
    return str(apply(text, styles))


def _schedule(p: Any) -> str:
    """The schedule in the words of `RenderOptions`, which knows two; a run of a WebUI never reads it back."""
    name = f"{compat.schedule_name(p)} {p.sampler_name}"
    return "karras" if "karras" in name.lower() or "automatic" in name.lower() else "normal"
