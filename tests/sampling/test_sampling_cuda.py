"""The samplers on a GPU: the CPU's numbers, and the laws of the tree to the bit."""

from __future__ import annotations

import pytest
import torch
from prompt_pins.sampling import SAMPLERS, ForkOptions, LeafNoise, SamplerNoise, karras_sigmas, make_hyperbatch
from prompt_pins.sampling.schedule import POLICIES
from torch import Tensor

from tests.devices import CUDA, needs_cuda
from tests.sampling.models import Mixture, start

pytestmark = needs_cuda
SIGMAS = karras_sigmas(9, 0.03, 14.6)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_numbers_are_those_of_the_cpu(name: str, policy: str) -> None:
    x = start(8)
    sample = make_hyperbatch(name, ForkOptions(policy), seeds=range(8))
    expected = sample(Mixture(), x, SIGMAS)
    for sigmas in (SIGMAS, SIGMAS.to(CUDA)):
        found = sample(Mixture(), x.to(CUDA), sigmas)
        assert found.device.type == CUDA and found.dtype == x.dtype
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_leaf_0_is_the_plain_image(name: str, dtype: torch.dtype) -> None:
    x, sigmas = start(8).to(CUDA, dtype), SIGMAS.to(CUDA)
    plain = make_hyperbatch(name, ForkOptions("none"), seeds=[0])(Mixture(by_row=True), x[:1], sigmas)
    assert plain.dtype == dtype and bool(torch.isfinite(plain).all())
    for policy in POLICIES:
        leaves = make_hyperbatch(name, ForkOptions(policy), seeds=range(8))(Mixture(by_row=True), x, sigmas)
        assert torch.equal(leaves[:1], plain), policy
        assert len({leaf.numpy().tobytes() for leaf in leaves.cpu()}) == 8


@pytest.mark.parametrize("options", [{"s_churn": 3.0}, {"s_churn": 3.0, "s_noise": 0.9}])
def test_churn(options: dict[str, float]) -> None:
    x, sample = start(4), make_hyperbatch("Euler", seeds=range(4))
    expected = sample(Mixture(), x, SIGMAS, **options)
    found = sample(Mixture(), x.to(CUDA), SIGMAS.to(CUDA), **options)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_noise_is_the_cpus_to_the_bit(dtype: torch.dtype) -> None:
    like = start(4).to(dtype)
    near, far = LeafNoise(range(4), like), LeafNoise(range(4), like.to(CUDA))
    for here, there in ((near.initial(), far.initial()), (near.fork(3, range(2, 4)), far.fork(3, range(2, 4)))):
        assert there.device.type == CUDA and there.dtype == dtype
        assert torch.equal(there.cpu(), here)


def test_a_hosts_noise_on_the_gpu() -> None:
    x = start(4).to(CUDA)

    def sampler(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return torch.ones_like(x) * (sigma - sigma_next)

    noise = SamplerNoise(sampler, LeafNoise(range(4), x))
    assert noise.step(0, SIGMAS[0].to(CUDA), SIGMAS[1].to(CUDA), None, 2).shape == x[:2].shape
    assert noise.churn(0, 3).device.type == noise.fork(0, range(1, 4)).device.type == CUDA
