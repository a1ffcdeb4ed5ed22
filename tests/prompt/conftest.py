from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import pytest

from tests.prompt.prompt_oracle import Tokenize

VOCABULARY = Path(__file__).parents[2] / "lib/prompt_pins/headless/embedded/bpe_simple_vocab_16e6.txt.gz"


def _characters() -> list[str]:
    """The 256 characters that stand for bytes in CLIP's vocabulary, in its order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


@pytest.fixture(scope="session")
def tokenize() -> Tokenize:
    """The real CLIP tokenizer, without the marks of start and end, on text that ftfy has cleaned, as in the host.

    The environment with the WebUI's versions has no transformers; there only what needs no tokens is run.
    """
    fix_text = pytest.importorskip("ftfy").fix_text
    tokenizer_class = pytest.importorskip("transformers").CLIPTokenizer
    lines = gzip.decompress(VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    characters = _characters()
    pieces = characters + [char + "</w>" for char in characters] + ["".join(merge) for merge in merges]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = tokenizer_class(vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges)

    @lru_cache(maxsize=100_000)
    def ids(text: str) -> list[int]:
        return list(tokenizer(fix_text(text), add_special_tokens=False)["input_ids"])

    return ids
