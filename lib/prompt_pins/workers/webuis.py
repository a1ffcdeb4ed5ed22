"""Opens several WebUIs as one pool, and refuses those that are not alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..errors import OptionError
from . import api
from .answers import WorkerFault
from .api import ApiHost, Facts, Source
from .client import Client
from .giving import Worker
from .pool import Pool

SETTINGS = (
    "randn_source", "eta_noise_seed_delta", "sd_vae_decode_method", "sd_vae_encode_method", "token_merging_ratio",
    "token_merging_ratio_img2img", "comma_padding_backtrack", "use_old_emphasis_implementation",
    "use_old_karras_scheduler_sigmas", "upcast_attn", "img2img_color_correction", "samples_format",
)  # fmt: skip
"""Settings that change what a seed's image is."""


def _setting(name: str) -> Callable[[Facts], Any]:
    return lambda facts: facts.options.get(name)


DIFFERENCES: Mapping[str, Callable[[Facts], Any]] = {
    "checkpoint": lambda facts: facts.checkpoint,
    "checkpoint's sha256": lambda facts: facts.sha256,
    "VAE": lambda facts: facts.options.get("sd_vae", "Automatic"),
    "clip skip": lambda facts: facts.options.get("CLIP_stop_at_last_layers", 1),
    **{name: _setting(name) for name in SETTINGS},
}
"""What must be alike where every WebUI tells it."""
LOSSLESS = "png"


def open_webuis(
    addresses: Sequence[str], auth: tuple[str, ...], config: RunConfig, source: Source | None = None
) -> tuple[Pool, list[str]]:
    """The pool, and what the user should know of it, a line each.

    Raises `OptionError` for a WebUI that cannot be reached or refuses the login, and for WebUIs that are not alike.
    """
    clients = [Client(address, auth) for address in addresses]
    try:
        names = [client.name for client in clients]
        if len(set(names)) < len(names):
            raise OptionError("webui", ", ".join(names), "each WebUI once")
        facts = {client.name: look(client) for client in clients}
        check_alike(facts, config)
        lacking = [name for name, found in facts.items() if not forks(found, config)]
        hosts = [ApiHost(client, facts[client.name], not lacking, source) for client in clients]
        for host in hosts:
            host.size(config)
            for forked in (True, False):
                _, schedule = api.chosen(host.facts, config, forked and host.forks)
                api.settings(host.facts, config, config.fork_policy if forked and host.forks else "none")
    except BaseException:
        for client in clients:
            client.close()
        raise
    lines = []
    if lacking and config.sampler.endswith(api.SUFFIX):
        lines.append(f"plain batches, no trees: {', '.join(lacking)} has no sampler {config.sampler!r}")
    if not schedule and host.facts.schedulers is not None:
        lines.append(f"{config.scheduler!r} is no schedule of these WebUIs, so they choose one")
    if (kind := host.facts.options.get("samples_format", LOSSLESS)) != LOSSLESS:
        lines.append(f"these WebUIs send {kind} images, which may be lossy and change losses: choose {LOSSLESS} there")
    return Pool([Worker(client.name, host, host.facts.kind) for client, host in zip(clients, hosts)]), lines


def look(client: Client) -> Facts:
    """What a WebUI says of itself.  Raises `OptionError`."""
    try:
        options = client.get("/sdapi/v1/options")
        samplers = client.get("/sdapi/v1/samplers")
        if not isinstance(options, dict) or not isinstance(samplers, list):
            raise OptionError("webui", client.url, "a WebUI with an API (started with --api)")
        schedulers = client.get("/sdapi/v1/schedulers")
        embeddings = client.get("/sdapi/v1/embeddings", {})
        loras = client.get("/sdapi/v1/loras")
        memory = client.get("/sdapi/v1/memory", {})
    except WorkerFault as fault:
        raise OptionError("webui", client.url, f"a WebUI that answers: {fault}") from fault
    return Facts(
        *api.loaded(options),
        options=options,
        samplers=_names(samplers, "name", "aliases"),
        schedulers=None if schedulers is None else _names(schedulers, "label"),
        embeddings=frozenset(embeddings.get("loaded") or ()) if isinstance(embeddings, dict) else frozenset(),
        loras=None if loras is None else _names(loras, "name", "alias"),
        kind=device(memory),
    )


def check_alike(facts: Mapping[str, Facts], config: RunConfig) -> None:
    """Raises `OptionError` where WebUIs would not render the same, or not what is asked for."""
    for what, tell in DIFFERENCES.items():
        told = {name: tell(found) for name, found in facts.items()}
        told = {name: value for name, value in told.items() if value not in (None, "")}
        if len(set(map(str, told.values()))) > 1:
            words = ", ".join(f"{name} has {value}" for name, value in told.items())
            raise OptionError("webui", what, f"the same on all WebUIs ({words})")
    checkpoint = next(iter(facts.values())).checkpoint
    wanted = re.split(r"[/\\]", str(config.checkpoint))[-1]
    if wanted and checkpoint not in (wanted, Path(wanted).stem):
        raise OptionError("checkpoint", wanted, f"none, or what the WebUIs have loaded: {checkpoint}")
    if config.vae:
        raise OptionError("vae", config.vae, "none: the WebUIs' own setting is used")
    prompts = f"{config.every_text}\n{config.every_negative}"
    tagged = set(re.findall(r"<lora:([^:>]+)", prompts))
    spoken = {word for found in facts.values() for word in found.embeddings if _says(prompts, word)}
    for name, found in facts.items():
        missing = sorted(tagged - found.loras if found.loras is not None else ())
        missing += sorted(spoken - found.embeddings)
        if missing:
            raise OptionError("prompt", missing[0], f"LoRAs and embeddings that every WebUI has; {name} has none such")


def forks(facts: Facts, config: RunConfig) -> bool:
    """Whether a WebUI can render the configuration's trees."""
    return config.sampler.endswith(api.SUFFIX) and any(
        name.endswith(api.SUFFIX) and name.startswith(api.plain(config.sampler)) for name in facts.samplers
    ) and facts.options.keys() >= set(api.FORKS.values())  # fmt: skip


def device(memory: Any) -> str:
    """A kind of device, by its memory: `cuda 24 GiB`, "cpu" where there is no other; "" where nothing is told."""
    try:
        cuda = memory["cuda"]
        total = cuda["system"]["total"]
    except (KeyError, TypeError):
        return "cpu" if isinstance(memory, dict) and "error" in (memory.get("cuda") or {}) else ""
    return f"cuda {round(total / 2**30)} GiB"


def _names(entries: Any, *keys: str) -> frozenset[str]:
    found: set[str] = set()
    for entry in entries if isinstance(entries, list) else ():
        for key in keys:
            value = entry.get(key) if isinstance(entry, dict) else None
            found.update([value] if isinstance(value, str) else value if isinstance(value, list) else ())
    return frozenset(name for name in found if isinstance(name, str))


def _says(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None
