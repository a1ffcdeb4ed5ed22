"""Taggers: WD14's, a network in an ONNX file and its tags in a CSV file; and DeepDanbooru.

Nothing is fetched: all are files that the user has.  Imports torch and Pillow; the package onnxruntime when one of
the first is asked for, whose form and steps are: https://huggingface.co/SmilingWolf/wd-vit-tagger-v3.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prompt_pins.errors import OptionError
from prompt_pins.loss import deepdanbooru
from prompt_pins.loss.objectives import Tagger, named
from prompt_pins.loss.score import chosen_device
from prompt_pins.loss.scorers import unusable

FOLDER, FILES = "tagger", ("model.onnx", "selected_tags.csv")
DEEPDANBOORU = "model-resnet_custom_v3.pt"
WHITE = (255, 255, 255)


def find(scorers: str, device: str) -> Tagger | None:
    """The tagger in a folder of scorers; None where there is none.  device: as `LossOptions.device`.

    Raises `OptionError` for one that lacks a file or the package, or that cannot be read.
    """
    folder = Path(scorers, FOLDER)
    if not scorers or not folder.is_dir():
        return None
    if lacking := missing(Path(scorers)):
        raise OptionError("loss_objectives", "tags", f"the others, until there is {lacking}")
    return opened(folder, device)


def missing(scorers: Path) -> str:
    """What is not there, in words; "" if all of it is."""
    folder = scorers / FOLDER
    if (folder / DEEPDANBOORU).is_file():
        return ""
    if find_spec("onnxruntime") is None:
        return "the package onnxruntime"
    return next((str(folder / name) for name in FILES if not (folder / name).is_file()), "")


def opened(folder: Path, device: str) -> Tagger:
    """The tagger whose files a folder holds.  Raises `OptionError` where they cannot be used."""
    danbooru = folder / DEEPDANBOORU
    try:
        return deepdanbooru.load(danbooru, chosen_device(device)) if danbooru.is_file() else load(folder)
    except Exception as error:  # of whatever kind a file of somebody else's causes
        raise unusable("tags", f"the files in {folder}", error) from error


@functools.lru_cache(maxsize=1)
def load(folder: Path) -> OnnxTagger:
    """The tagger of a folder, kept.  Raises what its readers raise."""
    return OnnxTagger(folder)


class OnnxTagger:
    """Images (B x H x W x 3, uint8) to {tag: probability}.  On CUDA where onnxruntime has it.

    The network takes blue, green and red from 0 to 255, B x side x side x 3, and answers with a probability for each
    line of the CSV file.
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        with open(folder / FILES[1], encoding="utf-8", newline="") as file:
            self._tags = [str(line["name"]) for line in csv.DictReader(file)]
        known = onnxruntime.get_available_providers()
        wanted = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in known]
        self._session: Any = onnxruntime.InferenceSession(str(folder / FILES[0]), providers=wanted)
        (taken,), (given, *_) = self._session.get_inputs(), self._session.get_outputs()
        self._name, self._side = taken.name, taken.shape[1]
        if taken.shape[3] != 3 or taken.shape[1] != taken.shape[2] or not isinstance(self._side, int):
            raise ValueError(f"it takes {taken.shape}, not images of B x side x side x 3")
        if given.shape[-1] != len(self._tags):
            raise ValueError(f"it tells {given.shape[-1]} tags, and {FILES[1]} names {len(self._tags)}")

    def __call__(self, images: NDArray[np.uint8]) -> Sequence[Mapping[str, float]]:
        found = []
        for image in images:  # one by one: some files were made for a single image
            row = self._session.run(None, {self._name: self._square(image)[None]})[0][0]
            found.append(named(self._tags, row))
        return found

    def _square(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """In the middle of a white square, scaled, blue first."""
        height, width = image.shape[:2]
        longer = max(height, width)
        canvas = Image.new("RGB", (longer, longer), WHITE)
        canvas.paste(Image.fromarray(image), ((longer - width) // 2, (longer - height) // 2))
        scaled = canvas.resize((self._side, self._side), Image.Resampling.BICUBIC)
        return np.ascontiguousarray(np.asarray(scaled, dtype=np.float32)[..., ::-1])
