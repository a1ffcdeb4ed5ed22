"""A model's text encoders: token ids to vectors, from the layer that the model was trained on.

Stable Diffusion 1.x and 2.x have one, SDXL has two, whose vectors lie side by side; the second one also sums up the
whole text in one pooled vector.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from ..errors import OptionError


@dataclasses.dataclass(frozen=True)
class Tower:
    """One text encoder.

    network: transformers' CLIPTextModel, or CLIPTextModelWithProjection where `pooled`.
    name: as files of textual inversions for SDXL call it.  pad: the token that fills a chunk behind its end.
    penultimate: its vectors are the last but one layer's, as they are; else the last layer's, normalised.
    skips: whether a CLIP skip may choose another layer.
    """

    network: Any
    name: str = "clip_l"
    pad: int = 49407
    penultimate: bool = False
    pooled: bool = False
    skips: bool = True

    @property
    def layer(self) -> Any:
        """The part whose `token_embedding` holds the vectors of its words."""
        return self._inner.embeddings

    @property
    def width(self) -> int:
        """Numbers of a word's vector."""
        return int(self.layer.token_embedding.weight.shape[1])

    @property
    def _inner(self) -> Any:
        return getattr(self.network, "text_model", self.network)

    def encode(self, ids: Tensor, skip: int = 0) -> tuple[Tensor, Tensor]:
        """(vectors, pooled) of token ids, B x 77: B x 77 x C, and B x P, P = 0 without a pooled vector.

        skip: 0: the model's own layer; n: the n-th from the end, as the WebUI's "Clip skip" counts.
        """
        answer = self.network(input_ids=ids, output_hidden_states=self.penultimate or skip > 1)
        if self.penultimate:
            vectors = answer.hidden_states[-(skip or 2) if self.skips else -2]
        elif skip > 1:
            vectors = self._inner.final_layer_norm(answer.hidden_states[-skip])
        else:
            vectors = answer.last_hidden_state
        return vectors, answer.text_embeds if self.pooled else vectors.new_zeros((len(vectors), 0))


def check_skip(towers: tuple[Tower, ...], skip: int) -> None:
    """Raises `OptionError` for a CLIP skip that these text encoders do not have."""
    layers = [len(tower._inner.encoder.layers) for tower in towers if tower.skips]
    most = min(layers, default=0)
    if skip > most:
        words = f"0 to {most}" if most else "0: a text encoder of Stable Diffusion 2.x has one layer to read"
        raise OptionError("clip_skip", skip, words)
