"""ꟻLIP, set losses, targets and objectives.  Imports torch, numpy and Pillow."""

from prompt_pins.loss.images import list_images
from prompt_pins.loss.ldrflip import flip
from prompt_pins.loss.maps import error_map, error_map_image, flip_pairs
from prompt_pins.loss.objectives import OBJECTIVES, Context, Objective
from prompt_pins.loss.options import LossOptions
from prompt_pins.loss.result import BatchLoss
from prompt_pins.loss.score import score_batch
from prompt_pins.loss.scorers import SCORERS
from prompt_pins.loss.targets import Target, batch_targets, fit_targets, load_target, load_targets
from prompt_pins.loss.trial import tried

__all__ = [
    "OBJECTIVES",
    "SCORERS",
    "BatchLoss",
    "Context",
    "LossOptions",
    "Objective",
    "Target",
    "batch_targets",
    "error_map",
    "error_map_image",
    "fit_targets",
    "flip",
    "flip_pairs",
    "list_images",
    "load_target",
    "load_targets",
    "score_batch",
    "tried",
]
