"""An extension of a real host, for tests with small checkpoints.

It tells the host of the small OpenCLIP text encoder, and writes down what the host makes of each batch's prompts.
Imports only what a host gives every script.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import modules.scripts as scripts
import open_clip
from safetensors.torch import save_file

open_clip.add_model_config(Path(os.environ["PROMPT_PINS_OPEN_CLIP"]))
PLACE = Path(os.environ["PROMPT_PINS_CONDITIONINGS"])


class Conditionings(scripts.Script):
    """The first image's, one file a batch: `cond.PART.STRETCH.KIND` and `uncond.STRETCH.KIND`."""

    def title(self) -> str:
        """Its name."""
        return "Conditionings"

    def show(self, is_img2img: bool) -> Any:
        """Always on."""
        return scripts.AlwaysVisible

    def postprocess_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """After the sampling the job still has them."""
        found = {}
        parts = {f"cond.{n}": part.schedules for n, part in enumerate(p.c.batch[0])}
        for name, schedules in {**parts, "uncond": p.uc[0]}.items():
            for stretch, (_, cond) in enumerate(schedules):
                kinds = cond if isinstance(cond, dict) else {"crossattn": cond}
                found |= {f"{name}.{stretch}.{kind}": value.float().cpu().clone() for kind, value in kinds.items()}
        number = len(os.listdir(PLACE))
        save_file(found, PLACE / f"{number:05}.new")
        (PLACE / f"{number:05}.new").rename(PLACE / f"{number:05}.safetensors")
