"""The checkpoints of a merge, opened and compared, and the merge of one of their weights.  Imports torch, safetensors.

Weighted sum of A and B: A (1 - w) + B w.  Add difference with C: A + (B - C) w.  Both in float32, rounded once.
What is merged is what AUTOMATIC1111's checkpoint merger merges: every floating-point weight of A whose name holds
"model" and that B has, too; the others stay as A has them.  A weight that C lacks stays, too.

Files are mapped into memory, not read: a weight takes room while it is used.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, reason
from .blocks import block_names, block_of

SUFFIX = ".safetensors"
PRECISIONS = {"fp16": torch.float16, "fp32": torch.float32}
FIELDS = ("checkpoint", "merge_with", "merge_minus")


def merged(a: Tensor, b: Tensor, c: Tensor | None, weight: float, dtype: torch.dtype) -> Tensor:
    """One weight of the merge, of any shape; in float32, rounded to `dtype`."""
    a, b = a.float(), b.float()
    if c is None:
        return ((1 - weight) * a + weight * b).to(dtype)
    return (a + weight * (b - c.float())).to(dtype)


class Sources:
    """A, B and, for add difference, C: single files of one layout.

    names: the blocks, BASE first.  keys: of A, in the file's order.  Raises `CheckpointError`, which names the field.
    """

    def __init__(self, a: Path, b: Path, c: Path | None = None) -> None:
        self.paths = (a, b) if c is None else (a, b, c)
        self._files = [opened(field, path) for field, path in zip(FIELDS, self.paths)]
        self._keys = [set(file.keys()) for file in self._files]
        self.keys: list[str] = list(self._files[0].keys())
        self.names = block_names(self.keys)
        self.merges = {key: block_of(key, self.names) for key in self.keys if self._merges(key)}
        self._check()

    def tensor(self, key: str, place: int = 0) -> Tensor:
        """A weight of A (0), B (1) or C (2) as its file has it.

        What B lacks is as in A, and what C lacks as in B: so it stays as it is.
        """
        while key not in self._keys[place] or (place == 2 and key not in self._keys[1]):
            place -= 1
        tensor: Tensor = self._files[place].get_tensor(key)
        return tensor

    def merge(self, key: str, weight: float, dtype: torch.dtype) -> Tensor:
        """A weight of the merge, for a key of `merges`."""
        a, b, *rest = (self.tensor(key, place) for place in range(len(self.paths)))
        return merged(a, b, rest[0] if rest else None, weight, dtype)

    def weights(self, place: int) -> dict[str, Tensor]:
        """A whole checkpoint under the keys of A, of which only what `merges` names is another one's."""
        return {key: self.tensor(key, place if key in self.merges else 0) for key in self.keys}

    def stored(self, key: str) -> tuple[str, list[int]]:
        """(type of its numbers as safetensors names it, shape) of a weight of A."""
        part = self._files[0].get_slice(key)
        return part.get_dtype(), part.get_shape()

    def metadata(self, place: int) -> Mapping[str, str]:
        """What a file says of itself."""
        return self._files[place].metadata() or {}

    @functools.cached_property
    def hashes(self) -> tuple[str, ...]:
        """The SHA-256 of each file."""
        return tuple(sha256(path) for path in self.paths)

    def gram(self) -> NDArray[np.float64]:
        """Inner products of the differences B - A and C - A in each block: (blocks, 2, 2), or (blocks, 1, 1) without C.

        Raises `CheckpointError` for a weight that is no number.
        """
        found = {name: np.zeros((len(self.paths) - 1,) * 2) for name in self.names}
        for key, block in self.merges.items():
            a, *others = (self.tensor(key, place).float().flatten() for place in range(len(self.paths)))
            for field, path, tensor in zip(FIELDS, self.paths, (a, *others)):
                if not bool(torch.isfinite(tensor).all()):
                    raise CheckpointError(f"{field}: {path} holds no numbers (NaN or infinite) in {key[:120]}")
            rows = torch.stack([other - a for other in others]).double()
            found[block] += (rows @ rows.T).numpy()
        return np.stack([found[name] for name in self.names])

    def _merges(self, key: str) -> bool:
        if "model" not in key or key not in self._keys[1]:
            return False
        kinds = [file.get_slice(key).get_dtype() for file, keys in zip(self._files, self._keys) if key in keys]
        return all(kind.startswith(("F", "BF")) for kind in kinds)

    def _check(self) -> None:
        a, *others = self.paths
        for place, (field, path) in enumerate(zip(FIELDS[1:], others), 1):
            if not any(key.startswith("model.diffusion_model.") for key in self._keys[place] & self._keys[0]):
                raise CheckpointError(f"{field}: {path} is of another layout than {a}: it has none of its weights")
            for key in self.merges:
                if key in self._keys[place]:
                    mine, other = (self._files[at].get_slice(key).get_shape() for at in (0, place))
                    if mine != other:
                        raise CheckpointError(
                            f"{field}: {path} is of another layout than {a}: its {key[:120]} is {_shown(other)}, not "
                            f"{_shown(mine)}"
                        )


def check_unlike(paths: tuple[Path, ...], hashes: tuple[str, ...]) -> None:
    """Raises `CheckpointError` where a merge could change nothing: B is A, or C is B."""
    other = 0 if len(hashes) == 2 else 2
    if hashes[1] == hashes[other]:
        raise CheckpointError(
            f"{FIELDS[max(1, other)]}: {paths[max(1, other)]} holds the same as {paths[min(1, other)]}, so no weight "
            "would change anything"
        )


def sha256(path: Path) -> str:
    """Of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(1 << 20):
        yield block


def opened(field: str, path: Path) -> Any:
    """A file's weights, mapped into memory.  Raises `CheckpointError`.  field: for messages."""
    if not path.is_file() or path.suffix.lower() != SUFFIX:
        missing = "" if path.exists() else " (it does not exist)"
        raise CheckpointError(f"{field}: {path} is not a single .safetensors file, which a merge needs{missing}")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{field}: {path} is damaged or is no safetensors file ({reason(error)})") from None


def _shown(shape: list[int]) -> str:
    return " x ".join(map(str, shape))
