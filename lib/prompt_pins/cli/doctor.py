"""Whether this machine can pin: what is installed, what computes, what room there is, and whether weights act.

Imports the model only to try it.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement

from .. import __version__
from ..config import RunConfig
from ..errors import HostError, PinError, reason, shorten
from ..host import Host, Recipe
from . import threads

DISTRIBUTION = "prompt-pins"
ROOM = 2**30
"""Bytes that should be free where the runs lie: a run of 1,000 images of 512 x 512 takes about half."""
TRIED = "a yellow {} circle", "blue", "(blue:1.4)"
STEPS, SEED = 4, 1
LEAST = 0.5
"""Of 255 levels, in the mean over all pixels: what a word at 1.4 must move the image at least."""


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what is there, and whether a run can do with it."""

    name: str
    said: str
    good: bool = True


def findings(checkpoint: str, device: str | None, out: Path) -> Iterator[Finding]:
    """Everything, the quick things first."""
    yield Finding("prompt-pins", f"{__version__}, Python {platform.python_version()} on {platform.system()}")
    yield from packages()
    yield from machine()
    yield room(out)
    yield model(checkpoint, device)


def packages() -> Iterator[Finding]:
    """What the distribution asks for, and what of it is missing or of another version; the extras in one line each."""
    try:
        wanted = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        yield Finding("packages", "not installed as a package, so what it needs is not known")
        return
    extras: dict[str, list[str]] = {}
    faults = []
    for one in wanted:
        extra = next((name for name in _extras() if one.marker and not one.marker.evaluate({"extra": ""})
                      and one.marker.evaluate({"extra": name})), "")  # fmt: skip
        if extra:
            extras.setdefault(extra, []).extend(_fault(one))
        elif one.marker is None or one.marker.evaluate({"extra": ""}):
            faults += _fault(one)
    shown = ", ".join(f"{name} {_version(name)}" for name in ("torch", "diffusers", "transformers", "deap", "numpy"))
    yield Finding("packages", "; ".join(faults) or shown, not faults)
    for extra, missing in sorted(extras.items()):
        how = f'not installed: pip install "{DISTRIBUTION}[{extra}]"'
        yield Finding(f"extra {extra}", how if missing else "installed")


def machine() -> Iterator[Finding]:
    """Cores, memory, and the GPUs that torch sees."""
    import torch

    computing = torch.get_num_threads()
    yield Finding("processor", f"{computing} thread{'s' * (computing > 1)} on {threads.cores()} cores{_memory()}")
    if not torch.cuda.is_available():
        yield Finding("GPU", f"none that torch {torch.__version__} sees; the processor computes")
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, whole = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield Finding(f"GPU {index}", f"{name}, {free / 2**30:.1f} of {whole / 2**30:.1f} GiB free")


def room(out: Path) -> Finding:
    """Whether runs can be written where they would lie, and what is free there."""
    place = Path(os.path.abspath(out))
    try:
        while not place.exists():
            place = place.parent
    except OSError as error:  # a name that is too long, a folder that must not be looked into
        return Finding("disk", f"{place} cannot be written to ({reason(error)})", False)
    free = shutil.disk_usage(place).free
    said = f"{free / 2**30:.1f} GiB free for {out}"
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Finding("disk", f"{place} cannot be written to", False)
    return Finding("disk", said if free >= ROOM else f"{said}: less than {ROOM >> 30} GiB", free >= ROOM)


def model(checkpoint: str, device: str | None) -> Finding:
    """Whether a word's weight moves an image, and nothing else does, on the checkpoint; none: the embedded model."""
    name = f"model {Path(checkpoint).name}" if checkpoint else "embedded model"
    try:
        from ..headless.opening import open_host

        host = open_host(checkpoint, device)
        moved, again = acting(host, checkpoint)
    except (PinError, ImportError, RuntimeError) as error:
        return Finding(name, str(error), False)
    if again > 0.0:
        return Finding(name, f"the same prompt and seed twice: images differ by {again:.2f} of 255", False)
    said = f"`{TRIED[2]}` instead of `{TRIED[1]}` moves the image by {moved:.1f} of 255"
    return Finding(name, f"weights act ({said})" if moved >= LEAST else f"weights do not act: {said}", moved >= LEAST)


def acting(host: Host, checkpoint: str = "") -> tuple[float, float]:
    """(how much a weight of 1.4 moves the image, how much the same again does): means over pixels, of 255 levels."""
    text, plain, weighted = TRIED
    config = RunConfig(prompt=text.format(plain), checkpoint=checkpoint, steps=STEPS, batch_size=1)
    first, second, third = (
        host.render(Recipe(text.format(word)), (SEED,), config, forked=False).images
        for word in (plain, weighted, plain)
    )
    if first.shape != second.shape or first.shape != third.shape:
        raise HostError(f"images of other sizes: {shorten((first.shape, second.shape, third.shape))}")
    return _apart(first, second), _apart(first, third)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).mean())


def _extras() -> list[str]:
    return metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _fault(one: Requirement) -> list[str]:
    found = _version(one.name)
    if not found:
        return [f"{one.name} is missing"]
    fits = one.specifier.contains(found, prereleases=True)
    return [] if fits else [f"{one.name} is {found}, wanted {one.specifier}"]


def _memory() -> str:
    """What is free, where the system says it."""
    if sys.platform != "linux":
        return ""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return f", {found['MemAvailable'] / 2**20:.1f} of {found['MemTotal'] / 2**20:.1f} GiB of memory free"
    except (OSError, ValueError, KeyError, IndexError):
        return ""
