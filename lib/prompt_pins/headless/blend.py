"""Puts a merge of checkpoints into the weights of a loaded model, block by block, and takes it out to the bit.

The checkpoints stay in their files, which are mapped into memory: besides the loaded model, a change holds one weight
of each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..merge.blocks import BASE, UNET, block_of
from ..merge.holding import Holding, Put
from ..merge.sources import PRECISIONS, Sources, merged
from .checkpoint import Checkpoint
from .lora_layers import ENDS, block_places
from .networks import Networks
from .single_file import networks_of


@dataclasses.dataclass(frozen=True)
class _Place:
    """A weight of the loaded model: its module and name there, and what A, B and C have in its place."""

    module: nn.Module
    name: str
    own: tuple[Tensor, ...]

    def put(self, weight: float | None, precision: str) -> None:
        """None: A's own."""
        a = self.own[0]
        live: Any = getattr(self.module, self.name)[: len(a)]  # textual inversions lie behind A's own words
        if weight is None or not a.is_floating_point():
            live.copy_(a)
            return
        a, b, *rest = (tensor.to(live.device) for tensor in self.own)
        live.copy_(merged(a, b, rest[0] if rest else None, weight, PRECISIONS[precision]))


class Blend(Holding):
    """The only one that changes a model's weights besides LoRAs, which are to be out while it does.

    model: on its device, in the precision that it computes in.
    """

    def __init__(self, model: Checkpoint, sources: Sources) -> None:
        super().__init__(sources.names)
        self._blocks: dict[str, list[_Place]] = {name: [] for name in sources.names}
        parts = [networks_of(model.path, sources.weights(place)) for place in range(len(sources.paths))]
        for block, place in self._places(model, parts):
            self._blocks[block].append(place)

    def _write(self, wanted: Mapping[str, Put | None]) -> None:
        with torch.no_grad():
            for block, put in wanted.items():
                for place in self._blocks[block]:
                    place.put(*(put or (None, "")))

    def _places(self, model: Checkpoint, parts: list[Networks]) -> Iterator[tuple[str, _Place]]:
        blocks = unet_blocks(model.unet, self.names)
        for name, place in _pairs(model.unet, [part.unet for part in parts]):
            yield blocks[name], place
        if model.vae_path is None:
            yield from ((BASE, place) for _, place in _pairs(model.vae, [part.vae for part in parts]))
        for index, tower in enumerate(model.towers):
            same = [part.towers[index].network for part in parts]
            yield from ((BASE, place) for _, place in _pairs(tower.network, same))


def unet_blocks(unet: Any, names: tuple[str, ...]) -> dict[str, str]:
    """The block of each weight of diffusers' UNet, by its name there."""
    known = {**ENDS, **dict(block_places(unet)), "conv_norm_out": "out.0"}
    found = {}
    for name, _ in unet.named_parameters():
        parts = name.split(".")
        prefix = next(p for depth in range(len(parts), 0, -1) if (p := ".".join(parts[:depth])) in known)
        found[name] = block_of(f"{UNET}{known[prefix]}.", names)
    return found


def _pairs(live: nn.Module, others: list[nn.Module]) -> Iterator[tuple[str, _Place]]:
    """Each weight of a network by its name, with what the same network of each checkpoint has."""
    tables = [dict(other.named_parameters()) for other in others]
    for path, module in live.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            full = f"{path}.{name}" if path else name
            yield full, _Place(module, name, tuple(table[full].detach() for table in tables))
