"""Textual inversions: words whose vectors come from a file.  Imports torch and safetensors.

A file holds one tensor, vectors x width, or two for SDXL, one for each of its text encoders; its name without the
suffix is the word.  AUTOMATIC1111 and diffusers read the same layout.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import CheckpointError, StoreError, reason
from ..store.files import whole_file
from .towers import Tower

SUFFIX = ".safetensors"
TOWERS = ("clip_l", "clip_g")
"""Names of SDXL's two tensors, in the order of its text encoders."""
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Inversion:
    """A word and its vectors, k x width, in the place of as many tokens; k of each text encoder, in their order."""

    name: str
    vectors: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.vectors[0])

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a vector, of each text encoder's."""
        return tuple(part.shape[1] for part in self.vectors)

    def sha256(self) -> str:
        """Of its vectors, row by row, as 32-bit numbers."""
        digest = hashlib.sha256()
        for part in self.vectors:
            digest.update(part.float().contiguous().cpu().numpy().astype("<f4").tobytes())
        return digest.hexdigest()


def load_inversions(folder: Path, widths: tuple[int, ...] | None = None) -> tuple[Inversion, ...]:
    """Every textual inversion of a folder, in the order of their names.

    widths: of the model's vectors, for each text encoder; None: any.  Files that are none, or not for this model, are
    left out, and one warning names them.  Raises `CheckpointError` for a folder that cannot be read.
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
            found.append(_load(path, widths))
        except CheckpointError as error:
            left.append(f"{path.name} ({error})")
    if left:
        log.warning("embeddings: left out of %s: %s", folder, ", ".join(left))
    return tuple(found)


def _load(path: Path, widths: tuple[int, ...] | None) -> Inversion:
    if not os.path.isfile(path):  # opening a pipe would wait for its writer
        raise CheckpointError("is no file")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"is damaged or is no safetensors file: {error}") from None
    if len(tensors) != 1 and set(tensors) != set(TOWERS):
        raise CheckpointError(f"holds {len(tensors)} tensors; a textual inversion holds one, or {' and '.join(TOWERS)}")
    parts = [tensors[name].float() for name in (TOWERS if len(tensors) > 1 else tensors)]
    if any(part.ndim not in (1, 2) or not part.numel() or not bool(torch.isfinite(part).all()) for part in parts):
        raise CheckpointError("holds no rows of numbers")
    found = Inversion(path.name.removesuffix(SUFFIX), tuple(part.reshape(-1, part.shape[-1]) for part in parts))
    if len({len(part) for part in found.vectors}) > 1:
        raise CheckpointError("holds more vectors for one text encoder than for the other")
    if widths not in (None, found.widths):
        raise CheckpointError(f"has vectors of {_shown(found.widths)} numbers; this model's have {_shown(widths)}")
    return found


def _shown(widths: tuple[int, ...] | None) -> str:
    return " and ".join(map(str, widths or ()))


def save_inversion(path: Path, inversion: Inversion) -> None:
    """Write a file that this host, AUTOMATIC1111 and diffusers load, whole or not at all.  Raises `StoreError`."""
    names = (inversion.name,) if len(inversion.vectors) == 1 else TOWERS
    rows = {name: part.contiguous().cpu() for name, part in zip(names, inversion.vectors, strict=True)}
    with whole_file(path) as beside:
        try:
            save_file(rows, beside)
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


def extend(towers: Sequence[Tower], inversions: Sequence[Inversion]) -> int:
    """Give text encoders the vectors of inversions, behind those that they have.  Changes the networks.

    Returns the id of the first new vector; ids that were given before stay as they are.  Raises `CheckpointError` for
    vectors of another width.
    """
    widths = tuple(tower.width for tower in towers)
    for inversion in inversions:
        if inversion.widths != widths:
            found, wanted = _shown(inversion.widths), _shown(widths)
            raise CheckpointError(f"embeddings: {inversion.name} has vectors of {found} numbers; this model's {wanted}")
    first = int(towers[0].layer.token_embedding.weight.shape[0])
    for place, tower in enumerate(towers):
        if inversions:
            table = tower.layer.token_embedding.weight
            rows = torch.cat([table.data, *(inversion.vectors[place].to(table) for inversion in inversions)])
            tower.layer.token_embedding = nn.Embedding(len(rows), tower.width, _weight=rows, _freeze=True)
    return first
