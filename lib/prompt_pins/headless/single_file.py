"""A checkpoint in one .safetensors file, in the layout of Stable Diffusion 1.x, of 2.x, or of SDXL.

The layouts differ in the names of the text encoders' weights; all sizes are read off the weights (`shapes`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..errors import CheckpointError
from .networks import (
    CLIP,
    OPEN_CLIP,
    UNET,
    VAE,
    XL_CLIP,
    XL_OPEN_CLIP,
    Networks,
    clip_keys,
    open_clip_keys,
    text_encoder_from,
    unet_from,
    vae_from,
)
from .settings import END, ZERO, Settings, from_folder, read_config, with_yaml
from .shapes import text_config, unet_config, vae_config
from .towers import Tower
from .vocabulary import SIZE

EMBEDDED_CONFIG = Path(__file__).parent / "embedded" / "config"
FIRST = UNET + "input_blocks.0.0.weight"
LAYOUTS = {
    "sd1": ((CLIP,), Settings(pixels=512)),
    "sd2": ((OPEN_CLIP,), Settings(pixels=512)),
    "sdxl": ((XL_CLIP, XL_OPEN_CLIP), Settings(prediction="eps", scaling=0.13025, pixels=1024)),
}
"""The text encoders' names, and what holds where nothing is said beside the weights."""
SD2_V_PIXELS = 768


def open_file(path: Path) -> Networks:
    """The networks of a file.  Raises `CheckpointError`."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            layout = _layout(path, {name: file.get_slice(name).get_shape() for name in names})
            wanted = (UNET, VAE, *LAYOUTS[layout][0])
            weights = {name: file.get_tensor(name) for name in names if name.startswith(wanted)}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {path} is damaged or is no safetensors file ({error})") from None
    found = _built(path, layout, weights)
    if not found.settings.prediction:
        found = dataclasses.replace(found, settings=_asked(layout, found))
    return found


def networks_of(path: Path, weights: Mapping[str, Tensor]) -> Networks:
    """The networks of other weights under the keys of a file; not asked what they predict."""
    layout = _layout(path, _shapes(weights, ""))
    wanted = (UNET, VAE, *LAYOUTS[layout][0])
    return _built(path, layout, {name: weight for name, weight in weights.items() if name.startswith(wanted)})


def _built(path: Path, layout: str, weights: dict[str, Tensor]) -> Networks:
    known = EMBEDDED_CONFIG if layout == "sd1" and _is_embedded(weights) else None
    settings = with_yaml(path.with_suffix(".yaml"), from_folder(known) if known else LAYOUTS[layout][1])
    try:
        return _networks(layout, weights, settings, known)
    except (KeyError, IndexError, StopIteration, ZeroDivisionError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {path} is not a known one: weights are missing (at {error})") from None


def _layout(path: Path, shapes: Mapping[str, list[int]]) -> str:
    if FIRST not in shapes:
        raise CheckpointError(f"checkpoint: {path} holds no Stable Diffusion UNet (no {UNET} weights)")
    if not _any(shapes, VAE):
        raise CheckpointError(f"checkpoint: {path} holds no autoencoder of Stable Diffusion (no {VAE} weights)")
    if shapes[FIRST][1:2] != [4]:
        raise CheckpointError(
            f"checkpoint: {path} takes {shapes[FIRST][1:2]} latent channels; only 4 are known (no inpainting model)"
        )
    for layout, (prefixes, _) in LAYOUTS.items():
        if all(_any(shapes, prefix) for prefix in prefixes):
            return layout
    known = " or ".join(" and ".join(prefixes) for prefixes, _ in LAYOUTS.values())
    raise CheckpointError(
        f"checkpoint: {path} holds no text encoder of Stable Diffusion 1.x, 2.x or SDXL (no {known} weights)"
    )


def _any(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _is_embedded(weights: Mapping[str, Tensor]) -> bool:
    """Whether it is as wide as the embedded model, whose configuration is known without the yaml beside it."""
    unet, text = (read_config(EMBEDDED_CONFIG, part) for part in ("unet", "text_encoder"))
    words = weights.get(f"{CLIP}text_model.embeddings.token_embedding.weight")
    wide = len(weights[FIRST]) == unet["block_out_channels"][0]
    return wide and words is not None and words.shape[1:] == (text["hidden_size"],)


def _networks(layout: str, weights: dict[str, Tensor], settings: Settings, known: Path | None) -> Networks:
    if known:
        configs = {part: read_config(known, part) for part in ("unet", "vae", "text_encoder")}
    else:
        unet = _shapes(weights, UNET)
        configs = {
            "unet": unet_config(unet, layout == "sd2", settings.heads, settings.head_width),
            "vae": vae_config(_shapes(weights, VAE)),
        }
    towers: tuple[Tower, ...]
    if layout == "sdxl":
        towers = (
            _tower(clip_keys(weights, XL_CLIP), "quick_gelu", penultimate=True),
            _tower(open_clip_keys(weights, XL_OPEN_CLIP, pooled=True), "gelu", "clip_g", ZERO, True, True, skips=False),
        )
    elif layout == "sd2":
        towers = (_tower(open_clip_keys(weights), "gelu", pad=ZERO, skips=False),)
    else:
        towers = (_tower(clip_keys(weights), "quick_gelu", config=configs.get("text_encoder")),)
    return Networks(unet_from(weights, configs["unet"]), vae_from(weights, configs["vae"]), towers, settings)


def _tower(
    weights: dict[str, Tensor],
    act: str,
    name: str = "clip_l",
    pad: int = END,
    penultimate: bool = False,
    pooled: bool = False,
    skips: bool = True,
    config: dict[str, Any] | None = None,
) -> Tower:
    config = config or text_config(_shapes(weights, ""), act)
    if config["vocab_size"] != SIZE:
        raise CheckpointError(f"checkpoint: its text encoder has {config['vocab_size']} tokens; CLIP has {SIZE}")
    return Tower(text_encoder_from(weights, config, pooled), name, pad, penultimate, pooled, skips)


def _shapes(weights: Mapping[str, Tensor], prefix: str) -> dict[str, list[int]]:
    return {key.removeprefix(prefix): list(weight.shape) for key, weight in weights.items() if key.startswith(prefix)}


@torch.no_grad()
def _asked(layout: str, networks: Networks) -> Settings:
    """What the UNet predicts, where nothing says so: Stable Diffusion 2.x came in both kinds.

    As AUTOMATIC1111 asks it: at the most noise, a network that predicts v answers with about minus its input.
    """
    if layout != "sd2":
        return dataclasses.replace(networks.settings, prediction="eps")
    unet: Any = networks.unet
    x = torch.full((1, 4, 8, 8), 0.5)
    words = torch.full((1, 2, unet.config.cross_attention_dim), 0.5)
    dtype = next(unet.parameters()).dtype
    answer = nn.Module.float(unet)(x, torch.tensor(999), encoder_hidden_states=words, return_dict=False)[0]
    nn.Module.to(unet, dtype)
    is_v = float((answer - x).mean()) < -1.0
    pixels = SD2_V_PIXELS if is_v and networks.settings.pixels == LAYOUTS["sd2"][1].pixels else networks.settings.pixels
    return dataclasses.replace(networks.settings, prediction="v" if is_v else "eps", pixels=pixels)
