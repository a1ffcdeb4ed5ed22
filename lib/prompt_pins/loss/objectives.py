"""The objectives: what "alike" may mean, one function each.  Imports torch.

A user's own scorer is a few lines:

    def squared(images, pairs, context):
        left, right = pairs.T
        return ((images[left] / 255.0 - images[right] / 255.0) ** 2).mean(dim=(1, 2, 3))

    registry = {**OBJECTIVES, "squared": Objective("squared", "Squared difference", True, squared)}
    score_batch(images, targets, levels, LossOptions(loss_objectives={"squared": 1.0}), registry=registry)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from prompt_pins.errors import HostError, OptionError
from prompt_pins.loss.colour import palette_distances
from prompt_pins.loss.ldrflip import mean_errors
from prompt_pins.loss.options import LossOptions
from prompt_pins.loss.scorers import SCORERS, score_losses
from prompt_pins.loss.stlpips import st_lpips
from prompt_pins.loss.structural import structural_losses

NEUTRAL = 128  # the grey that stands where a mask is black

Tagger = Callable[[NDArray[np.uint8]], Sequence[Mapping[str, float]]]


@dataclass(frozen=True)
class Context:
    """What an objective is told besides the images.

    `options`; `mask` H x W float32 in [0, 1], 1 = compare, or None; `tagger` of the host: B x H x W x 3 uint8
    images to one {tag: probability} mapping each, or None.
    """

    options: LossOptions
    mask: Tensor | None = None
    tagger: Tagger | None = None


@dataclass(frozen=True)
class Objective:
    """A registered objective.

    `name` in options and journals; `label` for people.
    If `pairwise`, `function(images, pairs, context)` gives P losses ≥ 0 for P index pairs (`pairs` is a P x 2
    integer tensor on the CPU); if not, `function(images, context)` gives a score ≥ 0 for each of N images, 0
    the best.  `images` is an N x 3 x H x W uint8 sRGB tensor; where a mask is black it is grey in all of them.
    """

    name: str
    label: str
    pairwise: bool
    function: Callable[..., Any]


def flip_objective(images: Tensor, pairs: Tensor, context: Context) -> Tensor:
    """Mean LDR-ꟻLIP error, weighted by the mask."""
    ppd = context.options.pixels_per_degree
    return mean_errors(images, _indices(pairs), ppd, context.mask, _memory(context))


def ssim_objective(images: Tensor, pairs: Tensor, context: Context) -> Tensor:
    """1 - SSIM, over the whole frame; a soft mask fades the images to grey."""
    return structural_losses("ssim", _faded(images, context.mask), _indices(pairs), _memory(context))


def ms_ssim_objective(images: Tensor, pairs: Tensor, context: Context) -> Tensor:
    """1 - MS-SSIM, over the whole frame; a soft mask fades the images to grey."""
    return structural_losses("ms-ssim", _faded(images, context.mask), _indices(pairs), _memory(context))


def st_lpips_objective(images: Tensor, pairs: Tensor, context: Context) -> Tensor:
    """ST-LPIPS (AlexNet), over the whole frame; a soft mask fades the images to grey."""
    return st_lpips(_faded(images, context.mask), _indices(pairs), _memory(context))


def colour_objective(images: Tensor, pairs: Tensor, context: Context) -> Tensor:
    """Distance of mean colour and palette, weighted by the mask."""
    return palette_distances(images, _indices(pairs), context.mask)


def tags_objective(images: Tensor, context: Context) -> NDArray[np.float64]:
    """Mean over the tags of 1 - probability (wanted) and probability (unwanted), in [0, 1].

    A tag that the tagger does not mention has probability 0.  The tagger sees grey where the mask is black.
    """
    wanted, unwanted = context.options.tags_wanted, context.options.tags_unwanted
    if context.tagger is None:
        allowed = "the others, where the host offers no interrogator and the folder of scorers no tagger"
        raise OptionError("loss_objectives", "tags", allowed)
    if not wanted and not unwanted:
        raise OptionError("tags_wanted", list(wanted), "at least one wanted or unwanted tag for the objective tags")
    shown = np.ascontiguousarray(_faded(images, context.mask).permute(0, 2, 3, 1).cpu().numpy())
    found = context.tagger(shown)
    if len(found) != len(shown):
        raise HostError(f"the interrogator gave {len(found)} answers for {len(shown)} images")
    scores = []
    for answer in found:
        terms = [1.0 - _probability(answer, tag) for tag in wanted]
        terms += [_probability(answer, tag) for tag in unwanted]
        scores.append(sum(terms) / len(terms))
    return np.array(scores)


def scorer_objective(name: str, images: Tensor, context: Context) -> Tensor:
    """What the images lack by a scorer, from 0; it sees the whole frame, and grey where the mask is black."""
    return score_losses(name, _faded(images, context.mask), context.options)


def named(tags: Sequence[str], values: Sequence[float] | NDArray[np.floating[Any]]) -> dict[str, float]:
    """Probabilities by their tags, with blanks and as they are written, with underscores."""
    found = {tag: float(value) for tag, value in zip(tags, values)}
    return {**{tag.replace("_", " "): value for tag, value in found.items()}, **found}


def _probability(answer: Mapping[str, float], tag: str) -> float:
    value = float(answer.get(tag, 0.0))
    if not 0.0 <= value <= 1.0:
        raise HostError(f"the interrogator gave {value} for the tag {tag!r}, not a probability")
    return value


def _indices(pairs: Tensor) -> list[tuple[int, int]]:
    return [(int(left), int(right)) for left, right in pairs]


def _memory(context: Context) -> int:
    return context.options.loss_memory_mb << 20


def _faded(images: Tensor, mask: Tensor | None) -> Tensor:
    """Images, uint8, blended with grey as far as the mask is dark."""
    if mask is None:
        return images
    return (images.float().sub_(NEUTRAL).mul_(mask).add_(NEUTRAL)).round_().to(images.dtype)


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Objective("flip", "ꟻLIP", True, flip_objective),
            Objective("ssim", "SSIM", True, ssim_objective),
            Objective("ms-ssim", "MS-SSIM", True, ms_ssim_objective),
            Objective("st-lpips", "ST-LPIPS", True, st_lpips_objective),
            Objective("colour", "Colours", True, colour_objective),
            Objective("tags", "Tags", False, tags_objective),
            *(
                Objective(one.name, one.label, False, functools.partial(scorer_objective, one.name))
                for one in SCORERS.values()
            ),
        )
    }
)


def choose(options: LossOptions, registry: Mapping[str, Objective]) -> tuple[tuple[Objective, float], ...]:
    """The objectives of the options with their weights; OptionError for an unknown name."""
    unknown = [name for name, _ in options.loss_objectives if name not in registry]
    if unknown:
        raise OptionError("loss_objectives", unknown[0], ", ".join(registry))
    return tuple((registry[name], weight) for name, weight in options.loss_objectives)
