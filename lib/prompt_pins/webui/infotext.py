"""A run's options in an image's infotext, where pasting it restores them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules import images as host_images
from modules import shared
from PIL import Image

from ..config.presets import chosen
from ..errors import StoreError
from ..store import Candidate, Record, RunFolder
from . import compat
from .declared import Shown, shown

TITLE = "Prompt pinning"
JOB = {
    "hr_scale": "Hires upscale", "hr_second_pass_steps": "Hires steps", "hr_upscaler": "Hires upscaler",
    "hr_sampler_name": "Hires sampler", "hr_scheduler": "Hires schedule type", "hr_prompt": "Hires prompt",
    "hr_negative_prompt": "Hires negative prompt", "hr_cfg": "Hires CFG Scale", "image_cfg_scale": "Image CFG scale",
    "distilled_cfg_scale": "Distilled CFG Scale", "refiner_switch_at": "Refiner switch at", "tiling": "Tiling",
    "mask_blur": "Mask blur", "subseed_strength": "Variation seed strength",
}  # fmt: skip
"""What infotexts call the job's own values of `assets`."""


def with_options(text: str, config: Mapping[str, Any]) -> str:
    """An infotext that also selects the script and sets those of its options that are not at their defaults."""
    quote = compat.infotext_module().quote
    config = chosen(config)
    parts = [f"Script: {TITLE}"]
    for option in shown():
        value = config.get(option.name)
        if option.kind != "files" and value is not None and value != option.default and value != "":
            parts.append(f"{option.key}: {quote(written(option, value))}")
    return ", ".join([text, *parts])


def written(option: Shown, value: Any) -> str:
    """A value as text; numbers in fixed notation where that is exact."""
    if option.kind == "list":
        return option.separator.join(map(str, value if isinstance(value, (list, tuple)) else [value]))
    return _number(value)


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def again(folder: RunFolder, record: Record) -> str:
    """The infotext that prepares a run, an analysis or a map as it began."""
    return as_task(original(folder, record), folder, record)


def as_task(text: str, folder: RunFolder, record: Record, **more: str) -> str:
    """An infotext that also prepares the task of a run, an analysis or a map.  more: what to add to its options."""
    own = {"of_run": of_run(folder, record), "task": record.task, **more}
    return with_options(text, {**record.config, **record.options, **own})


def of_run(folder: RunFolder, record: Record) -> str:
    """The number of the run whose target an analysis has, or whose candidates a map shows; "" for none of here."""
    place = Path(folder.path.parent, record.target_of if record.task == "words" else record.of_run)
    known = {folder.path.parent, *(root.absolute() for root in compat.runs_folders().values())}
    if place == folder.path.parent or place.parent not in known:
        return ""
    with contextlib.suppress(StoreError):  # one that is gone is missed when its number is pasted
        return place.name if RunFolder(place).record().task == "pin" else ""
    return place.name


def original(folder: RunFolder, record: Record) -> str:
    """The infotext of the user's own prompt, as the run began; never "", which a host takes for its last job's."""
    first, text = record.original, ""
    if record.unchanged is not None and record.unchanged.images:
        text = _read(folder, record.unchanged.images[0])
    elif first is not None and first.images:
        text = of_image(folder, first)
    return as_begun(text or unrendered(record), record.config)


def unrendered(record: Record) -> str:
    """The infotext of a run's own prompt by what was written down of its job: where there is no image of it."""
    config, host = record.config, record.host
    job, settings = host.get("job") or {}, host.get("settings") or {}
    size = [host.get(name, own) for name, own in zip(("width", "height"), host.get("size") or (), strict=False)]
    seed, redrawn = config.get("seed"), host.get("image_to_image") or host.get("hires_fix")
    values = {
        "Steps": host.get("steps", config.get("steps")),
        "Sampler": config.get("sampler"),
        "Schedule type": host.get("scheduler"),
        "CFG scale": config.get("cfg_scale"),
        "Seed": job.get("seed", 0) if job.get("subseed_strength") else seed,
        "Size": "x".join(map(str, size)),
        "Variation seed": seed if job.get("subseed_strength") else None,
        "Denoising strength": host.get("denoising_strength") if redrawn else None,
        **{label: job.get(name) for name, label in JOB.items()},
    }
    for name, value in settings.items():
        label = getattr(shared.opts.data_labels.get(name), "infotext", None)
        values |= {label: value} if label else {}
    quote = compat.infotext_module().quote
    line = ", ".join(f"{key}: {quote(_number(value))}" for key, value in values.items() if value not in (None, ""))
    return with_prompts(line, (str(config.get("prompt") or ""), str(config.get("negative_prompt") or "")))


def with_prompts(text: str, prompts: tuple[str, str]) -> str:
    """An infotext with another prompt and negative prompt."""
    positive, negative = prompts
    return "\n".join([positive, *([f"Negative prompt: {negative}"] if negative else []), text.rpartition("\n")[2]])


def as_begun(text: str, config: Mapping[str, Any]) -> str:
    """An infotext of a run's image, with the seed, the forks and the batch size that the run began with.

    An analysis has image seeds of its own and never forks.  Hosts write no batch size, but their pages read one.
    """
    prompts, newline, line = text.rpartition("\n")
    if config.get("payload") or config.get("piece"):  # the image has a payload's prompts, the page the run's
        negative = str(config.get("negative_prompt") or "")
        prompts = str(config.get("prompt") or "") + (f"\nNegative prompt: {negative}" if negative else "")
    seed = "Variation seed" if "Variation seed: " in line else "Seed"
    for key, name in ((seed, "seed"), ("Fork policy", "fork_policy"), ("Fork strength", "fork_strength")):
        if name in config:
            value = compat.infotext_module().quote(_number(config[name]))
            line = re.sub(rf'((?:^|, ){key}: )("[^"]*"|[^,]*)', lambda found, new=value: f"{found[1]}{new}", line)
    size = int(config.get("batch_size") or 1)
    if line and size > 1 and "Batch size: " not in line:
        line += f", Batch size: {size}"
    return prompts + newline + line


def of_image(folder: RunFolder, candidate: Candidate) -> str:
    """The infotext of a candidate's first image, "" where that is gone.  Raises `StoreError`."""
    return _read(folder, f"{candidate.folder}/{candidate.images[0]}")


def _read(folder: RunFolder, name: str) -> str:
    try:
        with Image.open(folder.inside(name)) as image:
            return host_images.read_info_from_image(image)[0] or ""
    except OSError:
        return ""
