"""What is said beside a model's weights: of prediction, noise, scale and heads.  By a yaml or by a folder's JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from ..errors import CheckpointError, shorten
from .noise_levels import NoiseLevels

PREDICTIONS = {"epsilon": "eps", "eps": "eps", "v_prediction": "v", "v": "v"}
SCALING = 0.18215
END, ZERO = 49407, 0
MOST_STEPS, MOST_PIXELS = 10**5, 8192
WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a yaml of another shape leads to."""
OTHER_NOISE = ("EDM", "FlowMatch")
"""How the names of diffusers' schedules begin that know no betas."""
OTHER_BETAS = ("rescale_betas_zero_snr", "trained_betas")
UNSAID = 64
"""The latents' size in the yamls of Stable Diffusion 1.x and 2.x, whatever the model was made for."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """prediction: "eps" or "v"; "": not said.  scaling: what the autoencoder's latents are multiplied by.

    pixels: a side of the images that it was made for, 0: not said.
    heads, head_width: of the UNet's attention: so many, or each so wide; 0: not said.
    """

    prediction: str = ""
    beta_schedule: str = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    timesteps: int = 1000
    scaling: float = SCALING
    pixels: int = 0
    heads: int = 0
    head_width: int = 0

    def __post_init__(self) -> None:
        """Raises `ValueError` for numbers that no model has."""
        for name, value, good, allowed in (
            ("first beta", self.beta_start, 0.0 < self.beta_start < 1.0, "a number between 0 and 1"),
            ("last beta", self.beta_end, self.beta_start <= self.beta_end < 1.0, "from the first beta to below 1"),
            ("number of timesteps", self.timesteps, 2 <= self.timesteps <= MOST_STEPS, f"2 to {MOST_STEPS}"),
            ("scale of latents", self.scaling, 0.0 < self.scaling < math.inf, "a finite number above 0"),
            ("side in pixels", self.pixels, 0 <= self.pixels <= MOST_PIXELS, f"up to {MOST_PIXELS}"),
        ):
            if not good:
                raise ValueError(f"its {name} is {shorten(value)}; allowed: {allowed}")

    def levels(self) -> NoiseLevels:
        """The noise levels.  Raises `CheckpointError` for a schedule that is not known."""
        return NoiseLevels.from_betas(self.beta_schedule, self.beta_start, self.beta_end, self.timesteps)


def read_config(folder: Path, part: str) -> dict[str, Any]:
    """A part's JSON configuration.  Raises `CheckpointError` if it is missing or is not JSON."""
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    path = folder / part / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"checkpoint: {path} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"checkpoint: {path} is not a configuration")
    return config


def from_folder(folder: Path) -> Settings:
    """What the JSON of a diffusers folder says.  Raises `CheckpointError`."""
    scheduler, vae, unet = (read_config(folder, part) for part in ("scheduler", "vae", "unet"))
    _check_noise(folder, scheduler)
    prediction = str(scheduler.get("prediction_type", "epsilon"))
    if prediction not in PREDICTIONS:
        raise CheckpointError(f"checkpoint: {folder} predicts {prediction!r}; known are 'epsilon' and 'v_prediction'")
    side = unet.get("sample_size") or UNSAID
    try:
        return Settings(
            prediction=PREDICTIONS[prediction],
            beta_schedule=str(scheduler.get("beta_schedule", "scaled_linear")),
            beta_start=float(scheduler.get("beta_start", 0.00085)),
            beta_end=float(scheduler.get("beta_end", 0.012)),
            timesteps=int(scheduler.get("num_train_timesteps", 1000)),
            scaling=float(vae.get("scaling_factor", SCALING)),
            pixels=int(max(side) if isinstance(side, list) else side) * 8,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"checkpoint: what {folder} says of itself cannot be used ({error})") from None


def _check_noise(folder: Path, scheduler: dict[str, Any]) -> None:
    """Raises `CheckpointError` for noise that is not told by the first beta, the last one and the way between."""
    name = str(scheduler.get("_class_name", ""))
    found = [name] * name.startswith(OTHER_NOISE) + [key for key in OTHER_BETAS if scheduler.get(key)]
    if found:
        known = "known are 'scaled_linear' and 'linear' without it"
        raise CheckpointError(f"checkpoint: {folder}: noise schedule by {shorten(found[0])} is not known; {known}")


def with_yaml(path: Path, settings: Settings) -> Settings:
    """`settings` with what the original configuration beside the checkpoint says, if there is one.

    It is ldm's for Stable Diffusion 1.x and 2.x and sgm's for SDXL.  Raises `CheckpointError`.
    """
    if not os.path.isfile(path):
        return settings
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["params"]
        return _read(params, settings)
    except (yaml.YAMLError, *WRONG) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"checkpoint: {path} is not a Stable Diffusion configuration (at {reason}); it lies beside the checkpoint"
        ) from None


def _read(params: dict[str, Any], settings: Settings) -> Settings:
    unet = params.get("network_config", params.get("unet_config", {})).get("params", {})
    found = dataclasses.replace(
        settings,
        scaling=float(params.get("scale_factor", settings.scaling)),
        heads=max(0, int(unet.get("num_heads", 0))),
        head_width=max(0, int(unet.get("num_head_channels", 0))),
    )
    if "denoiser_config" in params:
        denoiser = params["denoiser_config"]["params"]
        noise = denoiser.get("discretization_config", {}).get("params", {})
        target = str(denoiser["scaling_config"]["target"]).rpartition(".")[2]
        return dataclasses.replace(
            found,
            prediction={"EpsScaling": "eps", "VScaling": "v"}[target],
            beta_start=float(noise.get("linear_start", settings.beta_start)),
            beta_end=float(noise.get("linear_end", settings.beta_end)),
            timesteps=int(denoiser.get("num_idx", settings.timesteps)),
        )
    side = int(params.get("image_size", UNSAID))
    return dataclasses.replace(
        found,
        prediction=PREDICTIONS[str(params.get("parameterization", "eps"))],
        beta_start=float(params.get("linear_start", settings.beta_start)),
        beta_end=float(params.get("linear_end", settings.beta_end)),
        timesteps=int(params.get("timesteps", settings.timesteps)),
        pixels=settings.pixels if side == UNSAID else side * 8,
    )


def padding(folder: Path) -> int:
    """The token that fills a chunk by a diffusers tokenizer: 0 ("!") where it says so, else the end token."""
    path = folder / "special_tokens_map.json"
    try:
        pad = json.loads(path.read_text(encoding="utf-8")).get("pad_token")
    except FileNotFoundError:
        pad = None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"checkpoint: {path} cannot be read: {error}") from None
    text = pad.get("content") if isinstance(pad, dict) else pad
    return ZERO if text == "!" else END
