"""What guides each denoiser call: the encoded parts of the prompt and of the negative prompt."""

from __future__ import annotations

import dataclasses
import logging

import torch
from torch import Tensor

from ..host import Recipe
from ..prompt.source import clean
from .prompt_steps import expand, split_and
from .text import TextEncoder

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part between ANDs.  `vectors[k]` (tokens x C) holds up to and including call `ends[k]`."""

    weight: float
    ends: tuple[int, ...]
    vectors: Tensor

    def at(self, call: int) -> Tensor:
        """The vectors of a call, counted from 0; the first stretch's where the schedule has run out."""
        return self.vectors[next((k for k, end in enumerate(self.ends) if call <= end), 0)]


@dataclasses.dataclass(frozen=True)
class Guidance:
    """positive: one part or more; negative: always one (the WebUI reads no AND there)."""

    positive: tuple[Part, ...]
    negative: Part

    @property
    def weights(self) -> tuple[float, ...]:
        """The AND weight of each positive part."""
        return tuple(part.weight for part in self.positive)

    def cond(self, call: int) -> Tensor:
        """parts x tokens x C; a shorter part is filled up with its last vector, as in the WebUI."""
        vectors = [part.at(call) for part in self.positive]
        longest = max(len(part) for part in vectors)
        return torch.stack([torch.cat([part, part[-1:].expand(longest - len(part), -1)]) for part in vectors])

    def uncond(self, call: int) -> Tensor:
        """1 x tokens x C."""
        return self.negative.at(call)[None]


class Reader:
    """Prompts to guidance.  Warns once of extra networks, which this host does not load."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._warned = False

    @property
    def encoder(self) -> TextEncoder:
        """What turns plain texts into vectors."""
        return self._encoder

    def guidance(self, recipe: Recipe, calls: int) -> Guidance:
        """`calls`: model calls that the schedules are spread over: the steps, or twice those of a second-order sampler.

        Raises `PromptError` for emphasis that cannot be read.
        """
        positive, negative = clean(recipe.prompt), clean(recipe.negative_prompt, negative=True)
        tags = [insert.text for insert in positive.inserts if insert.kind == "net"]
        if tags and not self._warned:
            self._warned = True
            log.warning("the headless host loads no extra networks: %s is left out of the prompt", ", ".join(tags))
        parts = tuple(self._part(text, weight, calls) for text, weight in split_and(positive.text))
        return Guidance(parts, self._part(negative.text, 1.0, calls))

    def _part(self, text: str, weight: float, calls: int) -> Part:
        stretches = expand(text, calls)
        vectors = self._encoder.encode(tuple(stretch.text for stretch in stretches))
        return Part(weight, tuple(stretch.end for stretch in stretches), vectors)
