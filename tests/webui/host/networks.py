"""The list of the host's built-in extension for LoRAs, which the host has as a module of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from modules import shared

available_networks: dict[str, SimpleNamespace] = {}


def list_available_networks() -> None:
    """Look into the folder again."""
    available_networks.clear()
    for path in Path(shared.MODELS, "Lora").glob("*.safetensors"):
        available_networks[path.stem] = SimpleNamespace(filename=str(path))
