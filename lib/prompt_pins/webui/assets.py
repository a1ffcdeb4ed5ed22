"""What decides a run's pixels besides its own options: files with their fingerprints, settings, the job's own values.

It is written down with a run, and looked at again when the run goes on.  The host's lists are found by feature, as in
`compat`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modules import shared

from ..errors import CheckpointError
from ..prompt.embeddings import Embeddings, pretokens
from ..prompt.source import NET_TAG, clean
from . import compat
from .fingerprint import fingerprint

LORA_NETS = ("lora", "lyco")
SETTINGS = (
    "comma_padding_backtrack", "sdxl_clip_l_skip", "sdxl_crop_top", "sdxl_crop_left", "sd3_enable_t5", "upcast_attn",
    "img2img_color_correction", "img2img_fix_steps", "img2img_background_color", "hires_fix_use_firstpass_conds",
    "enable_batch_seeds", "no_dpmpp_sde_batch_determinism", "enable_emphasis", "use_old_emphasis_implementation",
    "use_old_karras_scheduler_sigmas", "dont_fix_second_order_samplers_schedule", "k_sched_type", "sd_lora",
    "sd_hypernetwork", "sd_unet", "forge_unet_storage_dtype",
)  # fmt: skip
"""Settings that change images although the host writes them into no infotext."""
FILES = ("sd_model_checkpoint", "sd_vae", "forge_additional_modules")
"""Settings that name files: the files are looked at."""
ALWAYS = (
    "tiling", "restore_faces", "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond", "subseed_strength",
    "seed_resize_from_h", "seed_resize_from_w", "distilled_cfg_scale", "token_merging_ratio", "token_merging_ratio_hr",
)  # fmt: skip
HIRES = (
    "hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_sampler_name", "hr_scheduler", "hr_prompt",
    "hr_negative_prompt", "hr_cfg", "hr_distilled_cfg",
)  # fmt: skip
REDRAWN = ("resize_mode", "initial_noise_multiplier", "image_cfg_scale")
MASKED = (
    "inpainting_fill", "inpaint_full_res", "inpaint_full_res_padding", "inpainting_mask_invert", "mask_blur",
    "mask_blur_x", "mask_blur_y", "mask_round",
)  # fmt: skip
UNSAID = (None, "", 0, -1, "None")
"""Values of a job's fields that say nothing: one caller leaves out what another sends so."""


def describe(p: Any, positive: str, negative: str, checkpoints: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """assets: {what it is: its fingerprint}.  settings, job: {name: value} of those that are not at their default.

    checkpoints: those that are loaded beside the job's own, as the host's list has them.
    """
    texts = [(positive, False), (negative, True)]
    if getattr(p, "enable_hr", False):
        texts += [(getattr(p, "hr_prompt", "") or "", False), (getattr(p, "hr_negative_prompt", "") or "", True)]
    paths = [*_files(p, texts), *(pair for name in checkpoints for pair in _others(p, name))]
    files = {label: fingerprint(path) for label, path in paths if path and os.path.isfile(path)}
    return {"assets": {**files, **_inversions(texts)}, "settings": _settings(p), "job": _job(p)}


def check(known: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare what `describe` said when a run began with what it says now; what was not written down is not compared.

    Raises `CheckpointError`, which names the first difference.
    """
    for part, what in (("assets", "sha256 "), ("settings", ""), ("job", "")):
        if not isinstance(known.get(part), Mapping):
            continue
        for name in sorted({*known[part], *found[part]}):
            before, now = (str(side[part].get(name, ""))[: 10 if what else 80] for side in (known, found))
            if known[part].get(name) != found[part].get(name):
                default = "none" if what else "the default"
                raise CheckpointError(
                    f"{name}: this run was rendered with {what + before if before else default}, and now there is "
                    f"{what + now if now else default}; put it back, and the run goes on"
                )


def _settings(p: Any) -> dict[str, Any]:
    found = {}
    for name, option in shared.opts.data_labels.items():
        said = getattr(option, "infotext", None) and not name.startswith("prompt_pins_")
        if (said or name in SETTINGS) and name not in FILES:
            value = compat.emphasis_override(p).get(name, compat.setting_of(p, name, None))
            if value != option.default:
                found[name] = value
    return found


def _job(p: Any) -> dict[str, Any]:
    names = [*ALWAYS, *(HIRES if getattr(p, "enable_hr", False) else ())]
    names += ["refiner_switch_at"] if getattr(p, "refiner_checkpoint", None) not in UNSAID else []
    if getattr(p, "init_images", None):
        names += [*REDRAWN, *(MASKED if getattr(p, "image_mask", None) is not None else ())]
    if getattr(p, "subseed_strength", 0):
        names.append("seed")  # of the run's own options, the seed is then that of the variation
    values = ((name, getattr(p, name, None)) for name in names)
    plain = (str, int, float)
    return {
        name: value if isinstance(value, plain) and value != math.inf else str(value)
        for name, value in values
        if not is_unsaid(value)
    }


def is_unsaid(value: Any) -> bool:
    """Whether a field of a job says nothing of its own."""
    return value in UNSAID or str(value).startswith("Use same ")


def _files(p: Any, texts: list[tuple[str, bool]]) -> Iterator[tuple[str, str | None]]:
    """(what it is, path) of every file that the job needs, as far as the host tells."""
    models = compat.module("modules.sd_models")
    match = getattr(models, "get_closet_checkpoint_match", lambda name: None)
    own = match((getattr(p, "override_settings", None) or {}).get("sd_model_checkpoint"))
    with contextlib.suppress(FileNotFoundError):  # without any checkpoint the host says so itself
        own = own or (models and models.select_checkpoint())
    checkpoint = getattr(own, "filename", None)
    if checkpoint:
        yield "checkpoint", checkpoint
        yield "checkpoint's configuration", os.path.splitext(checkpoint)[0] + ".yaml"
        yield "VAE", _vae(p, checkpoint)
    for path in compat.setting_of(p, "forge_additional_modules", None) or ():
        yield f"module {os.path.basename(path)}", path
    for what, name in (("refiner", "refiner_checkpoint"), ("hires checkpoint", "hr_checkpoint_name")):
        yield what, getattr(match(getattr(p, name, None)), "filename", None)
    if getattr(p, "enable_hr", False):
        for upscaler in getattr(shared, "sd_upscalers", ()):
            if upscaler.name == getattr(p, "hr_upscaler", None):
                yield f"upscaler {upscaler.name}", upscaler.data_path
    for text, negative in texts:
        for insert in clean(text, negative).inserts:
            tag = NET_TAG.fullmatch(insert.text) if insert.kind == "net" else None
            if tag is not None:
                name = tag["args"].partition(":")[0]
                yield f"{tag['net']} {name}", _network(tag["net"], name)
    always = str(compat.setting_of(p, "sd_lora", None) or "None")
    if always != "None":
        yield f"lora {always}", _network("lora", always)


def _others(p: Any, name: str) -> Iterator[tuple[str, str | None]]:
    """As `_files`, of a checkpoint beside the job's own."""
    path = compat.checkpoint_info("checkpoint", name).filename
    yield f"checkpoint {name}", path
    yield f"checkpoint {name}: configuration", os.path.splitext(path)[0] + ".yaml"
    yield f"checkpoint {name}: VAE", _vae(p, path)


def _vae(p: Any, checkpoint: str) -> str | None:
    """Its file, where it is not in the checkpoint.  A host with additional modules has it among them."""
    module = compat.module("modules.sd_vae")
    if module is None or "forge_additional_modules" in shared.opts.data_labels:
        return None
    given = (getattr(p, "override_settings", None) or {}).get("sd_vae")
    if given == "None" or given in module.vae_dict:
        return str(module.vae_dict[given]) if given != "None" else None
    return getattr(module.resolve_vae(checkpoint), "vae", None)


def _network(kind: str, name: str) -> str | None:
    """The file of an extra network."""
    if kind == "hypernet":
        return getattr(shared, "hypernetworks", {}).get(name)
    module = sys.modules.get("networks") if kind in LORA_NETS else None  # the built-in extension's
    for look in (lambda: None, getattr(module, "list_available_networks", lambda: None)):
        look()
        for known in ("available_network_aliases", "available_networks"):
            found = getattr(module, known, {}).get(name)
            if found is not None:
                return str(found.filename)
    return None


def _inversions(texts: list[tuple[str, bool]]) -> dict[str, str]:
    """Of the textual inversions that the texts name, their vectors' hashes."""
    plain = [clean(text, negative).text for text, negative in texts]
    squeezed = "\n".join(map(_squeezed, plain))
    found = {}
    for name, vectors in compat.embedding_vectors().items():
        # of thousands of names the exact look is taken at few
        if _squeezed(name) in squeezed and any(map(Embeddings([name]).find, plain)):
            digest = hashlib.sha256()
            for _, rows in sorted(vectors.items()):
                digest.update(rows.detach().float().cpu().numpy().astype("<f4").tobytes())
            found[f"embedding {name}"] = digest.hexdigest()
    return found


def _squeezed(text: str) -> str:
    return "".join(match.group() for match in pretokens(text.lower()))
