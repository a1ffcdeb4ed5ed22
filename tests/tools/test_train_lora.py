"""The tool that trains the embedded model's LoRA: what it writes is read as it was trained."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.lora import load_lora
from prompt_pins.headless.lora_tags import Tag
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import train_lora


def test_what_is_written_is_read_as_it_was_trained(tmp_path: Path) -> None:
    settings = train_lora.LoraSettings(pictures=8, steps=2, batch=2)
    save_file(train_lora.train(settings), tmp_path / "x.safetensors")
    lora, model = load_lora(tmp_path / "x.safetensors", "x"), load()
    model.merge.check(lora)
    assert all(name in model.merge._layers for name in lora.layers)
    for network in model.networks:
        network.float()
    plain = {name: model.merge._layers[name].weight.clone() for name in lora.layers}
    model.merge.put(((lora, Tag("x", 1, 1)),))
    for name, layer in lora.layers.items():
        trained = train_lora.LowRank(plain[name], settings.rank, settings.alpha)
        with torch.no_grad():
            trained.up.copy_(layer.up)
            trained.down.copy_(layer.down)
        assert layer.up.any() and torch.allclose(trained(plain[name]), model.merge._layers[name].weight, atol=1e-6)


def test_faded_pictures_lie_between_themselves_and_paper() -> None:
    pictures = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8).numpy()
    found = train_lora.faded(pictures)
    assert found.dtype == pictures.dtype and (found >= 0.6 * train_lora.PAPER - 1).all()
    assert (abs(found - train_lora.PAPER) <= abs(pictures - train_lora.PAPER) * 0.4 + 0.5).all()
