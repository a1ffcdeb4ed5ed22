"""Opens a host: for a new run, and for an earlier run with what that one was rendered with.

What a run was rendered with is in its record, under the host's description: the hashes of the checkpoint and of the
configuration beside it, and the name and hash of each textual inversion and of each LoRA.  Records of earlier versions
do not say all of it; what they do not say is not checked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config import RunConfig
from ..errors import CheckpointError, OptionError
from ..merge.sources import Sources, check_recorded
from ..store import Record
from .checkpoint import Checkpoint, load
from .engine import HeadlessHost
from .inversion import Inversion, load_inversions
from .lora_tags import EMBEDDED_LORAS, Loras, load_loras, read_tags
from .merged import MergedHost, open_sources

SHOWN = 10  # digits of a hash in a message


def open_host(
    checkpoint: str = "",
    device: str | None = None,
    embeddings: Path | None = None,
    precise: bool = False,
    vae: str = "",
    loras: Path | None = None,
    prompt: str = "",
    merge_with: str = "",
    merge_minus: str = "",
) -> HeadlessHost:
    """A host with all textual inversions of a folder, and the LoRAs that a prompt names.

    loras: their folder; None: that of the embedded model's own, for the embedded model.
    merge_with, merge_minus: of checkpoints that are merged with it.
    Raises `CheckpointError`, `OptionError` and `PromptError`.
    """
    found = _loras(loras, checkpoint, prompt)
    sources = _sources(checkpoint, merge_with, merge_minus)
    return _open(load(checkpoint, vae), device, embeddings, None, precise, found, sources)


def reopen_host(
    record: Record,
    device: str | None = None,
    embeddings: Path | None = None,
    precise: bool = False,
    checkpoint: str = "",
    loras: Path | None = None,
    vae: str = "",
    merge_with: str = "",
    merge_minus: str = "",
) -> HeadlessHost:
    """The host that a run was rendered with; what is not given of files and folders is the run's own.

    Raises `CheckpointError`, which names what is missing or is another one, and `OptionError`.
    """
    known = record.host
    if known.get("name") not in ("headless", None):
        raise OptionError("run", known.get("name"), "a run of this command line; one of a WebUI goes on there")
    names: Mapping[str, str] | None = known.get("embeddings")
    if names is not None and not names and embeddings is not None:
        raise OptionError("embeddings", str(embeddings), "none: this run was rendered without")
    folder = embeddings
    if names and folder is None:
        if not known.get("embeddings_folder"):
            raise CheckpointError(f"embeddings: this run was rendered with {', '.join(names)}; name their folder")
        folder = Path(str(known["embeddings_folder"]))
    given = {"checkpoint": checkpoint, "vae": vae, "merge_with": merge_with, "merge_minus": merge_minus}
    for name, moved in given.items():
        own = str(record.config.get(name) or "")
        if moved and not own and name != "checkpoint":
            raise OptionError(name, moved, "none: this run was rendered without")
        given[name] = moved or own
    checkpoint, vae, *others = given.values()
    mine = _recorded_loras(record, loras, checkpoint)
    sources = _sources(checkpoint, *others)
    host = _open(load(checkpoint, vae), device, folder, names, precise, mine, sources)
    for key in ("checkpoint_sha256", "prediction", "configuration_sha256", "vae_sha256"):
        found = host.describe()[key]
        if key in known and known[key] != found:
            field, path = ("vae", vae) if key == "vae_sha256" else ("checkpoint", host.checkpoint.path)
            raise CheckpointError(
                f"{field}: {path} is not the one that this run was rendered with "
                f"({known.get('checkpoint')}, whose {key.replace('_', ' ')} is "
                f"{str(known[key])[:SHOWN] or 'none'}, not {str(found)[:SHOWN] or 'none'})"
            )
    if sources is not None:
        check_recorded(known, host.describe(), sources.paths)
    return host


def _open(
    model: Checkpoint,
    device: str | None,
    folder: Path | None,
    names: Mapping[str, str] | None,
    precise: bool,
    loras: Loras,
    sources: Sources | None,
) -> HeadlessHost:
    """names: of the only inversions that are wanted, with their hashes; None: all of the folder."""
    words: Sequence[Inversion] = ()
    if folder is not None:
        words = load_inversions(folder, tuple(tower.width for tower in model.towers))
        words = words if names is None else _recorded(folder, words, names)
    place = folder and Path(os.path.abspath(folder))
    if sources is not None:
        return MergedHost(sources, model, device, words, precise, place, loras)
    return HeadlessHost(model, device, words, precise, place, loras)


def _sources(checkpoint: str, merge_with: str, merge_minus: str) -> Sources | None:
    if merge_minus and not merge_with:
        raise OptionError("merge_minus", merge_minus, "none without merge_with")
    return open_sources(checkpoint, merge_with, merge_minus) if merge_with else None


def _loras(folder: Path | None, checkpoint: str, prompt: str) -> Loras:
    """Those that a prompt names."""
    place = EMBEDDED_LORAS if folder is None and not checkpoint else folder
    return Loras(load_loras(place, prompt), folder and Path(os.path.abspath(folder)))


def _recorded_loras(record: Record, folder: Path | None, checkpoint: str) -> Loras:
    """Those that a run was rendered with."""
    prompt, known = RunConfig.from_record(record.config).every_text, record.host.get("loras")
    if known is None and (tags := read_tags(prompt)):
        raise CheckpointError(
            f"loras: an earlier version rendered this run, which left the LoRA {tags[0].name!r} out; start a new run"
        )
    if folder is None and record.host.get("loras_folder"):
        folder = Path(str(record.host["loras_folder"]))
    found = _loras(folder, checkpoint, prompt)
    for lora in found:
        if known and lora.sha256 != known.get(lora.name):
            raise CheckpointError(
                f"loras: {lora.path} is another one; this run was rendered with that whose sha256 is "
                f"{str(known.get(lora.name))[:SHOWN]}…"
            )
    return found


def _recorded(folder: Path, words: Sequence[Inversion], names: Mapping[str, str]) -> tuple[Inversion, ...]:
    """Those of a folder's inversions that a run was rendered with."""
    found = {word.name: word for word in words}
    for name, known in names.items():
        word = found.get(name)
        if word is None or word.sha256() != known:
            what = "is not there" if word is None else "is another one"
            raise CheckpointError(
                f"embeddings: {name} in {folder} {what}; this run was rendered with that whose vectors have the sha256 "
                f"{known[:SHOWN]}…"
            )
    return tuple(word for word in words if word.name in names)
