"""How well prompts explain images that are given: what the denoiser takes off them, with nothing sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..sampling.misfit import misfit
from .condition import Condition
from .conditioning import Guidance

Denoise = Callable[[Tensor, Tensor, Condition], Tensor]
"""(x: B x 4 x h x w, sigma: 0-dim, B rows of condition) -> the denoised images."""


class Likelihood:
    """The misfits of many recipes in few calls.

    guidances: one for each recipe, the negative prompts of `negatives` (equal texts are computed once).
    rows: most rows of a call.  check: may raise, to stop.
    """

    def __init__(
        self,
        denoise: Denoise,
        guidances: Sequence[Guidance],
        negatives: Sequence[str],
        rows: int,
        check: Callable[[], None],
    ) -> None:
        self._denoise, self._guidances, self._rows, self._check = denoise, guidances, rows, check
        self._plain = [negatives.index(text) for text in negatives]  # whose unguided answer is a recipe's

    def __call__(self, clean: Tensor, noise: Tensor, mask: Tensor | None, sigma: Tensor, call: int) -> Tensor:
        """(recipes,) of one view.  clean, noise: 4 x h x w; sigma: 0-dim; call: the schedules' place."""
        rows, places = [], []
        for index, guidance in enumerate(self._guidances):
            if self._plain[index] == index:
                rows.append(guidance.uncond(call))
                places.append((index, -1))
            cond = guidance.cond(call)
            for part in range(len(cond)):
                rows.append(cond.row(part))
                places.append((index, part))
        found = dict(zip(places, self._denoised(clean + sigma * noise, sigma, rows)))
        unguided = [found[plain, -1] for plain in self._plain]
        guided = [
            plain + sum((found[index, part] - plain) * weight for part, weight in enumerate(guidance.weights))
            for index, (guidance, plain) in enumerate(zip(self._guidances, unguided))
        ]
        return misfit(torch.stack(unguided), torch.stack(guided), clean, mask)

    def _denoised(self, x: Tensor, sigma: Tensor, rows: list[Condition]) -> list[Tensor]:
        """One image through noise, denoised as each of the rows says, those of a length together."""
        answers: dict[int, Tensor] = {}
        for tokens in dict.fromkeys(row.tokens for row in rows):
            chosen = [index for index, row in enumerate(rows) if row.tokens == tokens]
            for start in range(0, len(chosen), self._rows):
                self._check()
                part = chosen[start : start + self._rows]
                told = Condition.joined([rows[index] for index in part])
                answers |= dict(zip(part, self._denoise(x.expand(len(part), -1, -1, -1), sigma, told)))
        return [answers[index] for index in range(len(rows))]
