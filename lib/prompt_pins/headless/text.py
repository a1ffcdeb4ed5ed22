"""Texts to the vectors that the UNet attends to: chunks of 75 tokens, emphasis, CLIP."""

from __future__ import annotations

import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import RenderOptions
from .condition import Condition
from .inversion import Words
from .prompt_steps import segments
from .towers import Tower, check_skip
from .vocabulary import Vocabulary

CHUNK = 75
BACKTRACK = 20
CACHED = 256
STEEP = 2.0
"""Emphasis that makes all of a text's vectors so many times longer or shorter is worth a warning."""
log = logging.getLogger(__name__)


class Chunk(NamedTuple):
    """77 token ids, start and end included, and the weight of each."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


class Chunker:
    """Cuts a plain text into chunks as the WebUI does.

    A chunk takes 75 tokens; BREAK ends it early.  Where it is full, the tokens since its last comma move to the
    next chunk if they are at most 20 (the WebUI's default).  Unused places hold end tokens of weight 1.
    A textual inversion is never cut: it moves to the next chunk as a whole.
    """

    def __init__(self, vocabulary: Vocabulary, words: Words | None = None) -> None:
        self._vocabulary = vocabulary
        self._words = words or Words((), (), 0)

    def chunks(self, text: str) -> tuple[Chunk, ...]:
        """At least one chunk.  Raises `PromptError` for emphasis that cannot be read."""
        parsed = segments(text)
        tokenized = self._vocabulary.tokens([segment.text for segment in parsed])
        done: list[Chunk] = []
        tokens: list[tuple[int, float]] = []
        comma = -1
        for ids, segment in zip(tokenized, parsed, strict=True):
            if segment.weight is None:
                done.append(self._chunk(tokens))
                tokens, comma = [], -1
                continue
            for piece in self._words.replace(ids):
                if piece == (self._vocabulary.comma,):
                    comma = len(tokens)
                elif len(tokens) == CHUNK and comma != -1 and len(tokens) - comma <= BACKTRACK:
                    done.append(self._chunk(tokens[: comma + 1]))
                    tokens, comma = tokens[comma + 1 :], -1
                if len(tokens) + len(piece) > CHUNK:
                    done.append(self._chunk(tokens))
                    tokens, comma = [], -1
                tokens += [(token, segment.weight) for token in piece[:CHUNK]]
        if tokens or not done:
            done.append(self._chunk(tokens))
        return tuple(done)

    def empty(self) -> Chunk:
        """The chunk of an empty text."""
        return self._chunk([])

    def _chunk(self, tokens: Sequence[tuple[int, float]]) -> Chunk:
        start, end = self._vocabulary.start, self._vocabulary.end
        room = CHUNK - len(tokens)
        ids = (start, *(token for token, _ in tokens), *[end] * (room + 1))
        return Chunk(ids, (1.0, *(weight for _, weight in tokens), *[1.0] * (room + 1)))


def padded(tokens: tuple[int, ...], end: int, pad: int) -> tuple[int, ...]:
    """A chunk's tokens with `pad` behind the first end token, as a text encoder that has one for it takes them."""
    behind = tokens.index(end) + 1
    return (*tokens[:behind], *[pad] * (len(tokens) - behind))


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a job's prompts are read.

    emphasis: "original" or "no-norm".  clip_skip: 0: the layer that the model was made for.
    sizes: what SDXL is told of the picture: height, width, top and left of its crop, height, width.
    loras: what is in the text encoders' weights besides their own.
    """

    emphasis: str = "original"
    clip_skip: int = 0
    sizes: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    loras: tuple[Hashable, ...] = ()

    @classmethod
    def of(cls, job: RenderOptions, width: int, height: int, loras: tuple[Hashable, ...] = ()) -> Reading:
        """As a job says, for pictures of this size."""
        sizes = (height, width, job.crop_top, job.crop_left, height, width)
        return cls(job.emphasis, job.clip_skip, sizes, loras)


USUAL = Reading()


class TextEncoder:
    """Plain texts to what the UNet is told of them, with emphasis.  Encodings of the last texts are kept."""

    def __init__(self, towers: tuple[Tower, ...], vocabulary: Vocabulary, words: Words | None = None) -> None:
        self.towers = towers
        self.chunker = Chunker(vocabulary, words)
        self._end = vocabulary.end
        self._device = next(towers[0].network.parameters()).device
        self._kept: OrderedDict[Hashable, Condition] = OrderedDict()
        self._warned = False

    def encode(self, texts: tuple[str, ...], reading: Reading = USUAL) -> Condition:
        """The texts of one part's stretches: len(texts) rows of 77 n vectors, n the chunks of the longest text.

        Chunk by chunk over all the texts, each vector is multiplied by its token's weight and, unless emphasis is
        "no-norm", the whole is scaled so that its mean stays what it was; each text encoder for itself.  A shorter
        text is filled up with empty chunks.  SDXL's pooled vector is the first chunk's and feels no weights; behind it
        are the sizes.

        Raises `PromptError` for emphasis that cannot be read and `OptionError` for a CLIP skip that is too deep.
        """
        key = (texts, reading.emphasis, reading.clip_skip, reading.loras)
        if key not in self._kept:
            check_skip(self.towers, reading.clip_skip)
            self._kept[key] = self._encoded(texts, reading)
            if len(self._kept) > CACHED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key].told(reading.sizes)

    def _encoded(self, texts: tuple[str, ...], reading: Reading) -> Condition:
        rows = {text: self.chunker.chunks(text) for text in dict.fromkeys(texts)}
        longest = max(map(len, rows.values()))
        empty = self.chunker.empty()
        columns = [[rows[text][i] if i < len(rows[text]) else empty for text in texts] for i in range(longest)]
        vectors, pooled = [], []
        for tower in self.towers:
            both = [self._emphasised(tower, column, reading) for column in columns]
            vectors.append(torch.cat([part for part, _ in both], dim=1))
            pooled.append(both[0][1])
        return Condition(torch.cat(vectors, dim=2), torch.cat(pooled, dim=1))

    def _emphasised(self, tower: Tower, chunks: Sequence[Chunk], reading: Reading) -> tuple[Tensor, Tensor]:
        distinct = {chunk.tokens: index for index, chunk in enumerate({c.tokens: c for c in chunks}.values())}
        rows = [padded(tokens, self._end, tower.pad) for tokens in distinct]
        vectors, pooled = tower.encode(torch.tensor(rows, device=self._device), reading.clip_skip)
        places = [distinct[chunk.tokens] for chunk in chunks]
        vectors, pooled = vectors[places], pooled[places]
        weights = torch.tensor([chunk.weights for chunk in chunks], device=self._device)
        if bool((weights == 1).all()):
            return vectors, pooled
        weighted = vectors * weights[..., None].to(vectors)
        if reading.emphasis == "no-norm":
            return weighted, pooled
        factor = vectors.mean() / weighted.mean()
        self._watch(float(factor))
        return weighted * factor, pooled

    def _watch(self, factor: float) -> None:
        """The mean of a text encoder's vectors may be nearly zero, SDXL's are not normalised: say so once."""
        if not self._warned and not 1 / STEEP < factor < STEEP:
            self._warned = True
            log.warning(
                "emphasis: to keep the mean of a text's vectors, which is nearly 0, the emphasis %r multiplies all of "
                "them by %.3g; the emphasis 'no-norm' does not",
                "original",
                factor,
            )
