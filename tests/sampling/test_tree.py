"""What holds for every tree: who is whose copy, who parts from whom, and what each leaf depends on."""

from __future__ import annotations

import pytest
import torch
from prompt_pins.sampling import SAMPLERS, ForkOptions, LeafNoise, fork_schedule, karras_sigmas, make_hyperbatch
from prompt_pins.sampling.schedule import POLICIES
from torch import Tensor

from tests.sampling.models import Mixture, start

EVEN = ForkOptions("even")
NOISY = [name for name, info in SAMPLERS.items() if info.stochastic]
SIGMAS = karras_sigmas(9, 0.03, 14.6)


def apart(images: Tensor) -> float:
    """The smallest distance between two images: B x ... -> root mean square over their elements."""
    flat = images.flatten(1)
    distances = torch.cdist(flat, flat) / flat.shape[1] ** 0.5
    return float(distances[~torch.eye(len(flat), dtype=torch.bool)].min())


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("batch, steps", [(2, 2), (8, 2), (8, 3), (5, 4), (6, 9), (16, 20), (4, 1)])
@pytest.mark.parametrize("policy", POLICIES)
def test_siblings_differ(name: str, batch: int, steps: int, policy: str) -> None:
    x = start(batch)
    roots = fork_schedule(batch, steps, policy).sizes[0]
    x = x[torch.arange(batch) % roots]
    images = make_hyperbatch(name, ForkOptions(policy), seeds=range(batch))(
        Mixture(), x, karras_sigmas(steps, 0.03, 14.6)
    )
    assert images.shape == x.shape and bool(torch.isfinite(images).all())
    assert apart(images) > 1e-4


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("options", [{"eta": 0.0}, {"s_noise": 0.0}])
def test_siblings_differ_without_own_noise(name: str, options: dict[str, float]) -> None:
    x = start(1).expand(8, -1, -1, -1)
    tree = make_hyperbatch(name, EVEN, seeds=range(8))(Mixture(by_row=True), x, SIGMAS, **options)
    alone = make_hyperbatch(name, EVEN, seeds=[0])(Mixture(by_row=True), x[:1], SIGMAS, **options)
    assert apart(tree) > 1e-4 and torch.equal(tree[:1], alone)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("batch, steps, policy", [(8, 20, "even"), (6, 9, "early"), (16, 4, "late"), (4, 6, (0, 3))])
def test_the_model_sees_the_schedule(name: str, batch: int, steps: int, policy: str | tuple[int, ...]) -> None:
    model, seen = Mixture(), []
    make_hyperbatch(name, ForkOptions(policy))(
        model, start(batch), karras_sigmas(steps, 0.03, 14.6), callback=seen.append
    )
    sizes = fork_schedule(batch, steps, policy).sizes
    assert tuple(len(step["x"]) for step in seen) == sizes == tuple(len(step["denoised"]) for step in seen)
    assert [step["i"] for step in seen] == list(range(steps))
    calls = [size for size in sizes for _ in range(2 if SAMPLERS[name].second_order else 1)]
    assert [size for size, _ in model.calls] == (calls[:-1] if SAMPLERS[name].second_order else calls)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_call_is_spent_on_equal_images(name: str) -> None:
    seen: list[dict[str, Tensor]] = []
    x = start(1).expand(8, -1, -1, -1)
    make_hyperbatch(name, EVEN, seeds=range(8))(Mixture(), x, SIGMAS, callback=seen.append)
    assert all(apart(step["x"]) > 1e-6 for step in seen if len(step["x"]) > 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_leaf_depends_only_on_the_seeds_of_its_path(name: str) -> None:
    """Leaf 5 of 8 hangs on nodes 0, 1 and 5: all other seeds may change, and only they."""
    x = start(8)
    one = make_hyperbatch(name, EVEN, seeds=[0, 1, 2, 3, 4, 5, 6, 7])(Mixture(by_row=True), x, SIGMAS)
    two = make_hyperbatch(name, EVEN, seeds=[0, 1, 92, 93, 94, 5, 96, 97])(Mixture(by_row=True), x, SIGMAS)
    assert torch.equal(one[[0, 1, 5]], two[[0, 1, 5]])
    assert all(not torch.equal(one[leaf], two[leaf]) for leaf in (2, 3, 4, 6, 7))
    for moved in (1, 5):
        seeds = list(range(8))
        seeds[moved] = 99
        assert not torch.equal(one[5], make_hyperbatch(name, EVEN, seeds=seeds)(Mixture(by_row=True), x, SIGMAS)[5])


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_smaller_batch_holds_the_same_leaves(name: str) -> None:
    """4 and 6 leaves with the first boundaries of 8."""
    x = start(8)

    def leaves(batch: int, forks: tuple[int, ...]) -> Tensor:
        sample = make_hyperbatch(name, ForkOptions(forks), seeds=range(batch))
        return sample(Mixture(by_row=True), x[:batch], SIGMAS)

    eight = leaves(8, (2, 4, 6))
    assert torch.equal(leaves(4, (2, 4)), eight[:4])
    assert torch.equal(leaves(6, (2, 4, 6)), eight[:6])
    assert torch.equal(leaves(1, ()), eight[:1])


@pytest.mark.parametrize("name", SAMPLERS)
def test_forks_before_step_0_are_a_plain_batch(name: str) -> None:
    x = start(4)
    forked = make_hyperbatch(name, ForkOptions((0, 0)), seeds=range(4))(Mixture(), x, SIGMAS)
    plain = make_hyperbatch(name, ForkOptions("none"), seeds=range(4))(Mixture(), x, SIGMAS)
    assert torch.equal(forked, plain)
    singles = [make_hyperbatch(name, EVEN, seeds=[leaf])(Mixture(), x[leaf : leaf + 1], SIGMAS) for leaf in range(4)]
    torch.testing.assert_close(plain, torch.cat(singles), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["Euler", "Heun", "DPM++ 2M"])
def test_fork_strength_moves_the_siblings_apart(name: str) -> None:
    x = start(2, (40, 50))
    distances = []
    for strength in (0.1, 0.5, 1.0, 2.0, 4.0):
        images = make_hyperbatch(name, ForkOptions("early", strength), seeds=range(2))(Mixture(), x, SIGMAS)
        distances.append(apart(images))
    assert distances == sorted(distances) and distances[0] < 0.5 * distances[-1]


@pytest.mark.parametrize("name", SAMPLERS)
def test_half_precision_stays_half(name: str) -> None:
    x = start(4).to(torch.bfloat16)
    dtypes = []

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        dtypes.extend([x.dtype, sigma.dtype])
        return Mixture()(x, sigma)

    images = make_hyperbatch(name, EVEN)(model, x, SIGMAS)
    assert images.dtype == torch.bfloat16 and set(dtypes) == {torch.bfloat16}


def test_x_is_not_changed() -> None:
    x = start(8)
    before = x.clone()
    for name in SAMPLERS:
        make_hyperbatch(name, EVEN)(Mixture(), x, SIGMAS)
    assert torch.equal(x, before)


def test_leaf_noise_is_a_function_of_seed_and_step() -> None:
    like = torch.zeros(3, 4, 5, dtype=torch.float64)
    noise, other = LeafNoise([7, 8, 9], like), LeafNoise([8, 7], like[:2])
    a, b = SIGMAS[0], SIGMAS[1]
    assert torch.equal(noise.step(2, a, b, None, 2)[1], other.step(2, a, b, None, 1)[0])
    assert torch.equal(noise.fork(4, range(1, 3))[0], other.fork(4, range(1))[0])
    draws = [noise.initial(), noise.step(0, a, b, None, 3), noise.step(1, a, b, None, 3), noise.half(0, a, b, 3)]
    draws += [noise.churn(0, 3), noise.fork(0, range(3)), noise.fork(1, range(3))]
    assert apart(torch.cat(draws)) > 0.3
    assert torch.equal(noise.initial(), LeafNoise([7, 8, 9], like).initial())
    assert torch.equal(noise.initial().float(), LeafNoise([7, 8, 9], like.float()).initial())


def test_leaf_noise_takes_any_whole_number() -> None:
    like = torch.zeros(3, 50)
    assert apart(LeafNoise([-1, 0, 2**63], like).initial()) > 0.3
