"""A GPU, where there is one: tests that want it are skipped where there is none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch

CUDA = "cuda"
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")


@contextlib.contextmanager
def full_convolutions() -> Iterator[None]:
    """Convolutions of 32 bits without the shorter numbers (TF32) that PyTorch allows them on a GPU."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
