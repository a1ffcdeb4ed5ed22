"""What lies at a checkpoint's path: a single .safetensors file in the original layout, or a diffusers folder.

Nothing is downloaded and no pickle is opened.  Whatever is wrong with a file is said in one `CheckpointError`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import CLIPTextModel

from ..errors import CheckpointError, reason
from .networks import CLIP, OPEN_CLIP, folder_part, read_config, text_encoder_from, unet_from, vae_from
from .noise_levels import NoiseLevels
from .vocabulary import SIZE

HERE = Path(__file__).parent
EMBEDDED = HERE / "embedded" / "prompt-pins-embedded.safetensors"
EMBEDDED_CONFIG = HERE / "embedded" / "config"
CONFIGS = (HERE / "configs" / "sd1", HERE / "configs" / "sd2", EMBEDDED_CONFIG)

UNET = "model.diffusion_model."
VAE = "first_stage_model."
FIRST = UNET + "input_blocks.0.0.weight"
PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
PREDICTIONS = {"epsilon": "eps", "eps": "eps", "v_prediction": "v", "v": "v"}
SCALING = 0.18215
PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
"""Folders of a diffusers folder that a model is read from."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded model, on the CPU and in the precision of its file.

    prediction: "eps" or "v".  scaling: what the autoencoder's latents are multiplied by.
    pixels: width and height that it was made for.  pad: the token that fills a chunk of text.
    """

    path: Path
    unet: nn.Module
    vae: Any
    text_encoder: nn.Module
    levels: NoiseLevels
    prediction: str
    scaling: float
    pixels: int
    pad: int

    @property
    def name(self) -> str:
        """As infotexts name it: the file without its suffix."""
        return self.path.stem if self.path.is_file() else self.path.name

    def sha256(self) -> str:
        """Of the file; of a folder, of its weights one after the other in the order of their paths."""
        return _sha256([self.path] if self.path.is_file() else sorted(self.path.rglob("*.safetensors")))

    def configuration_sha256(self) -> str:
        """Of what lies beside the weights and says how to use them: a file's yaml, a folder's JSON; "" without."""
        if self.path.is_file():
            found = [self.path.with_suffix(".yaml")]
        else:
            found = sorted(path for part in PARTS for path in (self.path / part).glob("*.json"))
        found = [path for path in found if path.is_file()]
        return _sha256(found) if found else ""


@dataclasses.dataclass(frozen=True)
class _Settings:
    """What is said beside the weights: of prediction, noise and scale."""

    prediction: str
    beta_schedule: str
    beta_start: float
    beta_end: float
    timesteps: int
    scaling: float

    def levels(self) -> NoiseLevels:
        return NoiseLevels.from_betas(self.beta_schedule, self.beta_start, self.beta_end, self.timesteps)


def load(path: str | Path = "", config: Path | None = None) -> Checkpoint:
    """The model at `path`, or the embedded one.

    config: a diffusers folder of configurations for a single file of another shape than those known.

    Raises `CheckpointError`.
    """
    place = Path(path).expanduser() if path else EMBEDDED
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {place} cannot be read ({reason(error)})") from None
    if mode is not None and stat.S_ISDIR(mode):
        return _load_folder(place)
    if mode is None:
        raise CheckpointError(
            f"checkpoint: {place} does not exist; allowed: a .safetensors file of Stable Diffusion 1.x or 2.x, or a "
            "diffusers folder"
        )
    if place.suffix.lower() in PICKLES:
        raise CheckpointError(
            f"checkpoint: {place} is a pickle, which can run code when it is opened; convert it to .safetensors"
        )
    if not stat.S_ISREG(mode) or place.suffix.lower() != ".safetensors":
        raise CheckpointError(f"checkpoint: {place} is not a .safetensors file")
    return _load_file(place, config)


def _load_file(path: Path, config: Path | None) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            folder = config or _known_config(path, {name: file.get_slice(name).get_shape() for name in names})
            weights = {name: file.get_tensor(name) for name in names if _is_used(name)}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {path} is damaged or is no safetensors file ({error})") from None
    settings = _with_yaml(path.with_suffix(".yaml"), _settings(folder))
    unet = read_config(folder, "unet")
    pixels = int(unet["sample_size"]) * 8
    if folder.name == "sd2" and settings.prediction == "v":
        pixels = 768
    return Checkpoint(
        path=path,
        unet=unet_from(weights, unet),
        vae=vae_from(weights, read_config(folder, "vae")),
        text_encoder=text_encoder_from(weights, read_config(folder, "text_encoder")),
        levels=settings.levels(),
        prediction=settings.prediction,
        scaling=settings.scaling,
        pixels=pixels,
        pad=_pad(folder),
    )


def _load_folder(folder: Path) -> Checkpoint:
    index = folder / "model_index.json"
    if not os.path.isfile(index):
        raise CheckpointError(f"checkpoint: {folder} is a folder without model_index.json, so not a diffusers model")
    if os.path.exists(folder / "text_encoder_2"):
        raise CheckpointError(f"checkpoint: {folder} is not a Stable Diffusion 1.x or 2.x model (two text encoders)")
    unet, text = read_config(folder, "unet"), read_config(folder, "text_encoder")
    _check_channels(folder, unet.get("in_channels"))
    if text.get("vocab_size") != SIZE:
        raise CheckpointError(f"checkpoint: {folder} has {text.get('vocab_size')} tokens; CLIP has {SIZE}")
    settings = _settings(folder)
    return Checkpoint(
        path=folder,
        unet=folder_part(UNet2DConditionModel, folder, "unet"),
        vae=folder_part(AutoencoderKL, folder, "vae"),
        text_encoder=folder_part(CLIPTextModel, folder, "text_encoder"),
        levels=settings.levels(),
        prediction=settings.prediction,
        scaling=settings.scaling,
        pixels=int(unet.get("sample_size", 64)) * 8,
        pad=_pad(folder),
    )


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _is_used(name: str) -> bool:
    return name.startswith((UNET, VAE, CLIP, OPEN_CLIP))


def _known_config(path: Path, shapes: dict[str, list[int]]) -> Path:
    """The configuration whose UNet and text encoder have these shapes."""
    if FIRST not in shapes:
        raise CheckpointError(f"checkpoint: {path} holds no Stable Diffusion UNet (no {UNET} weights)")
    for what, prefixes in (("autoencoder", (VAE,)), ("text encoder", (CLIP, OPEN_CLIP))):
        if not _any(shapes, prefixes):
            raise CheckpointError(
                f"checkpoint: {path} holds no {what} of Stable Diffusion 1.x or 2.x (no {prefixes[0]} weights)"
            )
    channels, inputs = shapes[FIRST][:2]
    _check_channels(path, inputs)
    context = {shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")}
    for folder in CONFIGS:
        if folder.is_dir():
            unet = read_config(folder, "unet")
            if unet["block_out_channels"][0] == channels and context == {unet["cross_attention_dim"]}:
                return folder
    raise CheckpointError(
        f"checkpoint: {path} is not a Stable Diffusion 1.x or 2.x model (its UNet has {channels} channels and attends "
        f"to {sorted(context)} features)"
    )


def _any(names: Iterable[str], prefixes: tuple[str, ...]) -> bool:
    return any(name.startswith(prefixes) for name in names)


def _check_channels(path: Path, inputs: Any) -> None:
    if inputs != 4:
        raise CheckpointError(
            f"checkpoint: {path} takes {inputs} latent channels; only 4 are known (no inpainting model)"
        )


def _settings(folder: Path) -> _Settings:
    scheduler, vae = read_config(folder, "scheduler"), read_config(folder, "vae")
    prediction = str(scheduler.get("prediction_type", "epsilon"))
    if prediction not in PREDICTIONS:
        raise CheckpointError(f"checkpoint: {folder} predicts {prediction!r}; known are 'epsilon' and 'v_prediction'")
    return _Settings(
        prediction=PREDICTIONS[prediction],
        beta_schedule=str(scheduler.get("beta_schedule", "scaled_linear")),
        beta_start=float(scheduler.get("beta_start", 0.00085)),
        beta_end=float(scheduler.get("beta_end", 0.012)),
        timesteps=int(scheduler.get("num_train_timesteps", 1000)),
        scaling=float(vae.get("scaling_factor", SCALING)),
    )


def _with_yaml(path: Path, settings: _Settings) -> _Settings:
    """`settings` with what the original configuration beside the checkpoint says, if there is one."""
    if not os.path.isfile(path):
        return settings
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["params"]
        prediction = str(params.get("parameterization", "eps"))
        return dataclasses.replace(
            settings,
            prediction=PREDICTIONS[prediction],
            beta_start=float(params.get("linear_start", settings.beta_start)),
            beta_end=float(params.get("linear_end", settings.beta_end)),
            timesteps=int(params.get("timesteps", settings.timesteps)),
            scaling=float(params.get("scale_factor", settings.scaling)),
        )
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"checkpoint: {path} is not a Stable Diffusion configuration (at {reason}); it lies beside the checkpoint"
        ) from None


def _pad(folder: Path) -> int:
    """The id of the padding token: 0 ("!") where the tokenizer says so, as SD 2.x does, else the end token."""
    path = folder / "tokenizer" / "special_tokens_map.json"
    try:
        pad = json.loads(path.read_text(encoding="utf-8")).get("pad_token")
    except FileNotFoundError:
        pad = None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"checkpoint: {path} cannot be read: {error}") from None
    text = pad.get("content") if isinstance(pad, dict) else pad
    return 0 if text == "!" else SIZE - 1
