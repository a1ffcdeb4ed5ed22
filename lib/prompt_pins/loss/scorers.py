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
from torch import Tensor

from prompt_pins.errors import OptionError, PinError
from prompt_pins.loss import clip, image_reward, open_clip
from prompt_pins.loss.options import LossOptions
from prompt_pins.loss.weights import first, linear, read

HEADS = ("aesthetic.safetensors", "aesthetic.pth")
BEST = 10.0  # of the aesthetic head, which was trained on marks from 1 to 10
HIGH = 5.0  # of ImageReward's marks, which are about normal; above it all are alike


@dataclass(frozen=True)
class Scorer:
    """One scorer.

    label: for people.  files: of each row one is needed, below the folder of scorers.  scores: (images N x 3 x H x W
    uint8, folder of scorers, text) to N scores.  lacks: scores to losses from 0.
    """

    name: str
    label: str
    files: tuple[tuple[str, ...], ...]
    scores: Callable[[Tensor, Path, str], Tensor]
    lacks: Callable[[Tensor], Tensor]

    def missing(self, root: Path) -> str:
        """What is not there, in words; "" if all of it is."""
        if find_spec("transformers") is None:
            return "the package transformers"
        lacking = (row for row in self.files if first(root, row) is None)
        return next((" or ".join(str(root / name) for name in row) for row in lacking), "")


def _alike(folder: str, images: Tensor, root: Path, text: str, whole: bool = False) -> Tensor:
    """Cosines of images and a text, as one CLIP model sees them.  whole: as `clip.processed` has it."""
    vectors = clip.load(root / folder, images.device).images(images, whole)
    return vectors @ clip.text_vector(root / folder, images.device, text)


def _aesthetic(images: Tensor, root: Path, text: str) -> Tensor:
    """LAION's head on CLIP ViT-L/14: linear layers without anything between them."""
    vectors = clip.load(root / "clip", images.device).images(images)
    head = first(root, HEADS)
    assert head is not None
    for weight, bias in _layers(head):
        if weight.shape[1] != vectors.shape[1]:
            sizes = f"a head of vectors of {vectors.shape[1]} numbers, as {root / 'clip'} gives"
            raise OptionError("scorers", f"{head}: of {weight.shape[1]}", sizes)
        vectors = vectors @ weight.T + bias
    return vectors[:, 0]


@functools.lru_cache(maxsize=1)
def _layers(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Those of the head, kept."""
    return linear(read(path))


def _reward(images: Tensor, root: Path, text: str) -> Tensor:
    """ImageReward's marks."""
    return image_reward.load(root / "imagereward", images.device).marks(images, text)


def _from_one(cosines: Tensor) -> Tensor:
    return 1.0 - cosines


def _from(best: float, marks: Tensor) -> Tensor:
    return best - marks


def _within(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_CLIP, _PICKED = (
    (_within(folder, "config.json"), _within(folder, "model.safetensors")) for folder in ("clip", "pickscore")
)
_HPS = (_within("hps", *open_clip.FILES, "model.safetensors"), _within("hps", "tokenizer_config.json"))
_REWARD = (_within("imagereward", *image_reward.FILES), _within("imagereward", "vocab.txt"))
_ALL = (
    Scorer("clip", "CLIP, image and text", _CLIP, functools.partial(_alike, "clip"), _from_one),
    Scorer("pickscore", "PickScore", _PICKED, functools.partial(_alike, "pickscore"), _from_one),
    Scorer("hps", "HPS v2", _HPS, functools.partial(_alike, "hps", whole=True), _from_one),
    Scorer("imagereward", "ImageReward", _REWARD, _reward, functools.partial(_from, HIGH)),
    Scorer("aesthetic", "LAION aesthetic", (*_CLIP, HEADS), _aesthetic, functools.partial(_from, BEST)),
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
        raise unusable(name, f"its files in {root}", error) from error


def unusable(name: str, files: str, error: Exception) -> OptionError:
    """What is said of an objective whose files are there and cause a fault.  files: they, in words."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return OptionError("loss_objectives", name, f"the others: {files} cannot be used ({words})")


def score_losses(name: str, images: Tensor, options: LossOptions) -> Tensor:
    """The same as losses from 0."""
    return SCORERS[name].lacks(scores(name, images, options)).clamp(min=0.0)
