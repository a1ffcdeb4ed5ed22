"""The UNet as k-diffusion's samplers see it: (x, sigma) -> the denoised image, guided."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .condition import Condition
from .conditioning import Guidance
from .noise_levels import NoiseLevels

Network = Callable[[Tensor, Tensor, Condition], Tensor]


def denoise(
    network: Network, levels: NoiseLevels, prediction: str, x: Tensor, sigma: Tensor, condition: Condition
) -> Tensor:
    """The denoised image that a network's prediction stands for.

    network: (input, timestep, condition) -> prediction, with x = image + sigma noise scaled to unit variance.
    prediction: "eps" (the noise) or "v" (Salimans & Ho 2022, appendix D).
    x: B x 4 x h x w; sigma: 0-dim; condition: B rows.

    Karras et al. 2022, equation 7, with sigma_data = 1 for v and c_skip = 1, c_out = -sigma for eps.
    """
    scale = (sigma**2 + 1) ** 0.5
    answer = network(x / scale, levels.timestep(sigma), condition)
    if prediction == "v":
        return x / scale**2 - answer * (sigma / scale)
    return x - answer * sigma


class Denoiser:
    """A guided model for one run of a sampler.  It counts its calls, for the prompt's schedules go by them.

    With scale s and AND weights w the result is u + sum_i s w_i (c_i - u), u without and c_i with part i of the
    prompt; u is not computed where its own weight, 1 - sum_i s w_i, is 0.
    """

    def __init__(
        self,
        network: Network,
        levels: NoiseLevels,
        prediction: str,
        guidance: Guidance,
        scale: float,
        check: Callable[[], None],
    ) -> None:
        self._network, self._levels, self._prediction = network, levels, prediction
        self._guidance, self._check = guidance, check
        self._weights = tuple(scale * weight for weight in guidance.weights)
        self._calls = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x: B x 4 x h x w; sigma: (B,), all equal.  Calls `check` first, which may raise to stop the run."""
        self._check()
        call, self._calls = self._calls, self._calls + 1
        cond, batch, level = self._guidance.cond(call), len(x), sigma[0]
        rows = [cond.row(part).expand(batch) for part in range(len(cond))]
        if sum(self._weights) == 1:
            return self._sum(self._denoised(x, level, rows))
        uncond = self._guidance.uncond(call).expand(batch)
        if uncond.tokens == cond.tokens:
            *guided, plain = self._denoised(x, level, [*rows, uncond])
        else:
            guided = self._denoised(x, level, rows)
            (plain,) = self._denoised(x, level, [uncond])
        return plain + self._sum([part - plain for part in guided])

    def _sum(self, parts: list[Tensor]) -> Tensor:
        total = parts[0] * self._weights[0]
        for part, weight in zip(parts[1:], self._weights[1:], strict=True):
            total = total + part * weight
        return total

    def _denoised(self, x: Tensor, sigma: Tensor, rows: list[Condition]) -> list[Tensor]:
        """One network call for all the rows: a list of B x 4 x h x w, one for each entry."""
        many = x.repeat(len(rows), 1, 1, 1)
        out = denoise(self._network, self._levels, self._prediction, many, sigma, Condition.joined(rows))
        return list(out.chunk(len(rows)))
