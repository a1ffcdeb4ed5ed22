"""The configuration of a run: every group's options, validated together.  Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import OptionError, PromptError
from ..options import check_known, checked, declarations
from . import payloads
from .groups import BudgetOptions, LossGroup, OutputOptions, PromptOptions, RenderOptions, TargetOptions
from .presets import TASTE, is_by_eye
from .search import SearchOptions

MOST_PIXELS = 2**24
MOST_BATCH_PIXELS = 2**28
"""Of all images of a batch: as numbers they take 3 GiB, and a loss needs them more than once."""
MOST_CHECKED_PIXELS = 2**30
"""Of the images on which two prompts are compared after the search: 3 GiB."""


@dataclasses.dataclass(frozen=True)
class RunConfig(
    PromptOptions,
    TargetOptions,
    payloads.PayloadOptions,
    BudgetOptions,
    RenderOptions,
    LossGroup,
    SearchOptions,
    OutputOptions,
):
    """Everything that a run needs, validated.

    Raises `OptionError` for a value out of range and `PromptError` for an empty prompt.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.many:
            self._complete()
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
        if self.many and len(self.checkpoints) > 1 and self.merge_with:
            raise OptionError("payload", "--checkpoint", "none with merge_with: there the run's own is merged")

    def _complete(self) -> None:
        """Read the payloads' lines; where the run has no prompt, the first one's is its own."""
        found = payloads.read_all(self.payload)
        object.__setattr__(self, "payload", tuple(one.line() for one in found))
        if self.words:
            raise OptionError("words", True, "false with payloads or a piece: words are measured on one prompt")
        if not self.prompt.strip() and found:
            for number, one in enumerate(found, 1):
                if one.prompt is None:
                    raise PromptError(f"payload {number}: prompt: is left out, and the run has none")
            object.__setattr__(self, "prompt", found[0].prompt)

    @property
    def many(self) -> bool:
        """Whether candidates are judged on payloads."""
        return bool(self.piece.strip()) or any(line.strip() for line in self.payload)

    @property
    def payloads(self) -> tuple[payloads.Payload, ...]:
        """Those of the lines; a run with a piece and no line has one, which is all the run's."""
        return payloads.read_all(self.payload) or (payloads.Payload(),)

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """(prompt, negative prompt) of each payload as written, with {piece}."""
        return tuple(
            (
                self.prompt if one.prompt is None else one.prompt,
                self.negative_prompt if one.negative_prompt is None else one.negative_prompt,
            )
            for one in self.payloads
        )

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The run's own, and those that payloads name."""
        return tuple(dict.fromkeys((self.checkpoint, *(job.checkpoint for job in self.jobs()))))

    @property
    def every_text(self) -> str:
        """The prompts of all payloads, one after the other."""
        return "\n".join(job.prompt for job in self.jobs())

    @property
    def every_negative(self) -> str:
        """The same of the negative prompts."""
        return "\n".join(job.negative_prompt for job in self.jobs())

    def jobs(self) -> tuple[RunConfig, ...]:
        """The configuration of each payload by itself, its piece filled in; without payloads this one alone.

        Raises `OptionError` and `PromptError`, which name the payload.
        """
        if not self.many:
            return (self,)
        found = []
        for number, (one, texts) in enumerate(zip(self.payloads, self.texts, strict=True), 1):
            place = f"payload {number}"
            holds = any(payloads.PIECE in text for text in texts)
            if self.piece and not holds:
                raise OptionError(
                    f"{place}: prompt", texts[0], f"a prompt with {payloads.PIECE} in it, as there is one"
                )
            if holds and not self.piece:
                raise OptionError("piece", "", f"the words that {payloads.PIECE} stands for in {place}")
            prompt, negative = (payloads.filled(text, self.piece)[0] for text in texts)
            own = one.own()
            if "target" in own:
                own["target"] = [self._numbered(name, place) for name in own["target"]]
            values = {**own, "prompt": prompt, "negative_prompt": negative, "payload": (), "piece": ""}
            try:
                found.append(dataclasses.replace(self, **values))
            except OptionError as error:
                raise payloads.at(place, error) from error
            except PromptError as error:
                raise PromptError(f"{place}: {error}") from error
        return tuple(found)

    def _check_taste(self) -> None:
        """The user's eye is the only judge, and looks at the images alone."""
        names = [name.partition(":")[0].strip() for name in self.loss_objectives]
        if TASTE in names and not self.by_eye:
            raise OptionError("loss_objectives", list(self.loss_objectives), f"{TASTE} alone, or none of it")
        for name in ("target", "target_weights", "mask", "words"):
            if self.by_eye and getattr(self, name) not in (None, "", (), False):
                raise OptionError(name, getattr(self, name), f"none with the objective {TASTE}: your eye is the target")
        if self.by_eye and self.many:
            raise OptionError("payload", list(self.payload), f"no payload and no piece with the objective {TASTE}")
        if self.by_eye and self.target_loss is not None:
            raise OptionError("target_loss", self.target_loss, f"none with the objective {TASTE}")

    @property
    def by_eye(self) -> bool:
        """Whether the user ranks the candidates, in the place of a target and a loss."""
        return is_by_eye(self.loss_objectives)

    def _numbered(self, name: str, place: str) -> str:
        """A payload's target; a number is that one of the run's."""
        if not (name.isascii() and name.isdecimal()):
            return name
        if not 1 <= int(name[:9]) <= len(self.target):
            allowed = f"a file, or the number of one of the run's {len(self.target)} targets"
            raise OptionError(f"{place}: target", name, allowed)
        return self.target[int(name) - 1]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """A configuration from plain names and values; an unknown name is refused with the nearest ones."""
        check_known(cls, values)
        return cls(**checked(cls, values))

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> RunConfig:
        """The configuration of a journal, with what an earlier version did where the journal does not say."""
        before = {"early_generations": 0, "quarter_generations": 0, "simplify": False, "draws": "independent"}
        known = {"preset": "Classic", **before, **values}
        if known.get("objectives") == 2:
            known["restarts"] = 0  # there were none, whatever was asked for
        return cls.from_dict(known)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values of every option, defaults included."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((name, getattr(self, name)) for name in declarations(type(self)))
        }
