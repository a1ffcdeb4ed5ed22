"""Everything in which hosts differ, found by feature and never by version; the rest of `webui` does not look.

Hosts: AUTOMATIC1111 from 1.6, Forge, reForge, Forge-classic.  Imports the host's modules inside functions only where
a host may lack them.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from modules import processing, sd_samplers, sd_samplers_common, shared

from ..errors import OptionError

INTERRUPTION: type[BaseException] = sd_samplers_common.InterruptedException

_GROWING_LISTS = ("latents_after_sampling", "pixels_after_sampling", "extra_result_images")
WITHOUT_EMPHASIS: dict[str, tuple[Any, ...]] = {"emphasis": ("None", "Ignore"), "enable_emphasis": (False,)}
"""Values with which the weights of a prompt do nothing, of the setting that this host has: the older one is of 1.6."""


def has_schedulers() -> bool:
    """True where the schedule type is a dropdown of its own; elsewhere it is part of the sampler's name."""
    return importlib.util.find_spec("modules.sd_schedulers") is not None


def infotext_module() -> Any:
    """The module that reads generation parameters; its name changed with 1.8."""
    try:
        return importlib.import_module("modules.infotext_utils")
    except ImportError:
        return importlib.import_module("modules.generation_parameters_copypaste")


def refresh_samplers() -> None:
    """Make the host's lists and caches see a changed `all_samplers`."""
    sd_samplers.set_samplers()
    getattr(getattr(sd_samplers, "get_sampler_and_scheduler", None), "cache_clear", lambda: None)()


def fix_names(p: Any) -> None:
    """Let the host put a sampler's old name, or a missing schedule, right: once, and not in every batch."""
    fix = getattr(sd_samplers, "fix_p_invalid_sampler_and_scheduler", None)
    if fix is not None:
        fix(p)


def setting(name: str, default: Any) -> Any:
    """A setting's value; `default` where the settings were not built yet."""
    value = getattr(shared.opts, name, None)
    return default if value is None else value


def setting_of(p: Any, name: str, default: Any) -> Any:
    """A setting as this job has it: its own override comes before the host's value."""
    return (getattr(p, "override_settings", None) or {}).get(name, setting(name, default))


def comment(p: Any, text: str) -> None:
    """A line below the job's images."""
    p.comments[text] = 1


def is_api(p: Any) -> bool:
    """True if this job came through the API."""
    return bool(getattr(p, "is_api", False))


def stopping() -> bool:
    """True once the user asked to stop, at once or after the running batch."""
    return bool(shared.state.interrupted or getattr(shared.state, "stopping_generation", False))


def fresh_copy(p: Any) -> Any:
    """A copy of a pristine job that shares nothing which a job changes.

    A job that was rendered already is no good: other extensions leave hooks on it that are bound to it.
    """
    fresh = copy.copy(p)
    fresh.extra_generation_params = dict(p.extra_generation_params or {})
    fresh.override_settings = dict(p.override_settings or {})
    fresh.styles = list(p.styles or [])
    fresh.comments = {}
    for name in _GROWING_LISTS:
        if hasattr(fresh, name):
            setattr(fresh, name, [])
    return fresh


def emphasis_override(p: Any = None) -> dict[str, Any]:
    """The settings without which the weights of a prompt mean nothing, if they are off; {} if they are on.

    p: a job, whose own override comes before the host's setting.
    """
    asked = getattr(p, "override_settings", None) or {}
    for name, on in (("emphasis", "Original"), ("enable_emphasis", True)):
        if name not in asked and setting(name, on) in WITHOUT_EMPHASIS[name]:
            return {name: on}
    return {}


def host_defaults() -> dict[str, Any]:
    """Defaults that are the host's own settings."""
    wanted = str(setting("samples_format", "png")).lower().replace("jpeg", "jpg")
    known = {"image_format": wanted} if wanted in ("png", "jpg", "webp") else {}
    forks = {name: setting(f"prompt_pins_{name}", None) for name in ("fork_policy", "fork_strength")}
    return {**known, **{name: value for name, value in forks.items() if value is not None}}


def runs_folders() -> dict[str, Path]:
    """Where runs lie: each tab's folder, and "samples", the one that a setting names for both; new ones go there.

    A job's own `outpath_samples` is not asked: of the same tab it is another one in the API, which ignores the setting.
    """
    names = ("txt2img", "img2img", *(["samples"] if setting("outdir_samples", "") else []))
    own = {name: "outdir_samples" if name == "samples" else f"outdir_{name}_samples" for name in names}
    return {name: Path(setting(option, "")) / "prompt_pins" for name, option in own.items()}


def scorers_folder() -> Path:
    """Where the files of scorers lie in this host."""
    return Path(importlib.import_module("modules.paths").models_path, "scorers")


def checkpoint_titles() -> list[str]:
    """The checkpoints of the host's list."""
    return list(getattr(module("modules.sd_models"), "checkpoint_tiles", list)())


def checkpoint_info(field: str, title: str) -> Any:
    """The host's entry of one of them, by its title or name.  Raises `OptionError`, which names the field."""
    models = module("modules.sd_models")
    known = getattr(models, "checkpoint_aliases", None) or getattr(models, "checkpoint_alisases", None) or {}
    if title not in known:
        raise OptionError(field, title, f"one of {', '.join(checkpoint_titles()) or 'no checkpoint'}")
    return known[title]


def weights_in_place(model: Any) -> bool:
    """Whether the loaded model's weights may be changed where they are: Forge moves and patches its own."""
    return hasattr(getattr(model, "model", None), "diffusion_model") and not hasattr(model, "forge_objects")


def embedding_names() -> tuple[str, ...]:
    """Textual inversions that the loaded model knows."""
    return tuple(embedding_vectors())


def embedding_vectors() -> dict[str, dict[str, Any]]:
    """Of each textual inversion that the loaded model knows, a tensor for each of its text encoders that has one."""
    database = getattr(getattr(module("modules.sd_hijack"), "model_hijack", None), "embedding_db", None)
    if database is not None:
        known = dict(database.word_embeddings)
    else:
        load = getattr(module("modules.sd_models"), "forge_model_reload", None)
        if load is not None:
            load()  # this host has no model before its first batch
        known = {}
        for engine in ("text_processing_engine", "text_processing_engine_l", "text_processing_engine_g"):
            found = getattr(getattr(shared.sd_model, engine, None), "embeddings", None)
            known |= getattr(found, "word_embeddings", None) or {}
        known = dict(sorted(known.items()))
    return {name: one.vec if isinstance(one.vec, dict) else {"": one.vec} for name, one in known.items()}


def module(name: str) -> Any:
    """A module that a host may lack; None where it does."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def axis_setter(grid: Any) -> Callable[[str], Any] | None:
    """The X/Y/Z plot's own way to set an attribute of jobs; Forge-classic keeps it beside the script."""
    own = getattr(grid, "apply_field", None)
    found: Callable[[str], Any] | None = own or getattr(module("lib_xyz.axis_application"), "apply_field", None)
    return found


def prompt_parser() -> Any:
    """The host's module that looks for schedules in prompts; None where it has none."""
    return module("modules.prompt_parser")


def folder_opener() -> Callable[[str], None] | None:
    """The host's way to show a folder in the file manager; None where it has none, or its users sit elsewhere."""
    flags = shared.cmd_opts
    if getattr(flags, "hide_ui_dir_config", False) or getattr(flags, "webui_is_non_local", False):
        return None
    return getattr(module("modules.util"), "open_folder", None)


def version() -> str:
    """What the host calls itself in its images."""
    return str(processing.program_version() or "")


def foreign_sampler_factory() -> bool:
    """True if another extension has replaced the host's way to make samplers (TiledDiffusion does)."""
    return getattr(sd_samplers.create_sampler, "__module__", "") != sd_samplers.__name__


def controlnet_active(p: Any) -> bool:
    """True if a ControlNet unit takes part in this job, running or not yet begun.

    Its units are among the arguments of the extension's script: objects of the page, or mappings of the API.  In
    AUTOMATIC1111 a running job also shows the extension's hook.
    """
    if hasattr(p, "sample_before_CN_hack"):
        return True
    values = getattr(p, "script_args", None) or ()
    for script in getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or []:
        if str(script.title()).lower() == "controlnet" and any(
            map(_enabled, values[script.args_from : script.args_to])
        ):
            return True
    return False


def _enabled(unit: Any) -> bool:
    return bool(unit.get("enabled", True) if isinstance(unit, dict) else getattr(unit, "enabled", False))


def batch_count(p: Any) -> int:
    """How often the user asked for the batch."""
    return int(getattr(p, "n_iter", 1) or 1)


def encoded(pixels: torch.Tensor) -> torch.Tensor:
    """An image (1 x 3 x H x W, 0 to 1) as the model has it: the mean of the encoder's answer, 1 x 4 x h x w."""
    with _no_draws():
        latents: torch.Tensor = sd_samplers_common.images_tensor_to_samples(pixels, 0, _Means(shared.sd_model))
    return latents


@contextlib.contextmanager
def _no_draws() -> Iterator[None]:
    """While it lasts, the encoder of SDXL in AUTOMATIC1111, which gives a draw from its answer, gives the mean."""
    answer = getattr(sys.modules.get("sgm.modules.distributions.distributions"), "DiagonalGaussianDistribution", None)
    if answer is None:
        yield
        return
    draw = answer.sample
    answer.sample = answer.mode
    try:
        yield
    finally:
        answer.sample = draw


class _Means:
    """The model to the host's own encoding function, with means for draws."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.first_stage_model = getattr(model, "first_stage_model", None)
        vae = getattr(getattr(model, "forge_objects", None), "vae", None)
        if hasattr(getattr(vae, "patcher", None), "set_model_vae_regulation"):  # on copies: others' draws stay draws
            self._model = copy.copy(model)
            self._model.forge_objects = model.forge_objects.shallow_copy()
            self._model.forge_objects.vae = vae.clone()
            self._model.forge_objects.vae.patcher.set_model_vae_regulation(lambda posterior: posterior.mode())

    def encode_first_stage(self, pixels: torch.Tensor) -> Any:
        return self._model.encode_first_stage(pixels)

    def get_first_stage_encoding(self, found: Any) -> Any:
        mean = found if isinstance(found, torch.Tensor) else found.mode()
        return self._model.get_first_stage_encoding(mean)


def schedule_name(p: Any) -> str:
    """The job's schedule type; 1.9's API leaves it empty and means Automatic by that."""
    return str(getattr(p, "scheduler", None) or ("Automatic" if has_schedulers() else ""))


def noised(model: Any, clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Latents at a noise level, as the loaded model's kind has them; `model` is a sampler's denoiser."""
    predictor = getattr(getattr(model, "inner_model", None), "predictor", None)
    if hasattr(predictor, "noise_scaling"):
        return predictor.noise_scaling(sigma, noise.clone(), clean, max_denoise=False)  # type: ignore[no-any-return]
    if hasattr(shared.sd_model, "add_noise_to_latent"):
        return shared.sd_model.add_noise_to_latent(clean, noise, sigma)  # type: ignore[no-any-return]
    return clean + sigma * noise
