"""What the UNet is told besides the image and the noise level."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from .shapes import SIZES


@dataclasses.dataclass(frozen=True)
class Condition:
    """Rows of it, one for each image.

    vectors: B x tokens x C, of the text.  extra: B x E, float32: SDXL's pooled vector and, behind it, six sizes; E = 0
    for other models.
    """

    vectors: Tensor
    extra: Tensor

    @classmethod
    def plain(cls, vectors: Tensor) -> Condition:
        """Of a model that is told nothing but the text."""
        return cls(vectors, vectors.new_zeros((len(vectors), 0)))

    @classmethod
    def joined(cls, parts: Sequence[Condition]) -> Condition:
        """The rows of all of them, which must be as long as one another."""
        return cls(torch.cat([part.vectors for part in parts]), torch.cat([part.extra for part in parts]))

    def told(self, sizes: tuple[int, ...]) -> Condition:
        """With the sizes behind the pooled vector, if there is one."""
        if not self.extra.shape[1]:
            return self
        row = torch.tensor(sizes, dtype=torch.float32, device=self.extra.device)
        extra = torch.cat([self.extra.float(), row.expand(len(self), -1)], dim=1)
        return Condition(self.vectors, extra)

    def silent(self) -> Condition:
        """All zeros but the sizes: what SDXL is told where nothing is said."""
        extra = self.extra.clone()
        extra[:, :-SIZES] = 0.0
        return Condition(torch.zeros_like(self.vectors), extra)

    def row(self, index: int) -> Condition:
        """One row."""
        return Condition(self.vectors[index : index + 1], self.extra[index : index + 1])

    def expand(self, rows: int) -> Condition:
        """One row, for so many images."""
        return Condition(self.vectors.expand(rows, -1, -1), self.extra.expand(rows, -1))

    def filled(self, tokens: int) -> Condition:
        """Filled up to so many tokens with its last vector, as the WebUI does."""
        missing = tokens - self.tokens
        return Condition(torch.cat([self.vectors, self.vectors[:, -1:].expand(-1, missing, -1)], dim=1), self.extra)

    @property
    def tokens(self) -> int:
        """Vectors of a row."""
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.vectors)
