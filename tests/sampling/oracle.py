"""k-diffusion's own sampling module, loaded by itself: its package imports torchvision, which is not needed.

Two of the module's imports are stood in for: the package's `utils`, and torchdiffeq, which only its likelihood uses.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from prompt_pins.sampling import SAMPLERS
from torch import Tensor


def append_dims(x: Tensor, target: int) -> Tensor:
    """What the module takes from the package's utils: x with dimensions appended until it has `target`."""
    return x[(...,) + (None,) * (target - x.ndim)]


def load() -> types.ModuleType:
    """`k_diffusion/sampling.py` of the installed wheel under a name of its own."""
    spec = importlib.util.find_spec("k_diffusion")
    assert spec is not None and spec.submodule_search_locations, "the tests need the wheel k-diffusion"
    package = types.ModuleType("k_diffusion_oracle")
    package.utils = types.SimpleNamespace(append_dims=append_dims)  # type: ignore[attr-defined]
    sys.modules.setdefault("k_diffusion_oracle", package)
    file = Path(next(iter(spec.submodule_search_locations))) / "sampling.py"
    loaded = importlib.util.spec_from_file_location("k_diffusion_oracle.sampling", file)
    assert loaded is not None and loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    solver = types.ModuleType("torchdiffeq")
    solver.odeint = None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchdiffeq", solver)
        loaded.loader.exec_module(module)
    return module


class Torch:
    """torch for the oracle, with `randn_like` replaced: the only noise that it draws without being asked how."""

    def __init__(self, randn_like: Any) -> None:
        self.randn_like = randn_like

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def plain(name: str, *args: Any, churn_noise: Any = None, **kwargs: Any) -> Tensor:
    """k-diffusion's function for the sampler `name`, with churn noise from `churn_noise(x)`."""
    module = load()
    if churn_noise is not None:
        module.torch = Torch(churn_noise)  # type: ignore[attr-defined]
    if name == "DPM++ 2M SDE Heun":
        kwargs.setdefault("solver_type", "heun")
    return getattr(module, SAMPLERS[name].function)(*args, disable=True, **kwargs)
