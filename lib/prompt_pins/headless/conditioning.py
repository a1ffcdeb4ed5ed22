"""What guides each denoiser call: the encoded parts of the prompt and of the negative prompt."""

from __future__ import annotations

import dataclasses
import logging

from ..host import Recipe
from ..prompt.loras import LORA_NETS
from ..prompt.source import clean
from .condition import Condition
from .prompt_steps import expand, split_and
from .text import USUAL, Reading, TextEncoder

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part between ANDs.  Row k of `condition` holds up to and including call `ends[k]`."""

    weight: float
    ends: tuple[int, ...]
    condition: Condition

    def at(self, call: int) -> Condition:
        """The row of a call, counted from 0; the first stretch's where the schedule has run out."""
        return self.condition.row(next((k for k, end in enumerate(self.ends) if call <= end), 0))


@dataclasses.dataclass(frozen=True)
class Guidance:
    """positive: one part or more; negative: always one (the WebUI reads no AND there)."""

    positive: tuple[Part, ...]
    negative: Part

    @property
    def weights(self) -> tuple[float, ...]:
        """The AND weight of each positive part."""
        return tuple(part.weight for part in self.positive)

    def cond(self, call: int) -> Condition:
        """A row for each part; a shorter part is filled up with its last vector, as in the WebUI."""
        rows = [part.at(call) for part in self.positive]
        longest = max(row.tokens for row in rows)
        return Condition.joined([row.filled(longest) for row in rows])

    def uncond(self, call: int) -> Condition:
        """One row."""
        return self.negative.at(call)


class Reader:
    """Prompts to guidance.  Warns once of extra networks that are no LoRAs: this host does not load them."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._warned = False

    @property
    def encoder(self) -> TextEncoder:
        """What turns plain texts into vectors."""
        return self._encoder

    def guidance(self, recipe: Recipe, calls: int, reading: Reading = USUAL) -> Guidance:
        """`calls`: model calls that the schedules are spread over: the steps, or twice those of a second-order sampler.

        SDXL's empty negative prompt is all zeros, as in the WebUI and as the model was trained.
        Raises as `TextEncoder.encode`.
        """
        positive, negative = clean(recipe.prompt), clean(recipe.negative_prompt, negative=True)
        tags = [
            one.text for one in positive.inserts if one.kind == "net" and one.text[1:].split(":")[0] not in LORA_NETS
        ]
        if tags and not self._warned:
            self._warned = True
            log.warning(
                "the headless host loads no extra networks but LoRAs: %s is left out of the prompt", ", ".join(tags)
            )
        parts = tuple(self._part(text, weight, calls, reading) for text, weight in split_and(positive.text))
        without = self._part(negative.text, 1.0, calls, reading)
        if not negative.text and len(self._encoder.towers) > 1:
            without = dataclasses.replace(without, condition=without.condition.silent())
        return Guidance(parts, without)

    def _part(self, text: str, weight: float, calls: int, reading: Reading) -> Part:
        stretches = expand(text, calls)
        condition = self._encoder.encode(tuple(stretch.text for stretch in stretches), reading)
        return Part(weight, tuple(stretch.end for stretch in stretches), condition)
