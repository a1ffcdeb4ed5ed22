"""The group of settings: numbers of the user's job besides the prompts, such as the CFG scale.

Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..config import RenderOptions
from ..errors import OptionError
from ..host import Recipe
from ..options import declarations
from ..prompt.steering import inward
from ..store import Axis
from .space import Part

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_RANGE = re.compile(rf"\s*(?P<name>\w+)\s*:\s*(?P<low>{_NUMBER})\s*~\s*(?P<high>{_NUMBER})\s*")


class Setting(NamedTuple):
    """A setting that may vary.  low, high: what any host takes; decimals: places that hosts show and read back."""

    label: str
    low: float
    high: float
    decimals: int


def _declared(name: str, decimals: int) -> Setting:
    declaration = declarations(RenderOptions)[name]
    assert declaration.low is not None and declaration.high is not None
    return Setting(declaration.label, declaration.low, declaration.high, decimals)


SETTINGS: dict[str, Setting] = {
    "cfg_scale": _declared("cfg_scale", 2),
    "denoising_strength": Setting("Denoising strength", 0.0, 1.0, 2),
}
"""Every setting that some host can vary, by the name that hosts know it by."""


@dataclass(frozen=True)
class Settings:
    """names: of the settings, in the order of their axes."""

    names: tuple[str, ...]
    axes: tuple[Axis, ...]

    @classmethod
    def build(cls, wanted: Sequence[str], known: Mapping[str, float]) -> Settings:
        """wanted: `name:low~high` each; known: what the host can set, with the job's own values.

        Raises `OptionError` for a text that is no range, a setting that the host does not have, a setting named twice,
        and a range that does not hold the job's own value.
        """
        axes: dict[str, Axis] = {}
        for text in wanted:
            name, low, high = _read(text)
            if name not in known or name in axes:
                offered = ", ".join(name for name in SETTINGS if name in known) or "nothing"
                raise OptionError(
                    "vary_settings", text, f"each of these once, as this host and job have them: {offered}"
                )
            axes[name] = _axis(text, name, low, high, known[name])
        return cls(tuple(axes), tuple(axes.values()))

    def set(self, recipe: Recipe, values: Sequence[float]) -> Recipe:
        """The recipe with these settings."""
        return replace(recipe, settings=(*recipe.settings, *zip(self.names, values)))

    def parts(self, values: Sequence[float]) -> Iterator[Part]:
        """Each setting's label and value."""
        for axis, value in zip(self.axes, values):
            yield Part(axis.label, value, axis.side)


def _read(text: str) -> tuple[str, float, float]:
    match = _RANGE.fullmatch(text)
    if match is None or match["name"] not in SETTINGS:
        raise OptionError("vary_settings", text, f"a range such as cfg_scale:3~9, of {' or '.join(SETTINGS)}")
    return match["name"], float(match["low"]), float(match["high"])


def _axis(text: str, name: str, low: float, high: float, original: float) -> Axis:
    setting = SETTINGS[name]
    least, most = inward(low, high, 10**setting.decimals)
    if not (setting.low <= low and high <= setting.high and least < most):
        raise OptionError(
            "vary_settings", text, f"a range within {setting.low:g}~{setting.high:g}, the lower end first"
        )
    if not low <= original <= high:
        raise OptionError("vary_settings", text, f"a range that holds the job's own {setting.label}, {original:g}")
    # half the range is to the search what 1 is of a weight, whose own range is 0 to 2; powers of two divide exactly
    scale = 2.0 ** round(math.log2((high - low) / 2.0))
    return Axis(setting.label, original, low, high, setting.decimals, scale, "settings", name)
