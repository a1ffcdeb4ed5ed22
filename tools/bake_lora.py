"""Write the embedded model with its LoRA in the weights, as a second checkpoint to merge it with.

python tools/bake_lora.py FILE [--multiplier 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from prompt_pins.headless.checkpoint import EMBEDDED
from prompt_pins.headless.lora import load_lora
from prompt_pins.headless.lora_tags import EMBEDDED_LORAS
from safetensors.torch import load_file, save_file
from torch import Tensor

LORA = EMBEDDED_LORAS / "prompt-pins-faded.safetensors"
PREFIXES = {"model.diffusion_model.": "lora_unet_", "cond_stage_model.transformer.": "lora_te_"}


def baked(multiplier: float = 1.0) -> dict[str, Tensor]:
    """The weights, under the embedded model's keys and in its precision."""
    layers = dict(load_lora(LORA, LORA.stem).layers)
    found = load_file(EMBEDDED)
    for key, weight in found.items():
        for prefix, short in PREFIXES.items():
            name = short + key.removeprefix(prefix).removesuffix(".weight").replace(".", "_")
            if key.startswith(prefix) and name in layers:
                changed = weight.float() + layers.pop(name).change(weight) * multiplier
                found[key] = changed.to(weight.dtype).contiguous()
    if layers:
        raise ValueError(f"the model lacks {', '.join(layers)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--multiplier", type=float, default=1.0)
    arguments = parser.parse_args()
    save_file(baked(arguments.multiplier), arguments.file, {"format": "pt"})


if __name__ == "__main__":
    main()
