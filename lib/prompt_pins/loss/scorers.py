"""Scorers: networks of others, in files that the user has, which say how good an image is.  Imports torch.

All lie in one folder, each under its own name.  Nothing is ever fetched.  A scorer's answer is a score, the higher the
better; an objective of the loss is what it lacks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import load_file
from torch import Tensor

from prompt_pins.errors import OptionError, PinError
from prompt_pins.loss import clip
from prompt_pins.loss.options import LossOptions

HEADS = ("aesthetic.safetensors", "aesthetic.pth")
BEST = 10.0  # of the aesthetic head, which was trained on marks from 1 to 10


@dataclass(frozen=True)
class Scorer:
    """One scorer.

    label: for people.  folders: below the folder of scorers, each a CLIP model of transformers; files: one of them is
    needed, too.  scores: (images N x 3 x H x W uint8, folder of scorers, text) to N scores.  lacks: scores to losses
    from 0.
    """

    name: str
    label: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    scores: Callable[[Tensor, Path, str], Tensor]
    lacks: Callable[[Tensor], Tensor]

    def missing(self, root: Path) -> str:
        """What is not there, in words; "" if all of it is."""
        if find_spec("transformers") is None:
            return "the package transformers"
        for folder in self.folders:
            for name in clip.NEEDED:
                if not (root / folder / name).is_file():
                    return f"{root / folder / name} (a CLIP model as transformers saves it)"
        if self.files and not any((root / name).is_file() for name in self.files):
            return " or ".join(str(root / name) for name in self.files)
        return ""


def _alike(folder: str, images: Tensor, root: Path, text: str) -> Tensor:
    """Cosines of images and a text, as one CLIP model sees them."""
    vectors = clip.load(root / folder, images.device).images(images)
    return vectors @ clip.text_vector(root / folder, images.device, text)


def _aesthetic(images: Tensor, root: Path, text: str) -> Tensor:
    """LAION's head on CLIP ViT-L/14: linear layers without anything between them."""
    vectors = clip.load(root / "clip", images.device).images(images)
    head = next(root / name for name in HEADS if (root / name).is_file())
    for weight, bias in _layers(head):
        if weight.shape[1] != vectors.shape[1]:
            sizes = f"a head of vectors of {vectors.shape[1]} numbers, as {root / 'clip'} gives"
            raise OptionError("scorers", f"{head}: of {weight.shape[1]}", sizes)
        vectors = vectors @ weight.T + bias
    return vectors[:, 0]


@functools.lru_cache(maxsize=1)
def _layers(path: Path) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of each layer in order, float32 on the CPU."""
    loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    names = sorted((name for name in loaded if name.endswith(".weight")), key=lambda name: int(name.split(".")[1]))
    return [(loaded[name].float(), loaded[name.removesuffix("weight") + "bias"].float()) for name in names]


def _from_one(cosines: Tensor) -> Tensor:
    return 1.0 - cosines


def _from_best(marks: Tensor) -> Tensor:
    return BEST - marks


_ALL = (
    Scorer("clip", "CLIP, image and text", ("clip",), (), functools.partial(_alike, "clip"), _from_one),
    Scorer("pickscore", "PickScore", ("pickscore",), (), functools.partial(_alike, "pickscore"), _from_one),
    Scorer("aesthetic", "LAION aesthetic", ("clip",), HEADS, _aesthetic, _from_best),
)
SCORERS: Mapping[str, Scorer] = MappingProxyType({one.name: one for one in _ALL})


def scores(name: str, images: Tensor, options: LossOptions) -> Tensor:
    """What a scorer says of N x 3 x H x W uint8 sRGB images: N numbers on the CPU.

    Raises `OptionError` where one of its files is missing or cannot be read.
    """
    scorer, root = SCORERS[name], Path(options.scorers)
    if not options.scorers:
        raise OptionError("loss_objectives", name, "the others, without a folder of scorers (scorers: a folder)")
    if missing := scorer.missing(root):
        raise OptionError("loss_objectives", name, f"the others, until there is {missing}")
    try:
        return scorer.scores(images, root, options.score_text).double()
    except (PinError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # of whatever kind a file of somebody else's causes
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise OptionError(
            "loss_objectives", name, f"the others: its files in {root} cannot be used ({words})"
        ) from error


def score_losses(name: str, images: Tensor, options: LossOptions) -> Tensor:
    """The same as losses from 0."""
    return SCORERS[name].lacks(scores(name, images, options)).clamp(min=0.0)
