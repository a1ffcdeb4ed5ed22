"""Textual inversions: words whose vectors come from a file.  Imports torch and safetensors.

A file holds one tensor, vectors x width; its name without the suffix is the word.  AUTOMATIC1111 and diffusers read
the same layout.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import CheckpointError, StoreError, reason
from ..store.files import whole_file

SUFFIX = ".safetensors"
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Inversion:
    """A word and its vectors, k x width, in the place of as many tokens."""

    name: str
    vectors: Tensor

    def sha256(self) -> str:
        """Of its vectors, row by row, as 32-bit numbers."""
        return hashlib.sha256(self.vectors.float().contiguous().cpu().numpy().astype("<f4").tobytes()).hexdigest()


def load_inversions(folder: Path, width: int | None = None) -> tuple[Inversion, ...]:
    """Every textual inversion of a folder, in the order of their names.

    width: of the model's vectors; None: any.  Files that are none, or not for this model, are left out, and one
    warning names them.  Raises `CheckpointError` for a folder that cannot be read.
    """
    try:
        paths = sorted(folder / name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except NotADirectoryError:
        raise CheckpointError(f"embeddings: {folder} is not a folder") from None
    except FileNotFoundError:
        raise CheckpointError(f"embeddings: {folder} is not a folder (it does not exist)") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"embeddings: {folder} cannot be read ({reason(error)})") from None
    found, left = [], []
    for path in paths:
        try:
            found.append(_load(path, width))
        except CheckpointError as error:
            left.append(f"{path.name} ({error})")
    if left:
        log.warning("embeddings: left out of %s: %s", folder, ", ".join(left))
    return tuple(found)


def _load(path: Path, width: int | None) -> Inversion:
    if not os.path.isfile(path):  # opening a pipe would wait for its writer
        raise CheckpointError("is no file")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"is damaged or is no safetensors file: {error}") from None
    if len(tensors) != 1:
        raise CheckpointError(f"holds {len(tensors)} tensors; a textual inversion holds one")
    vectors = next(iter(tensors.values())).float()
    if vectors.ndim not in (1, 2) or not vectors.numel() or not bool(torch.isfinite(vectors).all()):
        raise CheckpointError("holds no rows of numbers")
    vectors = vectors.reshape(-1, vectors.shape[-1])
    if width not in (None, vectors.shape[1]):
        raise CheckpointError(f"has vectors of {vectors.shape[1]} numbers; this model's have {width}")
    return Inversion(path.name.removesuffix(SUFFIX), vectors)


def save_inversion(path: Path, inversion: Inversion) -> None:
    """Write a file that this host, AUTOMATIC1111 and diffusers load, whole or not at all.  Raises `StoreError`."""
    with whole_file(path) as beside:
        try:
            save_file({inversion.name: inversion.vectors.contiguous().cpu()}, beside)
        except (SafetensorError, OSError) as error:
            raise StoreError(f"{path}: cannot be written ({error})") from error


class Words:
    """Names in a row of token ids become ids behind the vocabulary's own.

    first: the id of the first vector of the first inversion; names: the token ids of every inversion's name.
    """

    def __init__(self, names: Sequence[Sequence[int]], counts: Sequence[int], first: int) -> None:
        starts = [first + sum(counts[:index]) for index in range(len(counts))]
        rows = [(tuple(name), tuple(range(s, s + n))) for name, s, n in zip(names, starts, counts) if name]
        self._rows = sorted(rows, key=lambda row: -len(row[0]))

    def replace(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        """The tokens as pieces that must stay together: single tokens, and the vectors of a name (longest first)."""
        pieces: list[tuple[int, ...]] = []
        place = 0
        while place < len(tokens):
            for name, ids in self._rows:
                if tuple(tokens[place : place + len(name)]) == name:
                    pieces.append(ids)
                    place += len(name)
                    break
            else:
                pieces.append((tokens[place],))
                place += 1
        return pieces


def word_layer(text_encoder: Any) -> Any:
    """The part of a CLIP text encoder whose `token_embedding` holds the vectors of its words."""
    return getattr(text_encoder, "text_model", text_encoder).embeddings


def extend(text_encoder: Any, inversions: Sequence[Inversion]) -> int:
    """Give a CLIP text encoder the vectors of inversions, behind those that it has.  Changes the encoder.

    Returns the id of the first new vector; ids that were given before stay as they are.  Raises `CheckpointError` for
    vectors of another width.
    """
    layer = word_layer(text_encoder)
    table = layer.token_embedding
    first, width = table.weight.shape
    if not inversions:
        return int(first)
    for inversion in inversions:
        if inversion.vectors.shape[1] != width:
            found = inversion.vectors.shape[1]
            raise CheckpointError(f"embeddings: {inversion.name} has vectors of {found} numbers; this model's {width}")
    rows = torch.cat([table.weight.data, *(inversion.vectors.to(table.weight) for inversion in inversions)])
    layer.token_embedding = nn.Embedding(len(rows), width, _weight=rows, _freeze=True)
    return int(first)
