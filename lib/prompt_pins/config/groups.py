"""The groups of options, each a frozen dataclass of declarations.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from ..options import check_known, checked, option
from .merging import MergeOptions

Own = TypeVar("Own", bound="OwnOptions")


@dataclasses.dataclass(frozen=True)
class PromptOptions:
    """What is pinned, and which weights may vary."""

    GROUP = "Prompt"

    prompt: str = option("", label="Prompt", help="The prompt to pin, in the WebUI's syntax.")
    negative_prompt: str = option("", label="Negative prompt", help="The negative prompt.")
    vary: str = option(
        "words",
        label="Vary",
        choices=("words", "phrases", "groups", "auto"),
        help="What carries one weight: each word, each comma-separated phrase, or each group already in brackets. auto "
        "is for measuring words: phrases first, then the words of those that matter.",
    )
    vary_prompt: bool = option(True, label="Vary the prompt", help="Search the weights of the prompt's words.")
    vary_negative: bool = option(
        True, label="Vary the negative prompt", help="Search the weights of the negative prompt's words."
    )
    vary_loras: bool = option(False, label="Vary LoRA weights", help="Search the multipliers of <lora:…> tags.")
    vary_settings: tuple[str, ...] = option(
        (),
        label="Vary settings",
        help="Settings to search besides the weights, each with its range: cfg_scale:3~9, and in img2img "
        "denoising_strength:0.4~0.8.",
    )
    weight_low: float = option(0.0, label="Lowest weight", low=0.0, high=10.0, help="No word's weight goes below this.")
    weight_high: float = option(
        2.0, label="Highest weight", low=0.0, high=10.0, help="No word's weight goes above this."
    )


NO_TARGET: Mapping[str, Any] = MappingProxyType({"target": [], "target_weights": [], "mask": ""})
"""What a configuration says of its targets, where others take their place."""


@dataclasses.dataclass(frozen=True)
class TargetOptions:
    """What the images are compared with."""

    GROUP = "Pin to"

    target: tuple[str, ...] = option(
        (),
        label="Target images",
        help="What to pin to: image files, folders of them, or an earlier run's folder, which stands for its best "
        "batch; none: the prompt's own first batch.",
    )
    target_weights: tuple[float, ...] = option(
        (),
        label="Weights of the targets",
        low=0.001,
        high=1000.0,
        help="How much each target counts, in their order; a folder's images each count as much. None: all alike.",
    )
    mask: str = option(
        "",
        label="Mask",
        help="An image for all targets, or a folder with one for each, of the target's own name; only where it is "
        "white is compared.",
    )
    fit: str = option(
        "crop", label="Fit", choices=("crop", "pad", "stretch"), help="How a target of another size is fitted."
    )


@dataclasses.dataclass(frozen=True)
class RenderOptions(MergeOptions):
    """How a prompt becomes a batch of images."""

    GROUP = "Images"

    sampler: str = option("DPM++ 2M - Hyperbatch", label="Sampler", help="The sampler of every candidate's batch.")
    scheduler: str = option(
        "karras", label="Schedule type", choices=("karras", "normal"), help="How the noise levels are spaced."
    )
    steps: int = option(20, label="Steps", low=1, high=1000, help="Sampling steps.")
    batch_size: int = option(8, label="Batch size", low=1, high=1024, help="Images of each candidate.")
    cfg_scale: float = option(7.0, label="CFG scale", low=1.0, high=100.0, help="Classifier-free guidance.")
    seed: int = option(
        1, label="Seed", low=0, high=2**32 - 1, help="Seed of the first image; the others follow it one by one."
    )
    width: int = option(0, label="Width", low=0, high=8192, help="In pixels, a multiple of 8; 0: the model's own.")
    height: int = option(0, label="Height", low=0, high=8192, help="In pixels, a multiple of 8; 0: the model's own.")
    fork_policy: str = option(
        "twin",
        label="Fork policy",
        help="When a hyperbatch forks: twin (two trees of half the batch), even (one tree), early, late, none (a plain "
        "batch), or fork steps such as 5,10,15.",
    )
    fork_strength: float = option(
        2.0,
        label="Fork strength",
        low=0.05,
        high=10.0,
        help="For how many steps after a fork the new images of a deterministic sampler draw noise of their own.",
    )
    checkpoint: str = option(
        "",
        label="Checkpoint",
        help="A Stable Diffusion 1.x, 2.x or SDXL file or diffusers folder; none: the small model.",
    )
    vae: str = option(
        "", label="VAE", help="A file or folder of an autoencoder in the place of the checkpoint's own; none: its own."
    )
    emphasis: str = option(
        "original",
        label="Emphasis",
        choices=("original", "no-norm"),
        help="How weights count, as in the WebUI: original keeps the mean of a text's vectors, no-norm does not, which "
        "suits SDXL better.",
    )
    clip_skip: int = option(
        0,
        label="Clip skip",
        low=0,
        high=32,
        help="Which layer of the text encoder is read, counted from the last as the WebUI does; 0: the one that the "
        "model was made for. Of SDXL's two, the first.",
    )
    crop_top: int = option(
        0, label="Crop top", low=0, high=8192, help="Where SDXL is told that the picture was cropped, in pixels."
    )
    crop_left: int = option(
        0, label="Crop left", low=0, high=8192, help="Where SDXL is told that the picture was cropped, in pixels."
    )


@dataclasses.dataclass(frozen=True)
class LossGroup:
    """How batches are compared."""

    GROUP = "Loss"

    pixels_per_degree: float = option(
        67.02, label="Pixels per degree", low=5.0, high=500.0, help="Viewing distance of ꟻLIP."
    )
    consistency: float | None = option(
        0.25,
        label="Consistency",
        low=0.0,
        high=1.0,
        help="Share of the images' likeness to one another in the loss; the rest is their likeness to the target. With "
        "8 images and one target every pair counts alike at 0.78.",
    )
    dispersion: str = option(
        "std",
        label="Dispersion",
        choices=("std", "upper"),
        help="Added to the mean of a set of pairs: their standard deviation, or only the upward part of it.",
    )
    hyperbatch_weights: bool = option(
        True, label="Hyperbatch Weights Enabled", help="Weigh the levels of a hyperbatch's tree."
    )
    hyperbatch_force: bool = option(
        True, label="Hyperbatch Weights Force Allowed", help="Weigh plain batches too: root and single images."
    )
    hyperbatch_type: str = option(
        "Geometric",
        label="Hyperbatch Weight Type",
        choices=("Geometric", "Exponential", "Polynomial"),
        help="How the weight of a level of the tree depends on its depth.",
    )
    hyperbatch_scale: float = option(
        1.0, label="Hyperbatch Weight Scale", low=0.001, high=10.0, help="Scale s of the levels' weights."
    )
    loss_objectives: tuple[str, ...] = option(
        ("flip",),
        label="Objectives of the loss",
        help="What is compared: flip, ssim, ms-ssim, st-lpips, colour, tags, and "
        "with their files clip, pickscore, hps, imagereward, aesthetic; each as name or name:weight. Or taste "
        "alone: you rank the candidates by eye, on a page.",
    )
    tags_wanted: tuple[str, ...] = option(
        (), label="Wanted tags", help="Tags that the images should have, for the objective tags."
    )
    tags_unwanted: tuple[str, ...] = option(
        (), label="Unwanted tags", help="Tags that the images should not have, for the objective tags."
    )
    scorers: str = option(
        "",
        label="Folder of scorers",
        help="Where the files of clip, pickscore, hps, imagereward and aesthetic lie, and those of a tagger for tags; "
        "prompt-pins scorers says what is looked for.",
    )
    score_text: str = option(
        "",
        label="Text of the scorers",
        help="What the images should show, for all scorers but aesthetic; none: the prompt without its weights.",
    )
    loss_memory_mb: int = option(
        512, label="Memory of the loss", low=16, high=2**20, help="MiB that the features of a batch may take."
    )


@dataclasses.dataclass(frozen=True)
class BudgetOptions:
    """When the run has spent enough, and how its winner is named."""

    GROUP = "How far"

    max_images: int = option(0, label="Stop after images", low=0, high=10**9, help="Budget of images; 0: none.")
    max_minutes: float = option(0.0, label="Stop after minutes", low=0.0, high=1e7, help="Budget of minutes; 0: none.")
    finalists: int = option(
        3,
        label="Finalists",
        low=0,
        high=100,
        help="So many of the best candidates, the centre of the search and the original meet on fresh seeds, "
        "and the best of them is the pinned prompt; 0: the search's own best is.",
    )
    simplify: bool = option(
        True,
        label="Simplest finalist",
        help="One finalist more: the smallest change of the weights that, by all candidates of the run, is as good as "
        "the centre of the search; words that do not matter keep their weights in it. It wins when it is about as good "
        "as the best.",
    )
    contest_seeds: int = option(
        16, label="Contest seeds", low=1, high=4096, help="Independent images of each finalist."
    )


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """What a run leaves behind."""

    GROUP = "Output"

    held_out: int = option(
        16,
        label="Unseen seeds",
        low=0,
        high=4096,
        help="After the search the original and the pinned prompt are compared on this many unseen seeds.",
    )
    words: bool = option(
        False,
        label="Measure the words",
        help="At the end, measure which words hold the pinned prompt's images: each word alone at a lower and a higher "
        "weight, on 8 seeds that the search never saw.",
    )
    image_format: str = option(
        "png", label="Image format", choices=("png", "jpg", "webp"), help="The format in which images are kept."
    )
    gifs: bool = option(True, label="GIFs", help="Draw a GIF of each candidate, each generation and the run.")
    plots: bool = option(True, label="Plots", help="Draw the loss and convergence plots.")


@dataclasses.dataclass(frozen=True)
class OwnOptions:
    """Those of a task besides pinning, which are no part of a run's configuration.  Raises `OptionError`."""

    def __post_init__(self) -> None:
        for name, value in checked(type(self), vars(self)).items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_record(cls: type[Own], values: Mapping[str, Any]) -> Own:
        """Those of a journal; an unknown name is refused with the nearest ones."""
        check_known(cls, values)
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class AnalysisOptions(OwnOptions):
    """How a prompt is measured without a search.  Not part of a run's configuration.  Raises `OptionError`.

    RUN_GROUPS: the groups of a run's options that matter to an analysis.
    """

    GROUP = "Analysis"
    RUN_GROUPS: ClassVar[tuple[str, ...]] = ("Prompt", "Pin to", "Images", "Loss")

    by: str = option(
        "images",
        label="By",
        choices=("images", "likelihood"),
        help="How a word's effect is seen: in rendered images, or in how likely the denoiser finds the targets, in a "
        "small part of the time, as a hint.",
    )
    analysis_seeds: int = option(
        16,
        label="Seeds",
        low=8,
        high=512,
        help="Images of each wording; all words are measured on the same seeds. By likelihood it has no part.",
    )
    analysis_step: float = option(
        0.5, label="Step", low=0.01, high=10.0, help="How far each word's weight is raised and lowered."
    )
