"""How well prompts explain images that are given: what the denoiser takes off them, with nothing sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..sampling.misfit import misfit
from .conditioning import Guidance

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x: B x 4 x h x w, sigma: 0-dim, vectors: B x tokens x C) -> the denoised images."""


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
        vectors, places = [], []
        for index, guidance in enumerate(self._guidances):
            if self._plain[index] == index:
                vectors.append(guidance.uncond(call)[0])
                places.append((index, -1))
            for part, row in enumerate(guidance.cond(call)):
                vectors.append(row)
                places.append((index, part))
        found = dict(zip(places, self._denoised(clean + sigma * noise, sigma, vectors)))
        unguided = [found[plain, -1] for plain in self._plain]
        guided = [
            plain + sum((found[index, part] - plain) * weight for part, weight in enumerate(guidance.weights))
            for index, (guidance, plain) in enumerate(zip(self._guidances, unguided))
        ]
        return misfit(torch.stack(unguided), torch.stack(guided), clean, mask)

    def _denoised(self, x: Tensor, sigma: Tensor, vectors: list[Tensor]) -> list[Tensor]:
        """One image through noise, denoised with each of the vectors (tokens x C), those of a length together."""
        answers: dict[int, Tensor] = {}
        for tokens in dict.fromkeys(len(row) for row in vectors):
            chosen = [index for index, row in enumerate(vectors) if len(row) == tokens]
            for start in range(0, len(chosen), self._rows):
                self._check()
                part = chosen[start : start + self._rows]
                out = self._denoise(x.expand(len(part), -1, -1, -1), sigma, torch.stack([vectors[i] for i in part]))
                answers |= dict(zip(part, out))
        return [answers[index] for index in range(len(vectors))]
