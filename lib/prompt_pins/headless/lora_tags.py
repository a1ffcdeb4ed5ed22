"""The LoRA tags of prompts, and the files that they name, as the WebUI reads both."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import CheckpointError, PromptError, reason
from ..prompt.loras import LORA_NETS
from ..prompt.source import NET_TAG, clean
from .lora import Lora, load_lora, metadata_of

EMBEDDED_LORAS = Path(__file__).parent / "embedded" / "loras"
SUFFIX = ".safetensors"
PICKLES = (".pt", ".ckpt")
NEAREST = 3
LONGEST = 120
"""Characters of a tag or a name in a message."""
DIGITS = re.compile(r"(\d+)")


@dataclasses.dataclass(frozen=True)
class Tag:
    """What a prompt says of a LoRA: multipliers of the text encoders and of the UNet, and the most ranks to use."""

    name: str
    text: float
    unet: float
    rank: int | None = None


Mix = tuple[tuple[Lora, Tag], ...]
"""What is to be put into a model, in this order."""


def read_tags(prompt: str) -> tuple[Tag, ...]:
    """The LoRA tags of a positive prompt.  Raises `PromptError` for one that cannot be read.

    <lora:NAME:TEXT:UNET:RANK>, where each number may be left out or be named: te=, unet=, dyn=.  A LoRA that is named
    twice is used twice, both times with the last tag's multipliers: that is how the WebUI does it.
    """
    found = []
    for insert in clean(prompt).inserts:
        match = NET_TAG.fullmatch(insert.text) if insert.kind == "net" else None
        if match and match["net"] in LORA_NETS:
            found.append(_tag(insert.text, match["args"].split(":"), insert.start + 1))
    last = {tag.name: tag for tag in found}
    return tuple(last[tag.name] for tag in found)


def _tag(text: str, items: list[str], column: int) -> Tag:
    pairs = [item.split("=", 2) for item in items]
    named = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    places = [item for item, pair in zip(items, pairs) if len(pair) != 2]
    text = text[:LONGEST]
    if not places:
        raise PromptError(f"{text} names no LoRA", column)
    try:
        multiplier = float(named.get("te", places[1] if len(places) > 1 else "1"))
        unet = float(named.get("unet", places[2] if len(places) > 2 else multiplier))
        rank = named.get("dyn", places[3] if len(places) > 3 else None)
        tag = Tag(places[0], multiplier, unet, None if rank is None else int(rank))
    except ValueError as error:
        raise PromptError(f"{text}: a multiplier is a number ({str(error)[:LONGEST]})", column) from None
    if not (math.isfinite(tag.text) and math.isfinite(tag.unet)):
        raise PromptError(f"{text}: a multiplier is a finite number", column)
    return tag


class Loras:
    """Files that are loaded, for the prompts that name them.  folder: where they come from, to be written down."""

    def __init__(self, found: Sequence[Lora] = (), folder: Path | None = None) -> None:
        self.folder = folder
        self._found = {lora.name: lora for lora in found}

    def __iter__(self) -> Iterator[Lora]:
        return iter(self._found.values())

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each one's file, by name."""
        return {name: lora.sha256 for name, lora in self._found.items()}

    def mix(self, prompt: str) -> Mix:
        """What a prompt names.  Raises `PromptError` for a tag that cannot be read, and for one that is not loaded."""
        tags = read_tags(prompt)
        for tag in tags:
            if tag.name not in self._found:
                raise PromptError(f"no LoRA {tag.name!r} is loaded; {_nearest(tag.name, self._found)}")
        return tuple((self._found[tag.name], tag) for tag in tags)

    def parameters(self, prompt: str) -> dict[str, str]:
        """What the WebUI writes into infotexts of the LoRAs that a prompt names."""
        marks = str.maketrans("", "", ":,")
        found = {tag.name.translate(marks): lora.short for lora, tag in self.mix(prompt)}
        return {"Lora hashes": ", ".join(f"{name}: {short}" for name, short in found.items())} if found else {}


def load_loras(folder: Path | None, prompt: str) -> tuple[Lora, ...]:
    """The LoRAs that a prompt names, from a folder and those in it.

    A LoRA is called as its file is, without the suffix, or as its own `ss_output_name` says where no file is called so
    and no other file says the same.  Raises `CheckpointError` and `PromptError`.
    """
    names = list(dict.fromkeys(tag.name for tag in read_tags(prompt)))
    if not names:
        return ()
    if folder is None:
        raise CheckpointError(f"loras: the prompt names the LoRA {names[0]!r}; say which folder it is in (--loras)")
    files, pickles = _files(folder)
    if missing := [name for name in names if name not in files]:
        files = {**_aliases(files.values()), **files}
        for name in missing:
            if name not in files:
                pickle = pickles.get(name)
                why = f"{pickle} is a pickle, which can run code when it is opened; convert it to .safetensors"
                raise CheckpointError(
                    f"loras: there is no {name[:LONGEST]!r} in {folder}; {why if pickle else _nearest(name, files)}"
                )
    return tuple(load_lora(files[name], name) for name in names)


def _files(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """(LoRAs, pickles) of a folder and those in it, by name; of two of a name the last counts, as in the WebUI."""
    if not os.path.isdir(folder):
        there = "" if os.path.exists(folder) else " (it does not exist)"
        raise CheckpointError(f"loras: {folder} is not a folder{there}")
    try:
        os.listdir(folder)
    except OSError as error:
        raise CheckpointError(f"loras: {folder} cannot be read ({reason(error)})") from None
    seen: set[str] = set()
    found: list[tuple[str, list[str]]] = []
    for root, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link to where we have been
            below.clear()
            continue
        seen.add(real)
        found.append((root, names))
    paths = [Path(root, name) for root, names in sorted(found, key=lambda pair: _natural(pair[0]))
             for name in sorted(names, key=_natural)]  # fmt: skip
    loras = {path.stem: path for path in paths if path.suffix.lower() == SUFFIX}
    return loras, {path.stem: path for path in paths if path.suffix.lower() in PICKLES}


def _natural(text: str) -> list[tuple[int, str]]:
    """Numbers in names count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in DIGITS.split(text)]


def _aliases(paths: Iterable[Path]) -> dict[str, Path]:
    """What files call themselves; a name that two files claim is none."""
    claims: dict[str, list[Path]] = {}
    for path in paths:
        try:
            alias = metadata_of(path).get("ss_output_name")
        except CheckpointError:
            continue  # one that is damaged has its file's name alone
        if alias:
            claims.setdefault(alias, []).append(path)
    return {alias: found[0] for alias, found in claims.items() if len(found) == 1}


def _nearest(name: str, known: Mapping[str, object]) -> str:
    folded = {one.lower(): one for one in known}
    near = [folded[one] for one in difflib.get_close_matches(name.lower(), folded, NEAREST, 0.5)]
    if not known:
        return "there is none at all"
    return f"the nearest: {', '.join(near)}" if near else f"there are: {', '.join(sorted(known)[:8])}"
