"""Merges of checkpoints on the WebUI's loaded model, and out of it again to the bit, whatever ends a run.

The other checkpoints are files of the host's own list.  All of them, A's own too, stay mapped in their files: a change
holds one weight of each.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from modules import shared

from ..config import RunConfig
from ..errors import HostError, OptionError
from ..merge.blocks import UNET
from ..merge.holding import Holding, Put
from ..merge.sources import FIELDS, PRECISIONS, Sources, check_unlike
from . import assets, compat

VAE = "first_stage_model."
CACHES = ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc")
"""Where the host keeps what it made of prompts: a merge's text encoders are others, and nobody else may get that."""


class LoadedMerge(Holding):
    """The loaded model as A, merged with B or with B - C.  Raises `PinError` where this host's model cannot be."""

    def __init__(self, config: RunConfig) -> None:
        self._model = shared.sd_model
        self._info = getattr(self._model, "sd_checkpoint_info", None)
        if self._info is None or not compat.weights_in_place(self._model):
            raise OptionError(
                "merge_with", config.merge_with, "none: this WebUI does not keep its model's weights in place"
            )
        wanted = {name: getattr(config, name) for name in FIELDS[1:] if getattr(config, name)}
        if list(wanted) == ["merge_minus"]:
            raise OptionError("merge_minus", config.merge_minus, "none without merge_with")
        others = [Path(compat.checkpoint_info(name, title).filename) for name, title in wanted.items()]
        self.sources = Sources(Path(self._info.filename), *others)
        check_unlike(self.sources.paths, self.sources.hashes)
        self.describe = self.sources.describe
        self.sources.gram()  # refuses what is no number
        self._without_networks()
        self._live = self._found()
        super().__init__(self.sources.names)

    def put(self, weights: Mapping[str, float], precision: str) -> None:
        """As of any; raises `HostError` where another checkpoint was loaded meanwhile."""
        if not self._is_loaded() or shared.sd_model is not self._model:
            raise HostError("another checkpoint was loaded while a merge was pinned")
        super().put(weights, precision)

    def clear(self) -> None:
        """Give the model A's own weights again; not where another checkpoint's were loaded into it."""
        if self._is_loaded():
            super().clear()

    def _write(self, wanted: Mapping[str, Put | None]) -> None:
        self._without_networks()
        with torch.no_grad():
            for key, live in self._live.items():
                block = self.sources.merges[key]
                if block in wanted and (put := wanted[block]) is not None:
                    live.copy_(self.sources.merge(key, put[0], PRECISIONS[put[1]]))
                elif block in wanted:
                    live.copy_(self.sources.tensor(key))

    def _is_loaded(self) -> bool:
        return getattr(self._model, "sd_checkpoint_info", None) is self._info

    def _found(self) -> dict[str, torch.Tensor]:
        """The loaded weights by their keys in A's file, which they equal to the bit; without another VAE's."""
        known = {name.replace(".wrapped", ""): weight for name, weight in self._model.named_parameters()}
        found = {key: known[key] for key in self.sources.merges if key in known}
        unlike = [key for key, live in found.items() if not self._is_own(key, live)]
        missing = [key for key in self.sources.merges if key.startswith(UNET) and key not in known]
        if strange := [*missing, *(key for key in unlike if not key.startswith(VAE))]:
            raise HostError(
                f"the loaded model's weights are not those of its file, such as {strange[0]}: it can't be merged"
            )
        return {key: live for key, live in found.items() if not (unlike and key.startswith(VAE))}

    def _is_own(self, key: str, live: torch.Tensor) -> bool:
        return torch.equal(live.cpu(), self.sources.tensor(key).to(live.dtype))

    def _without_networks(self) -> None:
        """Take LoRAs out of the weights, and let the host forget the originals that it kept; it puts them in again."""
        own = sys.modules.get("networks")
        restore, forget = (getattr(own, f"network_{name}", None)
                           for name in ("restore_weights_from_backup", "reset_cached_weight"))  # fmt: skip
        if restore is None or forget is None:
            return
        with torch.no_grad():
            for module in self._model.modules():
                kept = getattr(module, "network_weights_backup", None) is not None
                if kept or getattr(module, "network_current_names", ()):
                    restore(module)
                    forget(module)


@contextlib.contextmanager
def merged(config: RunConfig, host: Any) -> Iterator[LoadedMerge | None]:
    """While it lasts, a host's recipes may set block weights, where a configuration merges.

    Raises `OptionError` for a job that has another checkpoint loaded for a part of its steps.
    """
    if not config.merge_with and not config.merge_minus:
        yield None
        return
    p = host.job.pristine
    others = ("refiner_checkpoint", *(("hr_checkpoint_name",) if getattr(p, "enable_hr", False) else ()))
    for name in others:
        if not assets.is_unsaid(value := getattr(p, name, None)):
            raise OptionError(name, value, "none with merge_with: the merge is in the loaded model's weights")
    host.merge = merge = LoadedMerge(config)
    try:
        yield merge
    finally:
        host.merge = None
        merge.clear()


def forget_prompts(q: Any) -> None:
    """Let a job neither use nor leave what was made of prompts with other weights."""
    for name in CACHES:
        if hasattr(q, name):
            setattr(q, name, [None] * len(getattr(q, name)))
