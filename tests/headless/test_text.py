"""Tokens, chunks and emphasis against ids known of CLIP, a second tokenizer, and sums by hand."""

from __future__ import annotations

import gzip
import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_pins.headless.text import CHUNK, Chunker, TextEncoder, padded
from prompt_pins.headless.towers import Tower
from prompt_pins.headless.vocabulary import VOCABULARY, Vocabulary

from tests.headless.tiny import Tiny

START, END = 49406, 49407
A, CAT, PHOTO, OF, COMMA, RED = 320, 2368, 1125, 539, 267, 736


@pytest.fixture(scope="module")
def chunker(vocabulary: Vocabulary) -> Chunker:
    return Chunker(vocabulary)


@pytest.fixture(scope="module")
def ranks() -> dict[tuple[str, str], int]:
    lines = gzip.decompress(VOCABULARY.read_bytes()).decode().split("\n")[1:48895]
    return {(pair[0], pair[1]): rank for rank, pair in enumerate(line.split() for line in lines)}


def pieces(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte-pair encoding as Sennrich et al. 2016 describe it: merge the best-ranked pair until there is none."""
    parts = [*word[:-1], word[-1] + "</w>"]
    while len(parts) > 1:
        best = min(pairwise(parts), key=lambda pair: ranks.get(pair, 10**9))
        if best not in ranks:
            break
        merged: list[str] = []
        for part in parts:
            if merged and (merged[-1], part) == best and not merged[-1].endswith("</w>"):
                merged[-1] += part
            else:
                merged.append(part)
        parts = merged
    return parts


def test_ids_are_clips_own(vocabulary: Vocabulary) -> None:
    assert (vocabulary.start, vocabulary.end, vocabulary.comma) == (START, END, COMMA)
    assert vocabulary.tokens(["a photo of a cat", "", "A  CAT,"]) == [[A, PHOTO, OF, A, CAT], [], [A, CAT, COMMA]]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("it’s a “golden hour” photograph", [585, 568, 320, 257, 3878, 2232, 257, 8853]),
        ("red circle， white background", [736, 7117, 267, 1579, 5994]),
        (
            "杰作，（最高质量），长发",
            [
                *(27667, 108, 47466, 506, 11, 263, 19277, 222, 165, 104, 246, 164, 112, 101),
                *(38283, 493, 2361, 165, 243, 123, 34517, 495),
            ],
        ),
        ("Tom &amp; Jerry", [2435, 261, 9164]),
        ("ﬁne art", [3797, 794]),
        ("\ufeffred\x00 \ud800", [736, 39802]),
    ],
)
def test_text_is_cleaned_as_the_webuis_tokenizer_does(vocabulary: Vocabulary, text: str, ids: list[int]) -> None:
    assert vocabulary.tokens([text]) == [ids]


def piece_id(piece: str, ranks: dict[tuple[str, str], int]) -> int:
    """CLIP's ids: 256 bytes from "!" on, the same with "</w>", then the merges in their order."""
    letter = piece.removesuffix("</w>")
    if len(letter) == 1:
        return ord(letter) - ord("!") + (256 if piece != letter else 0)
    return 512 + min(rank for pair, rank in ranks.items() if "".join(pair) == piece)


@settings(max_examples=40)
@given(word=st.from_regex(r"[a-z]{1,12}", fullmatch=True))
def test_words_split_as_byte_pair_encoding_says(
    vocabulary: Vocabulary, ranks: dict[tuple[str, str], int], word: str
) -> None:
    assert vocabulary.tokens([word]) == [[piece_id(piece, ranks) for piece in pieces(word, ranks)]]


def test_weights_belong_to_their_words_tokens(chunker: Chunker) -> None:
    (chunk,) = chunker.chunks("a (red:1.3) [photo] of a cat")
    assert chunk.tokens[:8] == (START, A, RED, PHOTO, OF, A, CAT, END)
    assert chunk.weights[:8] == pytest.approx((1, 1, 1.3, 1 / 1.1, 1, 1, 1, 1))
    assert set(chunk.tokens[8:]) == {END} and set(chunk.weights[8:]) == {1.0}
    assert len(chunk.tokens) == len(chunk.weights) == 77


def test_seventy_five_tokens_fill_a_chunk(chunker: Chunker) -> None:
    assert len(chunker.chunks("cat " * CHUNK)) == 1
    first, second = chunker.chunks("cat " * (CHUNK + 1))
    assert first.tokens == (START, *[CAT] * CHUNK, END)
    assert second.tokens == (START, CAT, *[END] * 75)


def test_words_behind_a_near_comma_move_to_the_next_chunk(chunker: Chunker) -> None:
    first, second = chunker.chunks("cat " * 60 + "cat, " + "(red:1.5) " * 15)
    assert first.tokens == (START, *[CAT] * 61, COMMA, *[END] * 14)
    assert second.tokens[:17] == (START, *[RED] * 15, END) and second.weights[1:17] == (*[1.5] * 15, 1.0)
    far, _ = chunker.chunks("cat " * 50 + "cat, " + "red " * 25)
    assert far.tokens[-3:] == (RED, RED, END)
    _, full, rest = chunker.chunks("cat " * 60 + "cat, " + "red " * 15 + "cat " * 61)
    assert full.tokens == (START, *[RED] * 15, *[CAT] * 60, END) and rest.tokens[:3] == (START, CAT, END)


def test_a_full_width_comma_is_a_comma(chunker: Chunker) -> None:
    assert chunker.chunks("cat " * 60 + "cat， " + "(red:1.5) " * 15) == chunker.chunks(
        "cat " * 60 + "cat, " + "(red:1.5) " * 15
    )


def test_break_starts_a_chunk(chunker: Chunker) -> None:
    first, second = chunker.chunks("a cat BREAK red")
    assert first.tokens[:4] == (START, A, CAT, END) and second.tokens[:3] == (START, RED, END)
    assert len(chunker.chunks("")) == 1 and chunker.chunks("")[0] == chunker.empty()


def test_sd2_pads_with_zeros_behind_the_end(vocabulary: Vocabulary) -> None:
    (chunk,) = Chunker(vocabulary).chunks("a cat")
    assert padded(chunk.tokens, END, 0) == (START, A, CAT, END, *[0] * 73)
    assert padded(chunk.tokens, END, END) == chunk.tokens


@pytest.fixture
def encoder(tiny: Tiny, vocabulary: Vocabulary) -> TextEncoder:
    return TextEncoder((Tower(tiny.texts[0]),), vocabulary)


def plain(tiny: Tiny, *ids: int) -> torch.Tensor:
    with torch.no_grad():
        rows = torch.tensor([[START, *ids, *[END] * (76 - len(ids))]])
        return tiny.texts[0](input_ids=rows).last_hidden_state


@torch.no_grad()
def test_emphasis_scales_vectors_and_keeps_their_mean(tiny: Tiny, encoder: TextEncoder) -> None:
    vectors = plain(tiny, A, RED, CAT)
    assert torch.equal(encoder.encode(("a red cat",)).vectors, vectors)
    found = encoder.encode(("a (red:1.5) cat",)).vectors
    scaled = vectors.clone()
    scaled[:, 2] *= 1.5
    assert torch.allclose(found, scaled * vectors.mean() / scaled.mean(), atol=1e-6)
    assert found.mean().item() == pytest.approx(vectors.mean().item(), rel=1e-5)


@torch.no_grad()
def test_a_schedules_texts_share_one_mean_and_one_length(tiny: Tiny, encoder: TextEncoder) -> None:
    long = "a cat BREAK (red:2)"
    found = encoder.encode(("cat", long, "cat")).vectors
    assert found.shape == (3, 154, 32) and torch.equal(found[0], found[2])
    second = torch.cat([plain(tiny), plain(tiny, RED), plain(tiny)])
    scaled = second.clone()
    scaled[1, 1] *= 2
    assert torch.allclose(found[:, 77:], scaled * second.mean() / scaled.mean(), atol=1e-6)
    assert torch.allclose(found[1, :77], plain(tiny, A, CAT)[0], atol=1e-6)


@torch.no_grad()
def test_encodings_are_kept(encoder: TextEncoder) -> None:
    assert encoder.encode(("a cat",)) is encoder.encode(("a cat",))
    first = encoder.encode(("a cat",))
    for number in range(300):
        encoder.encode((f"{number}",))
    again = encoder.encode(("a cat",))
    assert again is not first and torch.equal(again.vectors, first.vectors)


def test_vocabulary_file_is_openais() -> None:
    head = gzip.decompress(VOCABULARY.read_bytes())[:60].decode()
    assert re.match(r'"?bpe_simple_vocab_16e6\.txt#version: 0\.2\ni n\nt h\na n\n', head)
