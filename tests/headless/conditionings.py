"""Prompts, and what AUTOMATIC1111 tells the UNet of them: the small checkpoints' conditionings.

`conditionings/LAYOUT.safetensors` was written by `tests/webui/test_host_models.py` on AUTOMATIC1111 1.10.1 (CPU, full
precision) with the checkpoints that `tools/tiny_checkpoints.py` writes, under the names `CASE/cond.PART.STRETCH.KIND`
and `CASE/uncond.STRETCH.KIND`.  Of the vectors every third row is kept.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from prompt_pins.config import RenderOptions
from prompt_pins.headless.conditioning import Guidance, Part
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Recipe
from torch import Tensor

PLACE = Path(__file__).parent / "conditionings"
STEPS, WIDTH, HEIGHT = 4, 64, 72
KEPT = slice(0, None, 3)
LONG = "a red circle, " + "on a (white:0.8) background, " * 14


@dataclasses.dataclass(frozen=True)
class Case:
    """A job's prompts and the settings that decide how they are read."""

    prompt: str
    negative: str = ""
    emphasis: str = "original"
    clip_skip: int = 0
    crop: tuple[int, int] = (0, 0)


CASES = {
    "plain": Case("a red circle on a white background"),
    "weights": Case("a (red:1.4) circle on a [white] background, ((bright))", "(blue:0.7) square"),
    "no norm": Case("a (red:1.4) circle on a [white] background, ((bright))", "(blue:0.7) square", "no-norm"),
    "long": Case(LONG, "blurry"),
    "break": Case("a (red:1.3) circle BREAK a (blue:0.6) square", "blue"),
    "parts": Case("a (red:1.2) circle AND a blue square :0.6", "dark"),
    "schedule": Case("a [(red:1.3):blue:0.5] circle, [a|the] (long:0.9) line", "[dark:(light:1.2):2]"),
    "clip skip": Case("a (red:1.4) circle", "blue", clip_skip=3),
    "crop": Case("a red circle", "", crop=(16, 8)),
}


def cases(layout: str) -> dict[str, Case]:
    """Those of a layout: only 2.x has no layer to skip to, and only SDXL is told of a crop."""
    return {
        name: case
        for name, case in CASES.items()
        if not (case.clip_skip and layout == "sd2") and (case.crop == (0, 0) or layout == "sdxl")
    }


@torch.inference_mode()
def told(host: HeadlessHost, case: Case) -> dict[str, Tensor]:
    """What the headless host makes of a case, as the WebUI keeps it: SDXL's sizes as waves."""
    job = RenderOptions(
        steps=STEPS, width=WIDTH, height=HEIGHT, emphasis=case.emphasis, clip_skip=case.clip_skip,
        crop_top=case.crop[0], crop_left=case.crop[1],
    )  # fmt: skip
    guidance: Guidance = host.guidance(Recipe(case.prompt, case.negative), STEPS, job)
    found = {}
    parts: dict[str, Part] = {f"cond.{n}": part for n, part in enumerate(guidance.positive)}
    for name, part in {**parts, "uncond": guidance.negative}.items():
        for stretch in range(len(part.ends)):
            row = part.condition.row(stretch)
            found[f"{name}.{stretch}.crossattn"] = row.vectors[0]
            if row.extra.shape[1]:
                found[f"{name}.{stretch}.vector"] = waves(row.extra[0])
    return found


def waves(extra: Tensor) -> Tensor:
    """The pooled vector, and each size as 128 cosines and 128 sines of falling frequency."""
    pooled, sizes = extra[:-6], extra[-6:]
    angles = sizes[:, None] * torch.exp(-torch.arange(128) * torch.log(torch.tensor(10000.0)) / 128)
    return torch.cat([pooled, torch.cat([angles.cos(), angles.sin()], dim=1).flatten()])


def kept(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of it lies in the file."""
    return {name: (rows[KEPT] if rows.ndim == 2 else rows).contiguous() for name, rows in found.items()}
