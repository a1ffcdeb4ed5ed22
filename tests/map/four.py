"""A host of four pictures: of two rival words, and of two rival places, the one with the higher weight is shown."""

from __future__ import annotations

import numpy as np
from prompt_pins.host import Recipe
from prompt_pins.prompt import parse
from prompt_pins.prompt.units import units

from tests.run.painter import SIDE, Painter

PROMPT = "a red blue thing left right"


class Four(Painter):
    """alike: the same picture always."""

    alike = False

    def _paint(self, recipe: Recipe, seed: int) -> np.ndarray:
        image = np.full((SIDE, SIDE, 3), 250, np.uint8)
        image[:2, :2] = seed * 40 % 200
        if not self.alike:
            weights = {unit.text: unit.weight for unit in units(parse(recipe.prompt))}
            colour, place = (weights[a] > weights[b] for a, b in (("red", "blue"), ("left", "right")))
            image[4:12, (1 if place else 9) : (7 if place else 15)] = (220, 20, 20) if colour else (20, 20, 220)
        return image


class Stopping(Four):
    """Asks to stop after so many batches."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def interrupted(self) -> bool:
        return self.calls >= self.after


def picture(prompt: str) -> tuple[bool, bool]:
    """(red, left) of a wording."""
    weights = {unit.text: unit.weight for unit in units(parse(prompt))}
    return weights["red"] > weights["blue"], weights["left"] > weights["right"]
