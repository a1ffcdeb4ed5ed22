"""The traced UNet gives the network's own bits, and a network that cannot be traced is used as it is."""

from __future__ import annotations

import pytest
import torch
from prompt_pins.headless.condition import Condition
from prompt_pins.headless.predictor import TRACED_AFTER, Predictor
from torch import Tensor, nn

from tests.headless.tiny import WIDTH, Tiny


def inputs(rows: int, seed: int = 0, side: int = 8, xl: bool = False) -> tuple[Tensor, Tensor, Condition]:
    rng = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, 77, WIDTH * (1 + xl), generator=rng)
    pooled = Condition(vectors, torch.randn(rows, WIDTH * xl, generator=rng))
    x = torch.randn(rows, 4, side, side, generator=rng)
    return x, torch.tensor(17.25 * (seed + 1)), pooled.told((64, 64, 0, 0, 64, 64 + rows))


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@torch.inference_mode()
def test_a_trace_gives_the_networks_own_bits(tinies: dict[str, Tiny], name: str) -> None:
    tiny, xl = tinies[name], name == "sdxl"
    plain, fast = Predictor(tiny.unet, traced=False), Predictor(tiny.unet, traced=True)
    calls: list[int] = []
    hook = tiny.unet.register_forward_hook(lambda *_: calls.append(1))
    for seed in range(TRACED_AFTER):
        fast(*inputs(2, seed, xl=xl))
    counted = len(calls)
    for rows in (1, 2, 5, 16):
        for seed in range(3):
            assert torch.equal(fast(*inputs(rows, seed, xl=xl)), plain(*inputs(rows, seed, xl=xl)))
    hook.remove()
    assert len(calls) == counted + 12
    assert torch.equal(fast(*inputs(2, side=10, xl=xl)), plain(*inputs(2, side=10, xl=xl)))


class Remembers(nn.Module):
    """Its answer is taken from the number of rows that it saw, which a trace would freeze."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (x * self.weight + len(x),)


class Refuses(Remembers):
    """It cannot be traced at all."""

    def forward(self, x: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, return_dict: bool) -> tuple[Tensor]:
        if torch.jit.is_tracing():
            raise RuntimeError("not me")
        return (x * self.weight,)


@pytest.mark.parametrize("network", [Remembers(), Refuses()], ids=["wrong", "refused"])
@torch.inference_mode()
def test_a_trace_that_is_wrong_or_refused_is_not_used(network: nn.Module) -> None:
    plain, fast = Predictor(network, traced=False), Predictor(network, traced=True)
    for rows in [2] * TRACED_AFTER + [1, 3]:
        assert torch.equal(fast(*inputs(rows)), plain(*inputs(rows)))
