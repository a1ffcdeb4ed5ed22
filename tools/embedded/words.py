"""CLIP's own byte-pair tokenizer from the vocabulary file, and captions as rows of 77 ids and weights."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from transformers import CLIPTokenizer

from embedded.captions import Words
from embedded.networks import END_TOKEN, START_TOKEN, TOKENS

VOCABULARY = (
    Path(__file__).parents[2] / "lib" / "prompt_pins" / "headless" / "embedded" / "bpe_simple_vocab_16e6.txt.gz"
)
MERGES = 49152 - 256 - 2


def byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the order of CLIP's first 256 ids."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in set(printable)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(hidden))]


def read_vocabulary(path: Path = VOCABULARY) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's vocabulary (49408 symbols to ids) and merges from OpenAI's `bpe_simple_vocab_16e6.txt.gz`."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
    merges = [tuple(line.split()) for line in lines]
    symbols = byte_symbols()
    symbols = [*symbols, *(s + "</w>" for s in symbols), *("".join(m) for m in merges)]
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    return {symbol: i for i, symbol in enumerate(symbols)}, merges


def make_tokenizer(path: Path = VOCABULARY) -> CLIPTokenizer:
    """The tokenizer of CLIP ViT-L/14, built without any network."""
    vocabulary, merges = read_vocabulary(path)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)


class WordBook:
    """Words to token ids, each word looked up once."""

    def __init__(self, path: Path = VOCABULARY) -> None:
        self._tokenizer = make_tokenizer(path)
        self._ids: dict[str, tuple[int, ...]] = {}

    def ids(self, word: str) -> tuple[int, ...]:
        if word not in self._ids:
            self._ids[word] = tuple(self._tokenizer(word, add_special_tokens=False)["input_ids"])
        return self._ids[word]

    def unknown(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Whole words of plain letters in CLIP's vocabulary that are not among `known`."""
        taken = {*known, *(k + "s" for k in known)}
        words = (s.removesuffix("</w>") for s in self._tokenizer.get_vocab() if s.endswith("</w>"))
        return tuple(sorted(w for w in words if w.isascii() and w.isalpha() and len(w) > 2 and w not in taken))

    def rows(self, captions: list[Words]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids (int64, B x 77, padded with the end token) and weights (float32, B x 77)."""
        ids = np.full((len(captions), TOKENS), END_TOKEN, dtype=np.int64)
        weights = np.ones((len(captions), TOKENS), dtype=np.float32)
        ids[:, 0] = START_TOKEN
        for row, words in enumerate(captions):
            tokens = [(i, w.weight) for w in words for i in self.ids(w.text)][: TOKENS - 2]
            for column, (token, weight) in enumerate(tokens, start=1):
                ids[row, column], weights[row, column] = token, weight
        return ids, weights
