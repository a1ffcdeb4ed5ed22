"""A model's own noise levels, and the way between a sigma and the timestep that the network was trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import CheckpointError


class NoiseLevels:
    """Stable Diffusion's discrete schedule as k-diffusion sees it.

    sigmas: float32 (T,), rising: sigma_t = sqrt((1 - abar_t) / abar_t); Karras et al. 2022, table 1 (DDPM's VP
    columns).  Between two timesteps the logarithm of sigma is interpolated.
    """

    def __init__(self, alphas_cumprod: Tensor) -> None:
        abar = alphas_cumprod.float().cpu()
        self.sigmas = ((1 - abar) / abar) ** 0.5
        self.log_sigmas = self.sigmas.log()

    @classmethod
    def from_betas(cls, schedule: str, start: float, end: float, timesteps: int) -> NoiseLevels:
        """`schedule`: "scaled_linear" (Stable Diffusion: sqrt(beta) is linear) or "linear" (DDPM).

        Raises `CheckpointError` for another schedule.
        """
        if schedule == "scaled_linear":
            betas = torch.linspace(start**0.5, end**0.5, timesteps, dtype=torch.float64) ** 2
        elif schedule == "linear":
            betas = torch.linspace(start, end, timesteps, dtype=torch.float64)
        else:
            raise CheckpointError(f"noise schedule {schedule!r} is not known; known are 'scaled_linear' and 'linear'")
        return cls(torch.cumprod(1 - betas, dim=0))

    @property
    def sigma_min(self) -> float:
        """The lowest noise level that the network knows."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The highest noise level that the network knows."""
        return float(self.sigmas[-1])

    def timestep(self, sigma: Tensor) -> Tensor:
        """The (fractional) timestep of each sigma: float32, in sigma's shape, on the CPU."""
        log_sigma = sigma.detach().float().cpu().log()
        low = (torch.searchsorted(self.log_sigmas, log_sigma, right=True) - 1).clamp(0, len(self.sigmas) - 2)
        below, above = self.log_sigmas[low], self.log_sigmas[low + 1]
        weight = ((log_sigma - below) / (above - below)).clamp(0, 1)
        return low + weight

    def sigma(self, timestep: Tensor) -> Tensor:
        """The noise level of each timestep: the inverse of `timestep`."""
        low = timestep.floor().long().clamp(0, len(self.sigmas) - 2)
        weight = timestep - low
        return ((1 - weight) * self.log_sigmas[low] + weight * self.log_sigmas[low + 1]).exp()

    def steps(self, n: int) -> Tensor:
        """n noise levels at evenly spaced timesteps, from the highest to the lowest, and a final 0: (n + 1,)."""
        timesteps = torch.linspace(len(self.sigmas) - 1, 0, n)
        sigmas = self.sigma(timesteps)
        return torch.cat([sigmas, sigmas.new_zeros([1])])
