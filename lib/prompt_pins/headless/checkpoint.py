"""What lies at a checkpoint's path: a single .safetensors file in the original layout, or a diffusers folder.

Nothing is downloaded and no pickle is opened.  Whatever is wrong with a file is said in one `CheckpointError`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from ..errors import CheckpointError, reason
from .autoencoder import DOWN
from .lora_merge import Merge
from .networks import Networks, folder_part
from .noise_levels import NoiseLevels
from .settings import ZERO, from_folder, padding, read_config
from .single_file import open_file
from .towers import Tower
from .vae import open_vae
from .vocabulary import SIZE

EMBEDDED = Path(__file__).parent / "embedded" / "prompt-pins-embedded.safetensors"
PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
PARTS = ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae")
"""Folders of a diffusers folder that a model is read from."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded model, on the CPU and in the precision of its file.

    towers: its text encoders, one, or SDXL's two.  prediction: "eps" or "v".
    scaling: what the autoencoder's latents are multiplied by.  pixels: width and height that it was made for.
    vae_path: where its autoencoder is from; None: its own.
    """

    path: Path
    unet: nn.Module
    vae: Any
    towers: tuple[Tower, ...]
    levels: NoiseLevels
    prediction: str
    scaling: float
    pixels: int
    vae_path: Path | None = None

    @property
    def name(self) -> str:
        """As infotexts name it: the file without its suffix."""
        return self.path.stem if self.path.is_file() else self.path.name

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """All of them."""
        return (self.unet, self.vae, *(tower.network for tower in self.towers))

    @functools.cached_property
    def merge(self) -> Merge:
        """What puts LoRAs into its networks."""
        return Merge(self.unet, self.towers)

    def sha256(self) -> str:
        """Of the file; of a folder, of its weights one after the other in the order of their paths."""
        return _sha256(_weights(self.path))

    def configuration_sha256(self) -> str:
        """Of what lies beside the weights and says how to use them: a file's yaml, a folder's JSON; "" without."""
        if self.path.is_file():
            found = [self.path.with_suffix(".yaml")]
        else:
            found = sorted(path for part in PARTS for path in (self.path / part).glob("*.json"))
        found = [path for path in found if path.is_file()]
        return _sha256(found) if found else ""

    def vae_sha256(self) -> str:
        """Of an autoencoder that is not its own; "" for its own."""
        return _sha256(_weights(self.vae_path)) if self.vae_path else ""


def load(path: str | Path = "", vae: str | Path = "") -> Checkpoint:
    """The model at `path`, or the embedded one.  vae: of an autoencoder in the place of its own.

    Raises `CheckpointError`.
    """
    place = Path(path).expanduser() if path else EMBEDDED
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {place} cannot be read ({reason(error)})") from None
    if mode is None:
        raise CheckpointError(
            f"checkpoint: {place} does not exist; allowed: a .safetensors file of Stable Diffusion 1.x, 2.x or SDXL, "
            "or a diffusers folder"
        )
    folder = stat.S_ISDIR(mode)
    if not folder and place.suffix.lower() in PICKLES:
        raise CheckpointError(
            f"checkpoint: {place} is a pickle, which can run code when it is opened; convert it to .safetensors"
        )
    if not folder and (not stat.S_ISREG(mode) or place.suffix.lower() != ".safetensors"):
        raise CheckpointError(f"checkpoint: {place} is not a .safetensors file")
    vae_path = Path(vae).expanduser() if vae else None
    other = open_vae(vae_path) if vae_path else None
    found = _open_folder(place) if folder else open_file(place)
    network: Any = other or found.vae
    side = 2 ** (len(network.config.block_out_channels) - 1)
    if side != DOWN:
        said = f"vae: {vae_path}" if other else f"checkpoint: the autoencoder of {place}"
        raise CheckpointError(f"{said} has latents of {side} pixels a side; only {DOWN} are known")
    return Checkpoint(
        path=place,
        unet=found.unet,
        vae=network,
        towers=found.towers,
        levels=found.settings.levels(),
        prediction=found.settings.prediction,
        scaling=found.settings.scaling,
        pixels=found.settings.pixels,
        vae_path=vae_path,
    )


def _open_folder(folder: Path) -> Networks:
    index = folder / "model_index.json"
    if not os.path.isfile(index):
        raise CheckpointError(f"checkpoint: {folder} is a folder without model_index.json, so not a diffusers model")
    inputs = read_config(folder, "unet").get("in_channels")
    if inputs != 4:
        raise CheckpointError(f"checkpoint: {folder} takes {inputs} latent channels; only 4 are known (no inpainting)")
    two = os.path.exists(folder / "text_encoder_2")
    for part in ("text_encoder", "text_encoder_2")[: 1 + two]:
        tokens = read_config(folder, part).get("vocab_size")
        if tokens != SIZE:
            raise CheckpointError(f"checkpoint: {folder / part} has {tokens} tokens; CLIP has {SIZE}")
    settings = from_folder(folder)
    pad = padding(folder / "tokenizer")
    first = folder_part(CLIPTextModel, folder, "text_encoder")
    # only 2.x pads with another token than the end, and its text encoder's last layer is left out already
    towers: tuple[Tower, ...] = (Tower(first, pad=pad, penultimate=two, skips=pad != ZERO),)
    if two:
        second = folder_part(CLIPTextModelWithProjection, folder, "text_encoder_2")
        towers += (Tower(second, "clip_g", padding(folder / "tokenizer_2"), True, True, skips=False),)
    unet, vae = folder_part(UNet2DConditionModel, folder, "unet"), folder_part(AutoencoderKL, folder, "vae")
    return Networks(unet, vae, towers, settings)


def _weights(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.safetensors"))


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
