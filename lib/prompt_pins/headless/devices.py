"""Where torch computes: devices by name, and what it says when a memory is too small."""

from __future__ import annotations

import torch

from ..errors import OptionError

NO_MEMORY = ("out of memory", "ALLOC_FAILED", "allocate memory")  # as CUDA, its libraries and the CPU's allocator say


def memory_ran_out(error: RuntimeError) -> bool:
    """Whether that is what torch complains of."""
    return any(words in str(error) for words in NO_MEMORY)


def device_of(name: str) -> torch.device:
    """The device of a name, if it can compute.  Raises `OptionError`."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:120]
        raise OptionError("device", name, f"cpu, or cuda where PyTorch finds a GPU ({reason})") from None
    return device
