"""The configuration of a run: every group's options, validated together.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import OptionError, PromptError
from ..options import check_known, checked, declarations
from .groups import BudgetOptions, LossGroup, OutputOptions, PromptOptions, RenderOptions, TargetOptions
from .presets import TASTE, is_by_eye
from .search import SearchOptions

MOST_PIXELS = 2**24
MOST_BATCH_PIXELS = 2**28
"""Of all images of a batch: as numbers they take 3 GiB, and a loss needs them more than once."""
MOST_CHECKED_PIXELS = 2**30
"""Of the images on which two prompts are compared after the search: 3 GiB."""


@dataclasses.dataclass(frozen=True)
class RunConfig(PromptOptions, TargetOptions, BudgetOptions, RenderOptions, LossGroup, SearchOptions, OutputOptions):
    """Everything that a run needs, validated.

    Raises `OptionError` for a value out of range and `PromptError` for an empty prompt.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.prompt.strip():
            raise PromptError("prompt: is empty; allowed: a prompt with at least one word")
        if self.weight_low >= self.weight_high:
            raise OptionError("weight_low", self.weight_low, f"a number below weight_high ({self.weight_high:g})")
        for name in ("width", "height"):
            if getattr(self, name) % 8 or 0 < getattr(self, name) < 64:
                raise OptionError(name, getattr(self, name), "a multiple of 8 from 64 to 8192, or 0")
        if self.width * self.height > MOST_PIXELS:
            sides = f"{self.width} x {self.height}"
            raise OptionError("width", sides, f"width x height of at most {MOST_PIXELS} pixels (4096 x 4096)")
        if self.width * self.height * self.batch_size > MOST_BATCH_PIXELS:
            most = MOST_BATCH_PIXELS // (self.width * self.height)
            raise OptionError("batch_size", self.batch_size, f"at most {most} images of {self.width} x {self.height}")
        for name in ("contest_seeds", "held_out"):
            most = MOST_CHECKED_PIXELS // max(1, self.width * self.height)
            if getattr(self, name) > most:
                sides = f"{self.width} x {self.height}"
                raise OptionError(name, getattr(self, name), f"at most {most} images of {sides} at once")
        object.__setattr__(self, "target", tuple(name for name in self.target if name.strip()))
        self._check_taste()

    def _check_taste(self) -> None:
        """The user's eye is the only judge, and looks at the images alone."""
        names = [name.partition(":")[0].strip() for name in self.loss_objectives]
        if TASTE in names and not self.by_eye:
            raise OptionError("loss_objectives", list(self.loss_objectives), f"{TASTE} alone, or none of it")
        for name in ("target", "target_weights", "mask", "words"):
            if self.by_eye and getattr(self, name) not in (None, "", (), False):
                raise OptionError(name, getattr(self, name), f"none with the objective {TASTE}: your eye is the target")
        if self.by_eye and self.target_loss is not None:
            raise OptionError("target_loss", self.target_loss, f"none with the objective {TASTE}")

    @property
    def by_eye(self) -> bool:
        """Whether the user ranks the candidates, in the place of a target and a loss."""
        return is_by_eye(self.loss_objectives)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """A configuration from plain names and values; an unknown name is refused with the nearest ones."""
        check_known(cls, values)
        return cls(**checked(cls, values))

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> RunConfig:
        """The configuration of a journal, with what an earlier version did where the journal does not say."""
        known = {"preset": "Classic", "early_generations": 0, "simplify": False, **values}
        if known.get("objectives") == 2:
            known["restarts"] = 0  # there were none, whatever was asked for
        return cls.from_dict(known)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values of every option, defaults included."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((name, getattr(self, name)) for name in declarations(type(self)))
        }
