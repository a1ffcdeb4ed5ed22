"""Texts to the vectors that the UNet attends to: chunks of 75 tokens, emphasis, CLIP."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .inversion import Words
from .prompt_steps import segments
from .vocabulary import Vocabulary

CHUNK = 75
BACKTRACK = 20
CACHED = 256


class Chunk(NamedTuple):
    """77 token ids, start and end included, and the weight of each."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


class Chunker:
    """Cuts a plain text into chunks as the WebUI does.

    A chunk takes 75 tokens; BREAK ends it early.  Where it is full, the tokens since its last comma move to the
    next chunk if they are at most 20 (the WebUI's default).  Unused places hold end tokens of weight 1.
    A textual inversion is never cut: it moves to the next chunk as a whole.

    pad: the token that fills a chunk behind its first end token (the end token itself for SD 1.x, 0 for 2.x).
    """

    def __init__(self, vocabulary: Vocabulary, pad: int, words: Words | None = None) -> None:
        self._vocabulary, self._pad = vocabulary, pad
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
        ids = [start, *(token for token, _ in tokens), *[end] * (room + 1)]
        if self._pad != end:
            behind = ids.index(end) + 1
            ids[behind:] = [self._pad] * (len(ids) - behind)
        return Chunk(tuple(ids), (1.0, *(weight for _, weight in tokens), *[1.0] * (room + 1)))


class TextEncoder:
    """Plain texts to CLIP vectors with emphasis.  Encodings of the last texts are kept."""

    def __init__(self, network: nn.Module, vocabulary: Vocabulary, pad: int, words: Words | None = None) -> None:
        self._network = network
        self._chunker = Chunker(vocabulary, pad, words)
        self._device = next(network.parameters()).device
        self._kept: OrderedDict[tuple[str, ...], Tensor] = OrderedDict()

    @property
    def chunker(self) -> Chunker:
        """What cuts texts into chunks."""
        return self._chunker

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        """The texts of one part's stretches: len(texts) x 77 n x C, n the chunks of the longest text.

        Chunk by chunk over all the texts, each vector is multiplied by its token's weight and the whole is
        scaled so that its mean stays what it was (the WebUI's emphasis "Original").  A shorter text is filled up
        with empty chunks.

        Raises `PromptError` for emphasis that cannot be read.
        """
        if texts in self._kept:
            self._kept.move_to_end(texts)
            return self._kept[texts]
        rows = {text: self._chunker.chunks(text) for text in dict.fromkeys(texts)}
        longest = max(map(len, rows.values()))
        empty = self._chunker.empty()
        columns = [[rows[text][i] if i < len(rows[text]) else empty for text in texts] for i in range(longest)]
        encoded = torch.cat([self._emphasised(column) for column in columns], dim=1)
        self._kept[texts] = encoded
        if len(self._kept) > CACHED:
            self._kept.popitem(last=False)
        return encoded

    def _emphasised(self, chunks: Sequence[Chunk]) -> Tensor:
        distinct = {chunk.tokens: index for index, chunk in enumerate({c.tokens: c for c in chunks}.values())}
        ids = torch.tensor(list(distinct), device=self._device)
        vectors: Tensor = self._network(input_ids=ids).last_hidden_state
        vectors = vectors[[distinct[chunk.tokens] for chunk in chunks]]
        weights = torch.tensor([chunk.weights for chunk in chunks], device=self._device)
        if bool((weights == 1).all()):
            return vectors
        weighted = vectors * weights[..., None].to(vectors)
        return weighted * (vectors.mean() / weighted.mean())
