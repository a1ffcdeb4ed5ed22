"""Puts LoRAs into the weights of a model, and takes them out again to the bit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .lora import UNET, Layer, Lora, model_of
from .lora_layers import layers_of
from .lora_tags import Mix
from .towers import Tower

log = logging.getLogger(__name__)


class Merge:
    """What is in a model's weights besides its own.  The only one that changes them.

    The originals of the layers that were ever touched are kept, in the CPU's memory.
    """

    def __init__(self, unet: Any, towers: Sequence[Tower]) -> None:
        self._layers = layers_of(unet, towers)
        self._context: int = unet.config.cross_attention_dim
        self._own: dict[nn.Module, Tensor] = {}
        self._mix: Mix | None = ()

    def check(self, lora: Lora) -> None:
        """Raises `CheckpointError` for a LoRA of another kind of model; warns of layers that this model lacks."""
        lacking = [name for name in lora.layers if name not in self._layers]
        if len(lacking) == len(lora.layers):
            raise CheckpointError(f"{self._unlike(lora)}: this one has none of its layers, such as {lacking[0][:120]}")
        for name, layer in lora.layers.items():
            if name not in lacking and not layer.fits(tuple(self._weight(name).shape)):
                raise CheckpointError(
                    f"{self._unlike(lora)}: its {name[:120]} is for a weight of {_shown(layer.shape)}, this one's is "
                    f"{_shown(self._weight(name).shape)}"
                )
        if lacking:
            log.warning(
                "loras: %s: %d of its %d layers are not in this model, such as %s",
                *(lora.path, len(lacking), len(lora.layers), lacking[0][:120]),
            )

    def put(self, mix: Mix) -> None:
        """Make the weights those of the model with a mix in them; () for its own.

        Each is its original plus the sum of multiplier x change, computed in full precision and rounded once.  If it
        fails on the way, the next call makes it good.
        """
        if mix == self._mix:
            return
        self._mix = None
        wanted: dict[nn.Module, list[tuple[Layer, float, int | None]]] = {}
        for lora, tag in mix:
            for name, layer in lora.layers.items():
                multiplier = tag.unet if name.startswith(UNET) else tag.text
                if name in self._layers and multiplier:
                    wanted.setdefault(self._layers[name], []).append((layer, multiplier, tag.rank))
        with torch.no_grad():
            for module in dict.fromkeys((*self._own, *wanted)):
                weight: Any = module.weight
                if module not in self._own:
                    self._own[module] = weight.detach().to("cpu", copy=True)
                weight.copy_(self._own[module])
                if module in wanted:
                    changed = weight.float()
                    for layer, multiplier, rank in wanted[module]:
                        changed = changed + layer.change(weight, rank) * multiplier
                    weight.copy_(changed)
        self._mix = mix

    def clear(self) -> None:
        """Take everything out, and forget the originals: before the networks are moved."""
        self.put(())
        self._own.clear()

    def _unlike(self, lora: Lora) -> str:
        if lora.context in (None, self._context):
            return f"loras: {lora.path} is for another kind of model"
        return f"loras: {lora.path} is for {model_of(lora.context)}, and this is {model_of(self._context)}"

    def _weight(self, name: str) -> Tensor:
        weight = self._layers[name].weight
        assert isinstance(weight, Tensor)
        return weight


def _shown(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))
