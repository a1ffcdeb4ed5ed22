"""CLIP's byte-pair tokenizer, built from the vocabulary file that is shipped with the embedded model.

All Stable Diffusion 1.x and 2.x models share this one vocabulary; they differ in the token that pads a chunk.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import ftfy
from transformers import CLIPTokenizer

VOCABULARY = Path(__file__).parent / "embedded" / "bpe_simple_vocab_16e6.txt.gz"
MERGES = 49152 - 256 - 2
START, END = "<|startoftext|>", "<|endoftext|>"
SIZE = 49408


def byte_symbols() -> tuple[str, ...]:
    """The printable characters that stand for the 256 bytes, in the order of CLIP's first 256 token ids."""
    printable = (*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100))
    return (*map(chr, printable), *(chr(256 + i) for i in range(256 - len(printable))))


def clean(text: str) -> str:
    """A text as CLIP's own tokenizer, and so the WebUI's, reads it: mended by ftfy, single blanks, lower case.

    Full-width forms, curly quotes, ligatures and character references become plain; the tokenizer of transformers 5
    leaves them as they are.
    """
    return " ".join(ftfy.fix_text(text).split()).lower()


class Vocabulary:
    """Texts to CLIP token ids.

    start, end, comma: the ids of the start and end tokens and of a comma that ends a word.
    """

    def __init__(self, path: Path = VOCABULARY) -> None:
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
        merges = [tuple(line.split()) for line in lines]
        symbols = byte_symbols()
        words = (*symbols, *(f"{symbol}</w>" for symbol in symbols), *map("".join, merges), START, END)
        ids = {word: index for index, word in enumerate(words)}
        self._tokenizer = CLIPTokenizer(vocab=ids, merges=merges, model_max_length=10**9)
        self.start, self.end, self.comma = ids[START], ids[END], ids[",</w>"]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, without start and end tokens and however long."""
        if not texts:
            return []
        found: list[list[int]] = self._tokenizer(list(map(clean, texts)), add_special_tokens=False)["input_ids"]
        return found
